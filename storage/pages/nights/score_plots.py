"""Where the cut lies: histograms of scores and of p-values, as plain SVG shapes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from storage.nights.night import Night
from storage.pages import number
from storage.pages.score_bins import rows_by_bin, shown_bins

WIDTH, HEIGHT = 1000.0, 180.0
FEWEST_TICKS, MOST_TICKS = 3, 6


@dataclass(frozen=True)
class Tick:
    """A label at a place: percent of the width, or pixels from the top."""

    place: float
    label: str


@dataclass(frozen=True)
class ScorePlot:
    """Shares of rows by score, both axes logarithmic: two paths in a box of WIDTH by HEIGHT.

    cut: percent of the width. budget: the same, of the score that the highest rows of the alert
    budget reach; None where fewer rows are flagged.
    """

    clean: str
    tonight: str
    cut: float | None
    budget: float | None
    across: Sequence[Tick]
    up: Sequence[Tick]


@dataclass(frozen=True)
class ChancePlot:
    """Rows by p-value: a path in a box of WIDTH by HEIGHT; even: where all bins are equal."""

    bars: str
    even: float
    highest: str


def draw_scores(night: Night) -> ScorePlot | None:
    """Draw tonight's scores over the calibration scores; None without either."""
    if not night.rows or not night.calibration_counts.sum():
        return None
    counts = night.counts + night.calibration_counts
    first, last = shown_bins(counts, night.threshold, night.edges)
    shares = [
        rows_by_bin(counts)[first:last] / max(1, counts.sum())
        for counts in (night.calibration_counts, night.counts)
    ]
    known = np.concatenate(shares)
    bottom = math.floor(math.log10(known[known > 0].min()) + 1e-9)
    edges = night.edges[first : last + 1]
    clean, tonight = (_steps(_heights(each, bottom)) for each in shares)
    return ScorePlot(
        clean=f"{clean}V{HEIGHT:g}H0Z",
        tonight=tonight,
        cut=_place(night.threshold, edges),
        budget=_place(_budget_score(night), edges),
        across=_score_ticks(edges),
        up=[
            Tick(round(HEIGHT * power / bottom, 1), f"{10.0**power:g}")
            for power in range(0, bottom - 1, -1 if bottom > -MOST_TICKS else -2)
        ],
    )


def draw_chances(night: Night) -> ChancePlot | None:
    """Draw tonight's p-values; None where they are not known."""
    counts, rows = night.p_counts, float(night.p_counts.sum())
    if not rows:
        return None
    most = 1.05 * max(float(counts.max()), rows / len(counts))
    heights = HEIGHT * (1 - counts / most)
    even = HEIGHT * (1 - rows / len(counts) / most)
    return ChancePlot(f"{_steps(heights)}V{HEIGHT:g}H0Z", round(even, 1), number(counts.max()))


def _budget_score(night: Night) -> float | None:
    """Return the lower edge of the bin where the highest rows reach the alert budget."""
    if night.flagged <= night.alert_budget:
        return None
    above = np.cumsum(rows_by_bin(night.counts)[::-1])[::-1]
    return float(night.edges[np.flatnonzero(above >= night.alert_budget)[-1]])


def _heights(shares: NDArray[np.float64], bottom: int) -> NDArray[np.float64]:
    """Return pixels from the top of shares on a log axis from 10^bottom to 1."""
    with np.errstate(divide="ignore"):
        return np.clip(HEIGHT * np.log10(shares) / bottom, 0, HEIGHT)


def _steps(heights: NDArray[np.float64]) -> str:
    """Return a path of steps over bins (b,), from the lower left."""
    width = WIDTH / len(heights)
    steps = [
        f"V{height:.1f}H{(index + 1) * width:.1f}" for index, height in enumerate(heights.tolist())
    ]
    return f"M0 {HEIGHT:g}{''.join(steps)}"


def _place(score: float | None, edges: NDArray[np.float64]) -> float | None:
    """Return where a score stands between the edges, in percent of the width."""
    if score is None or not score > 0:
        return None
    share = math.log(score / edges[0]) / math.log(edges[-1] / edges[0])
    return round(100 * min(max(share, 0.0), 1.0), 2)


def _score_ticks(edges: NDArray[np.float64]) -> list[Tick]:
    """Return powers of ten, or less round numbers where there are too few of these."""
    powers = range(math.floor(math.log10(edges[0])), math.ceil(math.log10(edges[-1])) + 1)
    found: list[float] = []
    for digits in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 7)):
        values = [digit * 10.0**power for power in powers for digit in digits]
        found = [value for value in values if edges[0] <= value <= edges[-1]]
        if len(found) >= FEWEST_TICKS:
            break
    if len(found) < FEWEST_TICKS:
        found = np.geomspace(edges[0], edges[-1], FEWEST_TICKS + 2)[1:-1].tolist()
    step = -(-len(found) // MOST_TICKS)
    places = [(_place(value, edges), value) for value in found[::step]]
    return [
        Tick(place, f"{float(f'{value:.3g}'):g}") for place, value in places if place is not None
    ]
