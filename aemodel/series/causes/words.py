"""An event in one sentence, by what its worst sensor does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from aemodel.series.causes.sensor import SensorView, Stretch, Vector, longest, outside
from aemodel.series.causes.units import RowClock, value_text

FAR = 0.5  # widths of the clean band outside of it that outweigh a value that stands still
NEAR = 0.1  # widths outside of it that are not worth a word
FAST, SLOW = 1.5, 0.6  # times the usual
RELATED = 0.4  # correlation of sensors that move together
SHIFT = 0.75  # spreads off what is expected that are worth a word
APART = 0.5  # of that correlation, below which they no longer do


@dataclass(frozen=True)
class Scene:
    """The sensors of an event, worst first.

    related: correlation of the worst sensor with each sensor when clean, in the order of `views`.
    hop: rows of a block.
    """

    views: Sequence[SensorView]
    related: Sequence[float]
    hop: int
    clock: RowClock

    @property
    def worst(self) -> SensorView:
        """The sensor that stands out most."""
        return self.views[0]

    @property
    def brief(self) -> int:
        """Rows at most of what is a spike."""
        return max(3, self.hop // 2)


def sentence(scene: Scene) -> str:
    """Say what the worst sensor does, by the first description that fits."""
    for describe in _DESCRIPTIONS:
        if words := describe(scene):
            return words
    return _unexpected(scene)


def _missing(scene: Scene) -> str:
    gap = scene.worst.missing()
    if gap.rows < min(scene.hop, scene.brief):
        return ""
    return f"{scene.worst.name} missing for {scene.clock.duration(gap.rows)}"


def _far_outside(scene: Scene) -> str:
    view = scene.worst
    found = outside(view, margin=FAR, gap=scene.hop)
    if not found.rows:
        return ""
    if outside(view, margin=NEAR, gap=scene.hop).rows > 2 * scene.brief:
        return _outside_for(scene, found if found.rows > scene.brief else None)
    return _spike(view, found)


def _near_outside(scene: Scene) -> str:
    return _outside_for(scene, None)


def _outside_for(scene: Scene, found: Stretch | None) -> str:
    """Say how far outside of its band the sensor is and for how long, NEAR it unless `found`."""
    view = scene.worst
    found = found or outside(view, margin=NEAR, gap=scene.hop)
    if found.rows <= scene.brief:
        return ""
    beyond = view.beyond(0)[found.start : found.stop]
    away = float(np.median(beyond[beyond != 0]))
    side = "above" if away > 0 else "below"
    duration = scene.clock.duration(found.rows)
    return f"{view.name} {value_text(abs(away), view.width)} {side} its clean range for {duration}"


def _spike(view: SensorView, found: Stretch) -> str:
    beyond = view.beyond(FAR)[found.start : found.stop]
    top = int(np.abs(beyond).argmax())
    verb = "spikes" if beyond[top] > 0 else "drops"
    low, high, value = (
        value_text(each, view.width)
        for each in (view.low, view.high, float(view.values[found.start + top]))
    )
    return f"{view.name} {verb} to {value} (clean 1–99 %: {low} to {high})"


def _flat(scene: Scene) -> str:
    view = scene.worst
    found = view.still()
    if found.rows < max(scene.hop, scene.brief) or not view.usual.any():
        return ""
    words = f"{view.name} flat for {scene.clock.duration(found.rows)}"
    others = [
        (abs(related) * _travel(other, found), other.name)
        for other, related in zip(scene.views[1:], scene.related[1:], strict=True)
        if _travel(other, found) > 1
    ]
    return f"{words} while {max(others)[1]} moves" if others else words


def _travel(view: SensorView, rows: Stretch) -> float:
    """Return the range of values in some rows, in spreads."""
    values = view.values[rows.start : rows.stop]
    seen = values[~np.isnan(values)]
    return float(np.ptp(seen)) / view.spread if len(seen) else 0.0


def _speed(scene: Scene) -> str:
    """Compare moves at the finest scale, or else at the scale that grew most."""
    view = scene.worst
    times = _times_usual(view)
    scale = int(times.argmax())
    if times[0] >= FAST:
        return f"{view.name} moves {times[0]:.2g} times as fast as usual"
    if times[scale] >= FAST:
        span = scene.clock.duration(2 ** (scale + 1))
        return f"{view.name} swings {times[scale]:.2g} times as far as usual within {span}"
    if times[0] <= SLOW:
        return f"{view.name} moves {times[0]:.2g} times as fast as usual"
    return ""


def _times_usual(view: SensorView) -> Vector:
    """Return how far (f,) values move at each fine scale, in units of what they usually do."""
    level = view.values[view.start : view.stop]
    level = level[~np.isnan(level)]
    found = np.ones(max(len(view.usual), 1))
    for scale, usual in enumerate(view.usual):
        pairs = level[: len(level) // 2 * 2].reshape(-1, 2)
        if not len(pairs) or usual <= 0:
            break
        found[scale] = np.sqrt(np.mean(((pairs[:, 1] - pairs[:, 0]) / 2) ** 2)) / usual
        level = pairs.mean(axis=1)
    return found


def _apart(scene: Scene) -> str:
    related = [abs(each) for each in scene.related]
    related[0] = 0
    partner = int(np.argmax(related))
    if related[partner] < RELATED:
        return ""
    one, other = scene.worst, scene.views[partner]
    clean = scene.related[partner]
    if _correlation(one, other) * np.sign(clean) > APART * abs(clean):
        return ""
    how = "together" if clean > 0 else "against each other"
    return f"{one.name} and {other.name} no longer move {how}"


def _correlation(one: SensorView, other: SensorView) -> float:
    """Return the correlation of two sensors in the event; 0 if one of them stands still."""
    pairs = np.stack([each.values[one.start : one.stop] for each in (one, other)])
    pairs = pairs[:, ~np.isnan(pairs).any(axis=0)]
    if pairs.shape[1] < 3 or not np.all(pairs.std(axis=1)):
        return 0.0
    return float(np.asarray(np.corrcoef(pairs))[0, 1])


def _shifted(scene: Scene) -> str:
    """Say how far the sensor is from what the others imply, on one side for a block at least."""
    view = scene.worst
    away = (view.values - view.expected) / view.spread
    sides = [longest(sign * away > SHIFT, view.start, view.stop) for sign in (1, -1)]
    found = max(sides, key=lambda each: each.rows)
    if found.rows < scene.hop:
        return ""
    distance = float(np.median(away[found.start : found.stop])) * view.spread
    side = "above" if distance > 0 else "below"
    duration = scene.clock.duration(found.rows)
    size = value_text(abs(distance), view.width)
    return f"{view.name} {size} {side} what is expected for {duration}"


def _unexpected(scene: Scene) -> str:
    view = scene.worst
    away = np.abs(view.values - view.expected)[view.start : view.stop]
    if np.isnan(away).all():
        return f"{view.name} is not as expected"
    row = view.start + int(np.nanargmax(away))
    value, expected = (
        value_text(float(each[row]), view.width) for each in (view.values, view.expected)
    )
    return f"{view.name} {value} where {expected} is expected"


_DESCRIPTIONS: tuple[Callable[[Scene], str], ...] = (
    _missing,
    _far_outside,
    _flat,
    _speed,
    _near_outside,
    _apart,
    _shifted,
)
