"""Geometry of one sensor in one view: lines over the clean band, as SVG paths and ticks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from storage.pages.events.paths import band_path, line_path
from storage.pages.events.report import Floats, SensorTrace
from storage.pages.events.thinning import envelope, extreme_positions
from storage.pages.events.ticks import Tick, value_ticks

WIDTH, HEIGHT = 1000, 400  # units of a panel's paths; it is stretched to its place in the page
GROUPS = 300  # two points each: as many as a plot has pixels to show
BAND_GROUPS = 120
PAUSE = 10  # median steps without a row that interrupt a line
MARGIN = 0.07  # of the height, above and below the lines


@dataclass(frozen=True)
class Panel:
    """Paths of the clean band, of the expected and of the actual line, and ticks of values.

    Places of ticks are percent of the height, from below.
    """

    band: str
    expected: str
    actual: str
    ticks: Sequence[Tick]


def draw_panel(
    trace: SensorTrace, times: NDArray[np.int64], span: tuple[int, int], *, detail: float = 1.0
) -> Panel:
    """Draw the part of a trace (n,) within a span of times.

    detail: the share of GROUPS that this panel's width shows.
    """
    part = slice(*np.searchsorted(times, [span[0], span[1] + 1]))
    x = (times[part] - span[0]) / max(1, span[1] - span[0]) * WIDTH
    actual, expected, low, high = (
        _plotted(each[part]) for each in (trace.actual, trace.expected, trace.low, trace.high)
    )
    limits = _limits(np.concatenate([actual, expected]), np.concatenate([low, high]))
    groups = max(2, int(detail * GROUPS))
    places, low, high = envelope(low, high, max(2, int(detail * BAND_GROUPS)))
    return Panel(
        band=band_path(x[places], _height(high, limits), _height(low, limits)),
        expected=_line(x, expected, limits, groups),
        actual=_line(x, actual, limits, groups),
        ticks=_below_top(value_ticks(*limits, most=4)),
    )


def _plotted(values: Floats) -> Floats:
    """Return values with NaN in place of infinity, which has no place on an axis."""
    return np.where(np.isfinite(values), values, np.nan)


def _line(x: Floats, values: Floats, limits: tuple[float, float], groups: int) -> str:
    places = extreme_positions(values, groups)
    pauses = _pauses(x)
    at = np.searchsorted(places, pauses)
    x_shown = np.insert(x[places], at, x[pauses])
    return line_path(x_shown, _height(np.insert(values[places], at, np.nan), limits))


def _pauses(x: Floats) -> NDArray[np.intp]:
    """Return the positions after which rows are missing."""
    steps = np.diff(x)
    if len(steps) == 0:
        return np.empty(0, np.intp)
    return np.flatnonzero(steps > PAUSE * np.median(steps)) + 1


def _limits(lines: Floats, band: Floats) -> tuple[float, float]:
    """Return the values at the bottom and the top: the lines, and what is near of the band."""
    seen = lines[np.isfinite(lines)]
    edges = band[np.isfinite(band)]
    if not len(seen):
        seen = edges if len(edges) else np.zeros(1)
    low, high = float(seen.min()), float(seen.max())
    if len(edges):
        room = high - low if high > low else np.inf  # a wide band must not flatten the lines
        low = max(low - room, min(low, float(edges.min())))
        high = min(high + room, max(high, float(edges.max())))
    pad = MARGIN * (high - low) or 0.05 * abs(high) or 1.0
    pad = max(pad, 1e-300)  # ticks need a step that is a normal number
    largest = float(np.finfo(np.float64).max)
    return max(low - pad, -largest), min(high + pad, largest)


def _below_top(ticks: Sequence[Tick]) -> Sequence[Tick]:
    """Drop a tick whose label would reach into what is above the panel, if others remain."""
    below = [tick for tick in ticks if tick.place < 95]
    return below if len(below) > 1 else ticks


def _height(values: Floats, limits: tuple[float, float]) -> Floats:
    """Return y of values, downward; what is outside the panel stays close to it."""
    low, high = limits
    share = (values / 2 - low / 2) / (high / 2 - low / 2)  # halves: no overflow
    return np.clip(HEIGHT * (1 - share), -HEIGHT, 2 * HEIGHT)
