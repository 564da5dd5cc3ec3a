"""Why rows stand out: the evidence behind flagged rows, and the novel rows the ranking misses."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aemodel.decisions.rules import Cut, Decision
from aemodel.explain.attribution import explain
from aemodel.explain.clean_range import clean_range
from aemodel.explain.evidence import SIDES, evidence_p_values
from aemodel.explain.mixed_causes import unnamed_levels
from aemodel.explain.nearest import nearest_clean_rows
from aemodel.explain.outlier_groups import (
    Signatures,
    feature_signatures,
    kinds_of_rows,
    region_signatures,
)
from aemodel.model import Autoencoder
from aemodel.rows.hashes import content_hashes
from aemodel.rows.layout import CATEGORY
from flows.scoring.night_run import NightRun
from flows.scoring.shards.summary import MOST_NOVEL, ShardSummary
from storage.nights.night import Evidence, NovelRow, RowGroup
from storage.nights.scores import count_novel, count_novel_by_p_value, read_listed
from storage.sources import Source, find_levels

MOST_GROUPED = 1_000  # flagged rows that are compared with each other
MOST_COLUMNS = 16  # of a row that are shown beside their clean ranges


def listed_evidence(
    run: NightRun, summary: ShardSummary, decision: Decision, source: Source
) -> Mapping[int, Evidence]:
    """Explain the listed rows of a source, by row number."""
    rows = listed_rows(run, summary, decision)
    values = summary.best.values[: len(rows)]
    return explain_rows(run.model, rows, values, by=run.job.score.by, source=source)


def listed_rows(run: NightRun, summary: ShardSummary, decision: Decision) -> NDArray[np.int64]:
    """Return the numbers (n,) of the rows that the report lists, best first.

    The top N and the flagged rows, as far as rows are kept in detail.
    """
    return summary.best.rows[: max(run.job.score.top_n, decision.flagged)]


def explain_rows(
    model: Autoencoder,
    rows: NDArray[np.int64],
    values: NDArray[np.generic],
    *,
    by: str,
    source: Source,
) -> dict[int, Evidence]:
    """Explain the rank of `values` (n, *row_shape) by one of SCORES, by row number.

    source: where levels are looked up that the model has no name for.
    """
    found: dict[int, Evidence] = {}
    for part, places in model.parts(values) if len(rows) else ():
        evidence = _evidence(part, values[places], by=by, source=source)
        found |= zip(rows[places].tolist(), evidence, strict=True)
    return {row: found[row] for row in rows.tolist()}


def _evidence(
    model: Autoencoder, values: NDArray[np.generic], *, by: str, source: Source
) -> Iterator[Evidence]:
    rebuilt = model.rebuild(values)
    expected = model.in_data_units(rebuilt).reshape(values.shape)
    new = unnamed_levels(model, values)
    texts = find_levels(source, new) if any(new.values()) else {}
    whole = model.layout.by_region
    causes = explain(model, rebuilt, by=by, texts=texts, columns=0 if whole else MOST_COLUMNS)
    nearest = nearest_clean_rows(model, rebuilt) if whole else None
    low, high = _clean_range(model) if whole else (None, None)
    sides = evidence_p_values(model, rebuilt)
    for index, cause in enumerate(causes):
        chances = {} if sides is None else dict(zip(SIDES, sides[:, index].tolist(), strict=True))
        features = [vars(feature) for feature in cause.features]
        yield Evidence(
            cause=cause.words,
            features=features,
            actual=values[index],
            expected=expected[index],
            sides=chances,
            nearest=None if nearest is None else nearest[index],
            columns=[vars(feature) for feature in cause.columns],
            low=low,
            high=high,
            patches=cause.patches,
        )


def _clean_range(model: Autoencoder) -> Sequence[NDArray[np.float64] | None]:
    found = clean_range(model)
    known = not np.isnan(found).all()
    return list(found.reshape(2, *model.layout.row_shape)) if known else (None, None)


def kinds_of_flagged(
    model: Autoencoder, rows: Sequence[int], evidence: Mapping[int, Evidence]
) -> tuple[RowGroup, ...]:
    """Group the first MOST_GROUPED of the flagged `rows`, best first, by their evidence.

    A group may have a single row.
    """
    compared = [row for row in rows if row in evidence][:MOST_GROUPED]
    if not compared:
        return ()
    found = kinds_of_rows(_signatures(model, [evidence[row] for row in compared]))
    return tuple(
        RowGroup(group.id, group.shared, [compared[place] for place in group.rows])
        for group in found
    )


def _signatures(model: Autoencoder, evidence: Sequence[Evidence]) -> Signatures:
    if model.layout.by_region:
        with np.errstate(invalid="ignore"):
            away = [
                each.actual.astype(np.float64) - each.expected.astype(np.float64)
                for each in evidence
            ]
        return region_signatures(np.stack(away))
    return feature_signatures([_odd(model, each) for each in evidence])


def content_of_rows(
    rows: NDArray[np.int64], values: NDArray[np.generic], listed: Container[int]
) -> dict[int, str]:
    """Return the hash of the content of `rows` (n,) that are listed, in hex, by row number.

    values: (n, *row_shape), in the source's dtype.
    """
    known = [place for place, row in enumerate(rows.tolist()) if row in listed]
    hashes = content_hashes(values[known]).tolist() if known else []
    return {int(rows[place]): f"{each:016x}" for place, each in zip(known, hashes, strict=True)}


def _odd(model: Autoencoder, evidence: Evidence) -> dict[str, float]:
    """Return the share of each feature of a row by what is odd about it, as in 'amount higher'."""
    kinds = dict(zip(model.layout.columns, model.layout.kinds, strict=False))
    odd: dict[str, float] = {}
    for feature in evidence.features:
        name, residual = str(feature["name"]), float(str(feature["residual"]))
        known = "higher" if residual > 0 else "lower"
        what = "unusual" if kinds.get(name) == CATEGORY or np.isnan(residual) else known
        odd[f"{name} {what}"] = float(str(feature["share"]))
    return odd


@dataclass(frozen=True)
class ScoredNight:
    """The input of a night and the folder of its scores, where rows are looked up by number."""

    source: Source
    scores: Path

    def file_rows(self, rows: Iterable[int]) -> list[int]:
        """Return the number of each row within its file."""
        return [self.source.locate(row)[1] for row in rows]


def novel_rows(
    run: NightRun, summary: ShardSummary, decision: Decision, night: ScoredNight
) -> Sequence[NovelRow]:
    """List rows that are more novel than any calibration row but not flagged.

    At most MOST_NOVEL rows, the most novel first. Empty if rows are ranked by novelty, or without
    it.
    """
    clean = run.model.calibration_by("novelty")
    score = run.job.score
    if score.by == "novelty" or "novelty" not in score.computed or not len(clean):
        return ()
    found = summary.novel
    scored = {each["row"]: each for each in read_listed(night.scores, found.rows).to_pylist()}
    scores = np.array([scored[row][run.job.score.by] for row in found.rows.tolist()])
    if run.groups and len(scores):
        scores = run.groups.judged(found.values, scores)
    missed = (found.scores > clean[-1]) & ~decision.cut.flags(scores, found.rows)
    rows, values = found.rows[missed], found.values[missed]
    evidence = explain_rows(run.model, rows, values, by="novelty", source=night.source)
    return _to_novel_rows(night, scored, evidence)


def _to_novel_rows(
    night: ScoredNight, found: Mapping[int, Mapping[str, Any]], evidence: Mapping[int, Evidence]
) -> Sequence[NovelRow]:
    """Combine scored rows, by row number, with the evidence for some of them, in its order."""
    return tuple(
        NovelRow(
            id=str(found[row]["id"]),
            file=found[row]["file"],
            row=row,
            file_row=night.source.locate(row)[1],
            novelty=found[row]["novelty"],
            error=found[row]["error"],
            evidence=behind,
        )
        for row, behind in evidence.items()
    )


def count_novel_rows(
    run: NightRun, decision: Decision, listed: Sequence[NovelRow], scores: Path
) -> int:
    """Count all rows that `novel_rows` would list without its limit.

    scores: folder with the night's scores. Rows that score above all calibration rows are not
    counted: they lead the ranking, flagged or not.
    """
    if len(listed) < MOST_NOVEL:
        return len(listed)
    most_novel = float(run.model.calibration_by("novelty")[-1])
    if run.groups:  # all of these rows are flagged
        return count_novel_by_p_value(scores, most_novel, run.groups.highest_flagged)
    cut = min(decision.cut, Cut(float(run.calibration[-1]), -1))
    return count_novel(scores, most_novel, run.job.score.by, cut)
