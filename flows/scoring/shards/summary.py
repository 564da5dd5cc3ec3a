"""Small summaries of scored rows that merge exactly, whatever the shards or their order.

The sums over features are exact up to rounding; no decision depends on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aemodel.decisions.entity_groups import EntityGroups
from aemodel.decisions.feature_shift import FeatureTally
from aemodel.decisions.ranking import Ranking, Tally, best_first
from aemodel.decisions.unknown_entities import UnknownEntities
from aemodel.explain.clean_range import count_outside
from aemodel.model import Autoencoder
from aemodel.scores.p_values import p_values_of_ranks
from aemodel.scores.repeated_rows import RepeatedRows
from storage.sources import Chunk

MOST_NOVEL = 50  # novel rows kept if rows are ranked by another score
MOST_DRAWN = 40  # rows kept whatever their scores, to show ordinary ones
ARRAYS = ("scores", "rows", "values")


@dataclass(frozen=True)
class Candidates:
    """At most `keep` rows with their values, in order of rank.

    Order: score descending, row ascending.
    scores (n,) float64; rows (n,) int64; values (n, *row_shape) in the source's dtype. The scores
    on disk hold the ids, which may be of any length.
    """

    keep: int
    scores: NDArray[np.float64]
    rows: NDArray[np.int64]
    values: NDArray[np.generic]

    @classmethod
    def of_chunk(
        cls, keep: int, chunk: Chunk, scores: NDArray[np.float64], *, least: float = -np.inf
    ) -> Candidates:
        """Take the `keep` highest rows of one chunk with scores (n,) of at least `least`."""
        rows, high = chunk.row_numbers, np.flatnonzero(scores >= least)
        best = high[best_first(scores[high], rows[high], keep)]
        return cls(keep, scores[best], rows[best], chunk.rows[best])

    @classmethod
    def none(cls, keep: int) -> Candidates:
        """No rows."""
        return cls(keep, np.empty(0), np.empty(0, np.int64), np.empty(0))

    def merge(self, other: Candidates) -> Candidates:
        """Return the `keep` highest rows of both."""
        scores = np.concatenate([self.scores, other.scores])
        rows = np.concatenate([self.rows, other.rows])
        best = best_first(scores, rows, self.keep)
        return Candidates(
            self.keep,
            scores[best],
            rows[best],
            np.concatenate([self.values, other.values])[best],
        )

    @property
    def least(self) -> float:
        """The score that another row must reach to be kept beside these."""
        return float(self.scores[-1]) if 0 < self.keep == len(self.scores) else -np.inf

    @property
    def ranking(self) -> Ranking:
        """Scores and rows only."""
        return Ranking(self.keep, self.scores, self.rows)

    def to_arrays(self, prefix: str) -> dict[str, NDArray[np.generic]]:
        """Return the arrays by name, for an .npz file."""
        return {f"{prefix}.{name}": getattr(self, name) for name in ARRAYS}

    @classmethod
    def from_arrays(
        cls, keep: int, prefix: str, arrays: Mapping[str, NDArray[np.generic]]
    ) -> Candidates:
        """Rebuild from what `to_arrays` returned."""
        found = [arrays[f"{prefix}.{name}"] for name in ARRAYS]
        return cls(keep, *found)  # type: ignore[arg-type] # each has the dtype it was saved with


@dataclass(frozen=True)
class ShardSummary:
    """What a night's decision and report need from scored rows.

    tally: counts against the calibration scores. best: the highest rows. novel: the most novel of
    the other rows, if novelty was computed and does not rank them. features: sums of each feature.
    unknown: entities without clean rows. drawn: rows whose numbers have the highest hashes.
    repeated: how often rows repeat each other.
    A row scoring above all calibration scores leads the ranking anyway and is never in `novel`.
    """

    tally: Tally
    best: Candidates
    novel: Candidates
    features: FeatureTally
    unknown: UnknownEntities
    drawn: Candidates = field(default_factory=lambda: Candidates.none(MOST_DRAWN))
    repeated: RepeatedRows = field(default_factory=RepeatedRows.none)

    def merge(self, other: ShardSummary) -> ShardSummary:
        """Return the summary of the rows of both."""
        return ShardSummary(
            self.tally.merge(other.tally),
            self.best.merge(other.best),
            self.novel.merge(other.novel),
            self.features.merge(other.features),
            self.unknown.merge(other.unknown),
            self.drawn.merge(other.drawn),
            self.repeated.merge(other.repeated),
        )

    def save(self, path: Path) -> None:
        """Write an .npz file without pickles."""
        tally = {
            "by_rank": self.tally.by_rank,
            "picture": self.tally.picture,
            "above": np.array(self.tally.above),
            "n": np.array(self.tally.rows),
        }
        rows = self.best.to_arrays("best") | self.novel.to_arrays("strange")
        rows |= self.drawn.to_arrays("drawn")
        features = {f"features.{name}": value for name, value in vars(self.features).items()}
        unknown = {f"unknown.{name}": value for name, value in vars(self.unknown).items()}
        repeated = {f"repeated.{name}": value for name, value in vars(self.repeated).items()}
        with path.open("wb") as file:
            np.savez(file, allow_pickle=False, **tally, **rows, **features, **unknown, **repeated)

    @classmethod
    def load(cls, path: Path, keep: int) -> ShardSummary:
        """Read a file written by `save`."""
        with np.load(path, allow_pickle=False) as file:
            return cls(
                Tally(file["by_rank"], file["picture"], int(file["above"]), int(file["n"])),
                Candidates.from_arrays(keep, "best", file),
                Candidates.from_arrays(MOST_NOVEL, "strange", file),
                _load_features(file),
                _load_unknown(file),
                Candidates.from_arrays(MOST_DRAWN, "drawn", file),
                RepeatedRows(
                    file["repeated.keys"], file["repeated.counts"], int(file["repeated.halvings"])
                ),
            )


def _load_features(arrays: Mapping[str, NDArray[np.generic]]) -> FeatureTally:
    names = ("count", "total", "squares", "outside")
    sums = [arrays[f"features.{name}"].astype(np.float64) for name in names]
    return FeatureTally(int(arrays["features.rows"]), *sums)


def _load_unknown(arrays: Mapping[str, NDArray[np.generic]]) -> UnknownEntities:
    if "unknown.keys" not in arrays:  # written before there were entities
        return UnknownEntities.none()
    keys = arrays["unknown.keys"].astype(np.float64)
    counts = arrays["unknown.counts"].astype(np.int64)
    return UnknownEntities(keys, counts, int(arrays["unknown.unnamed"]))


@dataclass(frozen=True)
class ScoredChunk:
    """A chunk with its scores (n,) by name, and its rows in scaled units (n, d).

    ranks: (n,), of the score that ranks, among the calibration scores.
    """

    chunk: Chunk
    scores: Mapping[str, NDArray[np.float64]]
    scaled: NDArray[np.float32]
    ranks: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Summarizer:
    """Summarizes scored chunks.

    by: the score that ranks, one of SCORES. threshold: rows above it are counted in the tally.
    keep: number of rows kept in detail. groups: by which rows are ranked, if there are any.
    """

    model: Autoencoder
    by: str
    threshold: float
    keep: int
    groups: EntityGroups | None = None

    @property
    def calibration(self) -> NDArray[np.float64]:
        """Calibration scores (n,) of the score that ranks, ascending."""
        return self.model.calibration_by(self.by)

    def summarize(self, scored: ScoredChunk, known: ShardSummary | None = None) -> ShardSummary:
        """Summarize one chunk.

        known: a summary to merge this with; rows that rank below all of its rows are left out.
        """
        chunk, scaled, measured = scored.chunk, scored.scaled, self.model.measured
        found = scored.scores[self.by]
        ranked = self.groups.judged(chunk.rows, found) if self.groups else found
        return ShardSummary(
            Tally.of(
                self.calibration,
                found,
                threshold=self.threshold,
                judged=ranked,
                among=scored.ranks,
            ),
            Candidates.of_chunk(
                self.keep, chunk, ranked, least=known.best.least if known else -np.inf
            ),
            self._novel(scored, ranked, known),
            FeatureTally.of(
                self.model.to_values(scaled),
                measured.feature_center,
                measured.feature_spread,
                count_outside(self.model, scaled),
            ),
            UnknownEntities.of(self.model.scaler.entities, chunk.rows),
            Candidates.of_chunk(
                MOST_DRAWN,
                chunk,
                _hashes(chunk.row_numbers),
                least=known.drawn.least if known else -np.inf,
            ),
            RepeatedRows.of(chunk.rows, found, halvings=known.repeated.halvings if known else 0),
        )

    def _novel(
        self,
        scored: ScoredChunk,
        ranked: NDArray[np.float64],
        known: ShardSummary | None,
    ) -> Candidates:
        """Return the most novel rows; none if novelty ranks rows or was not computed."""
        if self.by == "novelty" or "novelty" not in scored.scores:
            return Candidates.of_chunk(0, scored.chunk, ranked)
        below_top = np.where(ranked > self._highest, -np.inf, scored.scores["novelty"])
        least = known.novel.least if known else -np.inf
        return Candidates.of_chunk(MOST_NOVEL, scored.chunk, below_top, least=least)

    def p_values(self, scored: ScoredChunk) -> NDArray[np.float64] | None:
        """Return the p-values (n,) of a chunk; None if they are unknown."""
        if not len(self.calibration):
            return None
        if self.groups:
            return self.groups.p_values(scored.chunk.rows, scored.scores[self.by])
        return p_values_of_ranks(scored.ranks, len(self.calibration))

    @cached_property
    def _highest(self) -> float:
        """The highest score that ranks, of all calibration rows."""
        ranked = self.groups.judged_calibration if self.groups else self.calibration
        return float(ranked[-1]) if len(ranked) else np.inf


def _hashes(rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return a hash of each row number (n,), evenly spread from 0 to 1 (Fibonacci hashing)."""
    mixed = rows.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(32))) * np.uint64(0xD6E8FEB86659FD93)
    return (mixed >> np.uint64(11)) / float(1 << 53)
