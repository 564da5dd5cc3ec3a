"""Which sensors have no values tonight, in more rows than clean data explains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aemodel.series.model import SeriesModel
from storage.text import list_first

MOST_NAMED = 5  # sensors in the note, and entities of each
SELDOM = 0.05  # share of the clean rows without a value

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Gaps:
    """How often sensors have no value.

    entities, rows: (k,) those with judged rows, ascending, and how many each has. missing: (k, d)
    the rows among these in which a sensor has no value for a window or longer: in a shorter gap,
    windows see the last value.
    """

    entities: NDArray[np.int32]
    rows: Counts
    missing: Counts

    @classmethod
    def none(cls) -> Gaps:
        """No rows."""
        return cls(np.empty(0, np.int32), np.empty(0, np.int64), np.empty((0, 0), np.int64))

    @classmethod
    def of(cls, entities: NDArray[np.int32], rows: NDArray[np.generic], window: int) -> Gaps:
        """Count in rows (n, d) in series order, of entities (n,)."""
        if not len(rows):
            return cls.none()
        starts = np.flatnonzero(np.diff(entities, prepend=entities[0] - 1))
        counts = np.diff(starts, append=len(rows))
        missing = np.isnan(rows)
        for sensor in np.flatnonzero(missing.any(axis=0)):
            missing[:, sensor] &= _in_long_gaps(missing[:, sensor], starts, counts, window)
        sums = np.add.reduceat(missing, starts, axis=0, dtype=np.int64)
        return cls(entities[starts], counts, sums)

    def merge(self, later: Gaps) -> Gaps:
        """Return the counts of both."""
        if not (len(self.rows) and len(later.rows)):
            return self if len(self.rows) else later
        entities = np.concatenate([self.entities, later.entities])
        found, place = np.unique(entities, return_inverse=True)
        rows = np.zeros(len(found), np.int64)
        missing = np.zeros((len(found), self.missing.shape[1]), np.int64)
        np.add.at(rows, place, np.concatenate([self.rows, later.rows]))
        np.add.at(missing, place, np.concatenate([self.missing, later.missing]))
        return Gaps(found, rows, missing)


def _in_long_gaps(
    missing: NDArray[np.bool_], starts: Counts, counts: Counts, window: int
) -> NDArray[np.bool_]:
    """Return which rows (n,) lie in a run of `window` missing ones, or of all of their entity."""
    begins = missing.copy()
    begins[1:] &= ~missing[:-1]
    begins[starts] = missing[starts]
    run = np.cumsum(begins) - 1
    entity = np.repeat(np.arange(len(starts)), counts)
    lengths = np.bincount(run[missing], minlength=1)
    return np.asarray(missing & (lengths[run] >= np.minimum(window, counts[entity])))


@dataclass(frozen=True)
class LostSensors:
    """Sensors of entities that windows hardly see tonight. count: of these; total: of all."""

    count: int
    total: int
    notes: tuple[str, ...]


def lost_sensors(gaps: Gaps, model: SeriesModel, names: Sequence[str]) -> LostSensors:
    """Find sensors without values in a window more rows than their share of the clean rows.

    Windows see a level that stands still there. It must be twice that share, or all rows: clean
    nights differ in how often values are missing.
    Nights shorter than a window lack a sensor if none of their rows has it, as clean rows seldom
    do. names: of the entities that `gaps` counts.
    """
    if not len(gaps.rows):
        return LostSensors(0, 0, ())
    levels, rows = model.levels, gaps.rows[:, None]
    usual = levels.missing[levels.rows_of([names[each] for each in gaps.entities])]
    expected = usual * rows
    least = np.maximum(model.scorer.window, np.minimum(expected, rows - expected))
    lost = gaps.missing - expected >= least
    lost |= (gaps.missing == rows) & (usual <= SELDOM)
    found = []
    for sensor in np.flatnonzero(lost.any(axis=0)):
        there = lost[:, sensor]
        missing, of_rows = gaps.missing[there, sensor].sum(), gaps.rows[there].sum()
        of = [names[each] for each in gaps.entities[there] if names[each]]
        whose = f" ({list_first(of, MOST_NAMED)})" if of else ""
        found.append(f"'{model.sensors[sensor]}' in {missing:,} of {of_rows:,} rows{whose}")
    listed = list_first(found, MOST_NAMED)
    note = f"values are missing that clean rows have, so events may be missed: {listed}"
    return LostSensors(int(lost.sum()), lost.size, (note,) if found else ())
