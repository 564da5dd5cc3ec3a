"""The scores of rows beside those of calibration rows, as a plot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, CLEAN, CUT = "#3f74e8", "#a9b4c4", "#d2483f"
BINS = 60
LOWEST = 1e-12  # of the highest score: below it, scores share the first bin of a log axis

Scores = NDArray[np.float64]


def score_plot(
    calibration: Scores, rows: Scores | None, cut: float, *, name: str, axes: Axes | None
) -> Axes:
    """Draw the calibration scores (n,) and, if given, those of rows (m,), with the cut.

    name: of the score. axes: to draw on; None for those of a new figure.
    """
    parts = [calibration, rows if rows is not None else np.empty(0)]
    edges = log_edges(np.concatenate([*parts, [cut]]))
    axes = _new_axes() if axes is None else axes
    for scores, color, label, filled in (
        (parts[0], CLEAN, "clean rows (calibration)", True),
        (parts[1], INK, "these rows", False),
    ):
        if len(scores):
            shares = np.histogram(scores.clip(edges[0], edges[-1]), edges)[0] / len(scores)
            axes.stairs(shares, edges, color=color, fill=filled, label=label, linewidth=1.6)
    if np.isfinite(cut):
        axes.axvline(max(cut, edges[0]), color=CUT, linewidth=1.2, label="cut")
    axes.set(xscale="log", xlabel=f"{name} (log scale)", ylabel="share of rows")
    axes.legend(frameon=False)
    return axes


def log_edges(scores: Scores) -> Scores:
    """Return bins (b + 1,) of equal width on a log axis that hold all finite scores (n,)."""
    positive = scores[np.isfinite(scores) & (scores > 0)]
    if not len(positive):
        return np.geomspace(0.1, 1, BINS + 1)
    high = float(positive.max())
    low = max(float(positive.min()), high * LOWEST)
    return np.geomspace(low * 0.999, high * 1.001, BINS + 1)


def _new_axes() -> Axes:
    from matplotlib import pyplot  # late: slow to import

    return pyplot.subplots(figsize=(8, 3), layout="constrained")[1]
