"""Why a stretch of rows is an event: which sensors, and in which way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aemodel.series.levels import Levels
from aemodel.series.model import SeriesModel
from aemodel.series.scorer import WindowScorer


@dataclass(frozen=True)
class SensorShare:
    """A sensor by its place, and its share of the event, 0 to 1."""

    index: int
    share: float


@dataclass(frozen=True)
class EventCause:
    """words: one sentence. sensors: worst first. expected (n, d): in data units."""

    words: str
    sensors: tuple[SensorShare, ...]
    expected: NDArray[np.float64]


def explain_event(
    model: SeriesModel,
    scorer: WindowScorer,
    levels: Levels,
    row: int,
    rows: NDArray[np.generic],
    inside: slice,
) -> EventCause:
    """Explain the rows `inside` of rows (n, d) of an entity, whose level is in row `row`."""
    scaled = np.nan_to_num(levels.scale(rows, row))
    found = scorer.whitening.by_sensor(scaled[inside])
    ratio = np.maximum(found, 1e-3)
    parts = (ratio - 1 - np.log(ratio)).sum(axis=0)
    shares = parts / max(parts.sum(), 1e-12)
    order = np.argsort(-shares)
    sensors = tuple(SensorShare(int(each), float(shares[each])) for each in order)
    words = f"{model.sensors[sensors[0].index]} moves otherwise than in clean data"
    expected = np.broadcast_to(levels.center[row], rows.shape).astype(np.float64)
    return EventCause(words, sensors, expected)
