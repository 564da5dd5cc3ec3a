"""Flagged rows that are known normal: of a kind that an analyst has labeled in an earlier night."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from aemodel.decisions.rules import Decision
from flows.scoring.evidence.rows import kinds_of_flagged
from flows.scoring.night_run import NightRun
from flows.scoring.shards.summary import ShardSummary
from storage.labels import Label
from storage.nights.night import Evidence, RowGroup


def known_normal_rows(
    run: NightRun, summary: ShardSummary, decision: Decision, evidence: Mapping[int, Evidence]
) -> dict[int, Label]:
    """Return the label of each flagged row that is known normal, by row number.

    evidence: of the listed rows. The first MOST_GROUPED flagged rows are compared.
    """
    if not run.known:
        return {}
    flagged = summary.best.rows[: decision.flagged].tolist()
    kinds = kinds_of_flagged(run.model, flagged, evidence)
    return {
        row: run.known[kind.shared]
        for kind in kinds
        if kind.shared in run.known
        for row in kind.rows
    }


def label_words(label: Label) -> str:
    """Return who says so, and until when: 'label of ann until 2026-12-31'."""
    author = f" of {label.author}" if label.author else ""
    return f"label{author}{f' until {label.expires}' if label.expires else ''}"


def known_notes(kinds: tuple[RowGroup, ...], known: Mapping[int, Label]) -> Iterator[str]:
    """Say for each kind how many flagged rows the verdict does not count."""
    for kind in kinds:
        if label := known.get(kind.rows[0]):
            rows = f"{len(kind.rows):,} flagged row{'s' * (len(kind.rows) > 1)}"
            yield f"{rows} of kind {kind.id} ({kind.shared}) known normal: {label_words(label)}"
