"""Flagged rows that are known normal: of a kind that an analyst has labeled in an earlier night."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from aemodel.decisions.rules import Decision
from flows.scoring.evidence.rows import MOST_GROUPED, explain_rows, kinds_of_flagged
from flows.scoring.night_run import NightRun
from flows.scoring.shards.summary import ShardSummary
from storage.labels import Label
from storage.nights.night import RowGroup
from storage.sources import Source


def known_normal_rows(
    run: NightRun, source: Source, summary: ShardSummary, decision: Decision
) -> dict[int, Label]:
    """Return the label of each flagged row that is known normal, by row number.

    The first MOST_GROUPED flagged rows are compared.
    """
    compared = min(decision.flagged, MOST_GROUPED)
    if not run.known or not compared:
        return {}
    rows, values = summary.best.rows[:compared], summary.best.values[:compared]
    evidence = explain_rows(run.model, rows, values, by=run.job.score.by, source=source)
    kinds = kinds_of_flagged(run.model, rows.tolist(), evidence)
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
