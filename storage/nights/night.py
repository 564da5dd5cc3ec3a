"""Everything that the report of one revision says, as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from storage.nights.changes import Changes
from storage.nights.summary import NightFigures, NightLine

IN_SAMPLE = "in-sample"  # in place of a date: rows judged without a clean set
REASONS = {
    "range": "outside the clean range",
    "latent": "its latents differ from those of all clean rows",
    "residual": "poorly reconstructed",
}


@dataclass(frozen=True)
class Evidence:
    """The reasons why a row is anomalous.

    cause: in words.
    features: those with the largest share of the error, or of the novelty if that ranks rows.
    actual, expected: the row and its reconstruction, each (*row_shape).
    nearest: the clean row (*row_shape) that is most like it; None where that says nothing.
    columns: more features than those, heaviest first, for rows that are not shown as a whole.
    low, high: (*row_shape) between which the middle 98 % of clean values lie; None if unknown.
    sides: p-values for range, latent and residual; empty without calibration rows.
    patches: (height, width) share of each pixel of a picture in the score; None if unknown.
    """

    cause: str
    features: Sequence[Mapping[str, object]]
    actual: NDArray[np.generic]
    expected: NDArray[np.generic]
    sides: Mapping[str, float] = field(default_factory=dict)
    nearest: NDArray[np.generic] | None = None
    columns: Sequence[Mapping[str, object]] = ()
    low: NDArray[np.float64] | None = None
    high: NDArray[np.float64] | None = None
    patches: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class NovelRow:
    """A row that is not flagged, yet farther from all clean rows than any calibration row.

    row: its number over all files. file_row: its number within `file`.
    """

    id: str
    file: str
    row: int
    file_row: int
    novelty: float
    error: float
    evidence: Evidence

    def to_json(self) -> dict[str, object]:
        """Return the entry in summary.json."""
        return {
            "id": self.id,
            "file": self.file,
            "row": self.row,
            "file_row": self.file_row,
            "novelty": self.novelty,
            "error": self.error,
            **{f"p_{side}": value for side, value in self.evidence.sides.items()},
        }

    @property
    def words(self) -> str:
        """The reason with the smallest p-value."""
        sides = self.evidence.sides
        if not sides:
            return "far from all clean rows"
        return REASONS[min(sides, key=lambda side: sides[side])]


@dataclass(frozen=True)
class RowGroup:
    """Flagged rows that stand out in the same way.

    id: the same for the same way in every night. shared: what their rows have in common, in
    words. rows: their numbers over all files, best first.
    """

    id: str
    shared: str
    rows: Sequence[int]


@dataclass(frozen=True)
class NightMap:
    """Where rows lie: clean rows (m, 2) and flagged ones (n, 2), which are `rows`, best first.

    share: of their spread that two directions show. by_latents: whether rows are placed by their
    latents, not by what novelty compares.
    """

    clean: NDArray[np.float64]
    flagged: NDArray[np.float64]
    rows: Sequence[int]
    share: float
    by_latents: bool


@dataclass(frozen=True)
class CutRow:
    """A row that is not flagged, shown to judge the cut; outlier: as in outliers.parquet."""

    outlier: Mapping[str, object]
    evidence: Evidence


@dataclass(frozen=True)
class ColumnCheck:
    """One column tonight, beside what is usual in clean rows.

    shift: of its mean, in clean spreads. missing, usual_missing: share of rows without a value.
    outside, usual_outside: share of rows outside the middle 98 % of clean values or, of a
    category, with a level that no fit row has.
    """

    name: str
    shift: float
    missing: float
    usual_missing: float
    outside: float
    usual_outside: float

    @property
    def change(self) -> float:
        """How far the column differs from clean rows, to order columns; new levels come first."""
        new_levels = float(self.outside > 0 and self.usual_outside == 0)
        shares = abs(self.missing - self.usual_missing) + abs(self.outside - self.usual_outside)
        return abs(self.shift) + 4 * shares + 4 * new_levels


@dataclass(frozen=True, kw_only=True)
class Night(NightFigures):
    """The content of a report: of input, model and settings, and of the nights before as published.

    cut_score: the score above which rows are flagged, if rows were scored.
    by_group: whether rows are judged by calibration rows of their group of entities.
    failed: name of each shard that could not be scored, or not all of its rows, and why.
    edges (b + 1,): bins of scores. counts, calibration_counts (b + 2,): rows per bin.
    evidence: by row number.
    novel_rows_total: number of novel rows, of which `novel_rows` lists the first; None if they
        were not sought.
    top_n: rows of the ranking that are listed, flagged or not.
    pictures: whether rows are shown as pictures where their shape allows it.
    waves: whether rows are steps in time, or along another axis, and shown as lines.
    known: whose label makes a flagged row known normal, in words, by row number.
    kinds: the groups of all flagged rows that were compared, also those of a single row.
    content: hash of the values of each listed row, in hex, by row number.
    groups: of the flagged rows, largest first. grouped: how many rows were compared for them.
    map: of flagged rows among clean ones; None if there is none.
    below: the rows right below the cut. ordinary: rows drawn at random from those not flagged.
    p_counts: (b,) rows by p-value, in b equal bins from 0 to 1; empty if unknown.
    columns: of a table, those that differ most from clean rows first.
    made_with: seed and versions, by name.
    zone: in which a data date is a day. owner: whom to ask.
    earlier: the nights before, newest revisions, oldest first.
    """

    notes: Sequence[str] = ()
    cut_score: float | None
    score_name: str = "error"
    by_group: bool = False
    failed: Sequence[tuple[str, str]] = ()
    edges: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    counts: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    calibration_counts: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    evidence: Mapping[int, Evidence] = field(default_factory=dict)
    novel_rows: Sequence[NovelRow] = ()
    novel_rows_total: int | None = 0
    drift: Mapping[str, object] = field(default_factory=dict)
    top_n: int = 100
    pictures: bool = False
    waves: bool = False
    known: Mapping[int, str] = field(default_factory=dict)
    kinds: Sequence[RowGroup] = ()
    content: Mapping[int, str] = field(default_factory=dict)
    groups: Sequence[RowGroup] = ()
    grouped: int = 0
    map: NightMap | None = None
    below: Sequence[CutRow] = ()
    ordinary: Sequence[CutRow] = ()
    p_counts: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    columns: Sequence[ColumnCheck] = ()
    zone: str = ""
    owner: str = ""
    earlier: Sequence[NightLine] = ()
    checks: dict[str, str] = field(default_factory=dict)
    changes: Changes | None = None
    made_with: Mapping[str, str] = field(default_factory=dict)
    command: str = ""

    @property
    def in_sample(self) -> bool:
        """Whether the rows were compared with each other, for want of a clean set."""
        return self.date == IN_SAMPLE

    @property
    def unusual(self) -> int:
        """Flagged rows, without those that are known normal."""
        return self.flagged - self.known_normal

    @property
    def flooded(self) -> bool:
        """Whether more rows are flagged than the alert budget allows, whatever the verdict."""
        return self.verdict.startswith("FLOOD") or "FLOOD" in self.notes

    @property
    def novel_by_chance(self) -> float:
        """Novel rows expected among as many clean rows."""
        return self.rows / (self.calibration_rows + 1)

    @property
    def threshold(self) -> float | None:
        """The score above which rows are flagged, or None if there is no finite one."""
        finite = self.cut_score is not None and np.isfinite(self.cut_score)
        return self.cut_score if finite else None

    @property
    def complete(self) -> bool:
        """Whether every row was scored."""
        nothing_scored = self.verdict.startswith(("FAILED", "NO DATA"))
        return self.shards_done == self.shards_total and not (nothing_scored or self.failed)
