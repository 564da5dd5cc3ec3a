"""The cause of an event: sensors, expected values, and a sentence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aemodel.series.causes.attribution import Unusual
from aemodel.series.causes.clean_moves import CleanMoves, Indices, Matrix
from aemodel.series.causes.expected import expected_rows
from aemodel.series.causes.sensor import SensorView
from aemodel.series.causes.units import RowClock
from aemodel.series.causes.words import Scene, sentence
from aemodel.series.model import SeriesModel
from aemodel.series.windows.pyramid import Values

MOST_VALUES = 1 << 21  # in the rows that explain an event, so that memory is bounded


@dataclass(frozen=True, kw_only=True)
class EventRows:
    """Rows (n, d) of one segment in data units, NaN is a gap; the event is `start` to `stop`.

    They need one window of rows in all, and should have one or two windows before and after the
    event. entity: row of the entity in the model's levels. whole: where the event begins and
    stops if these are a part of it, see `explained_part`; it may reach beyond the rows.
    """

    rows: NDArray[np.generic]
    start: int
    stop: int
    entity: int = 0
    whole: tuple[int, int] | None = None

    @property
    def around(self) -> NDArray[np.bool_]:
        """Which rows (n,) are not of the event."""
        start, stop = self.whole or (self.start, self.stop)
        found = np.ones(len(self.rows), np.bool_)
        found[max(0, start) : max(0, stop)] = False
        return found


def explained_part(start: int, stop: int, peak: int, *, sensors: int) -> tuple[int, int]:
    """Return where the part of an event begins and ends that explains it: all, or around the peak.

    >>> explained_part(0, 10_000_000, 7_000_000, sensors=2)
    (6475712, 7524288)
    """
    most = MOST_VALUES // max(1, sensors)
    first = min(max(start, peak - most // 2), max(start, stop - most))
    return first, min(stop, first + most)


@dataclass(frozen=True)
class SensorShare:
    """A sensor by its place and name, and its share in what is unusual about an event, 0 to 1."""

    index: int
    name: str
    share: float


@dataclass(frozen=True)
class EventCause:
    """sensors: all of them, worst first. expected (n, d): in data units. words: one sentence."""

    sensors: tuple[SensorShare, ...]
    expected: Matrix
    words: str


def explain_event(model: SeriesModel, event: EventRows) -> EventCause:
    """Explain an event. Where a night has a warm-up, `model` has that night's levels and scorer.

    Raises ValueError if there are fewer rows than a window.
    """
    scaled = model.scaled(event.rows, event.entity)
    if len(scaled) < model.scorer.window:
        raise ValueError(
            f"rows must hold at least one window, {model.scorer.window} rows. "
            f"Got {len(scaled)} instead."
        )
    moves = CleanMoves.of(model.scorer.whitening)
    unusual = Unusual(moves, _cut(scaled, event, model.scorer.window))
    shares = _with_gaps(unusual.shares(), event)
    order = np.argsort(-shares, kind="stable")
    suspects = unusual.suspects(int(order[0]))
    expected = _expected(model, moves, event, suspects)
    sensors = tuple(
        SensorShare(index, model.sensors[index], float(shares[index])) for index in order.tolist()
    )
    words = sentence(_scene(model, moves, event, expected, order))
    seen = event.stop - event.start
    start, stop = event.whole or (event.start, event.stop)
    if seen < stop - start:
        words = f"{words} (seen in {seen:,} of {stop - start:,} rows, around the peak)"
    return EventCause(sensors, expected, words)


def _cut(scaled: Values, event: EventRows, window: int) -> Values:
    """Return the rows of the event, and of what is around it as far as a window needs."""
    lacking = max(window - (event.stop - event.start), 0)
    start = min(max(event.start - lacking // 2, 0), len(scaled) - window)
    return scaled[start : max(event.stop, start + window)]


def _with_gaps(shares: Matrix, event: EventRows) -> Matrix:
    """Raise the shares (d,) of sensors that have more gaps in the event than around it."""
    missing = np.isnan(event.rows.astype(np.float64))
    within = missing[event.start : event.stop].mean(axis=0)
    around = missing[event.around].sum(axis=0) / max(event.around.sum(), 1)
    raised = shares + np.maximum(within - around, 0)
    return np.asarray(raised / max(raised.sum(), 1e-12))


def _expected(model: SeriesModel, moves: CleanMoves, event: EventRows, suspects: Indices) -> Matrix:
    """Return the expected values (n, d) in data units, as far off as the rows around are."""
    scaled = model.scaled(event.rows, event.entity)
    found = expected_rows(moves, scaled, suspects=suspects)
    around = event.around
    if around.sum() >= model.scorer.hop:
        found = found + np.median(scaled[around] - found[around], axis=0)
    center, spread = model.levels.center[event.entity], model.levels.spread[event.entity]
    return np.asarray(center + spread * found)


def _scene(
    model: SeriesModel, moves: CleanMoves, event: EventRows, expected: Matrix, order: Indices
) -> Scene:
    covariance = moves.clean.sum(axis=0)
    deviations = np.sqrt(np.diag(covariance))
    related = covariance[order[0]] / (deviations * deviations[order[0]])
    return Scene(
        views=[_view(model, moves, event, expected, int(index)) for index in order],
        related=[float(related[index]) for index in order],
        hop=model.scorer.hop,
        clock=RowClock(model.step if model.in_seconds else None),
    )


def _view(
    model: SeriesModel, moves: CleanMoves, event: EventRows, expected: Matrix, index: int
) -> SensorView:
    center = float(model.levels.center[event.entity, index])
    spread = float(model.levels.spread[event.entity, index])
    low, high = center + spread * model.band[:, index]
    return SensorView(
        name=model.sensors[index],
        values=event.rows[:, index].astype(np.float64),
        expected=expected[:, index],
        start=event.start,
        stop=event.stop,
        low=float(low),
        high=float(high),
        spread=spread,
        usual=spread * np.sqrt(moves.energies[: moves.pyramid.n_fine, index]),
    )
