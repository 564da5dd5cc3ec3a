"""What judges each entity of a night: the model, or one fitted on its first rows."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from aemodel.series.fitting.fit_scorer import fit_on_warmup
from aemodel.series.model import SeriesModel
from aemodel.series.windows.pyramid import Values
from flows.engine.series_rows import read_range
from storage.sources.series.source import SeriesSource


@dataclass(frozen=True)
class Judge:
    """The model by which the rows of one entity are judged, and the row of its levels."""

    model: SeriesModel
    row: int

    def scaled(self, rows: NDArray[np.generic]) -> Values:
        """Return rows (n, d) in scaled units without gaps."""
        return self.model.scaled(rows, self.row)


@dataclass(frozen=True)
class Judges:
    """The judges of all entities of a night."""

    model: SeriesModel
    source: SeriesSource
    found: dict[int, Judge] = field(default_factory=dict)

    def of(self, entity: int) -> Judge:
        """Return the judge of an entity, by its place in the source's entities."""
        if entity not in self.found:
            self.found[entity] = self._judge(entity)
        return self.found[entity]

    def _judge(self, entity: int) -> Judge:
        model, name = self.model, self.source.entities[entity]
        rows = self._warmup_rows(entity)
        if rows is None:
            return Judge(model, int(model.levels.rows_of([name])[0]))
        return Judge(fit_on_warmup(model, rows), 0)

    def _warmup_rows(self, entity: int) -> NDArray[np.generic] | None:
        """Return the first rows of an entity; None without a warm-up, or with too few rows."""
        warmup = self.model.settings.baseline.rows
        first, stop = self.source.rows_of(self.source.entities[entity])
        if not warmup or stop - first < warmup:
            return None
        before = int(self.source.context.counts.max(initial=0))
        last = min(stop, first + before + 2 * warmup)  # some may not be usable
        found = read_range(self.source, first, last, warmup)
        own = ~found.series.context & found.usable
        rows = found.rows[own][:warmup]
        return rows if len(rows) == warmup else None
