"""Plots as SVG that is the same, byte for byte, whenever and wherever it is drawn."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

INK = "#7d8897"  # readable on white and on black
NIGHT, CLEAN, CUT = "#3f74e8", "#a9b4c4", "#d2483f"
LINES = {"latents": "latents in 3 to 255 levels", "grid": "rounded to a grid, zstd"}
SETTINGS: Any = {
    "svg.hashsalt": "nightglass",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def score_histogram(
    edges: NDArray[np.float64],
    night: NDArray[np.int64],
    calibration: NDArray[np.int64],
    threshold: float | None,
) -> str:
    """Tonight's scores over the calibration scores, both as shares of their rows, with the cut: an SVG data URI.

    edges (b + 1,) ascending; night, calibration (b + 2,): counts below the first edge, between edges, above the last.
    """
    figure, axes = _figure(height=2.9)
    shown = slice(*_span(night + calibration, threshold, edges))
    for counts, color, name, fill in (
        (calibration, CLEAN, "clean rows (calibration)", True),
        (night, NIGHT, "tonight", False),
    ):
        share = _inside(counts)[shown] / max(1, counts.sum())
        axes.stairs(
            np.where(share > 0, share, np.nan),
            edges[shown.start : shown.stop + 1],
            color=color,
            fill=fill,
            label=name,
            linewidth=1.6,
        )
    axes.set(xscale="log", yscale="log", xlabel="score (log scale)", ylabel="share of rows")
    if threshold is not None and np.isfinite(threshold):
        axes.axvline(threshold, color=CUT, linewidth=1.2)
        axes.annotate(
            "flagged →",
            (threshold, 1),
            xycoords=("data", "axes fraction"),
            xytext=(4, -10),
            textcoords="offset points",
            color=CUT,
        )
    axes.legend(loc="upper right", frameon=False, labelcolor=INK)
    return _data_uri(figure)


def loss_curve(train: Sequence[float], validation: Sequence[float]) -> str:
    """Loss per epoch on fit and validation rows: an SVG data URI."""
    figure, axes = _figure(height=2.6)
    epochs = np.arange(1, len(train) + 1)
    drawn: Any = {"linewidth": 1.8, "marker": "o" if len(train) == 1 else ""}
    axes.plot(epochs, train, color=CLEAN, label="fit rows", **drawn)
    if np.isfinite(validation).any():
        axes.plot(epochs, validation, color=NIGHT, label="validation rows", **drawn)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set(xlabel="epoch", ylabel="loss", xlim=(0.5, len(train) + 0.5))
    axes.legend(loc="upper right", frameon=False, labelcolor=INK)
    return _data_uri(figure)


def calibration_histogram(calibration: NDArray[np.float64], score: str) -> str:
    """Scores (n,) of the calibration rows, of the kind that `score` names: an SVG data URI.

    A row without any value scores infinity: left out.
    """
    figure, axes = _figure(height=2.2)
    axes.hist(calibration[np.isfinite(calibration)], bins=60, color=NIGHT, log=True)
    axes.set(xlabel=f"{score} of calibration rows", ylabel="rows")
    return _data_uri(figure)


def ratio_plot(contest: Sequence[Mapping[str, Any]]) -> str:
    """How many times smaller than its source each codec of a contest makes a store, all within one bound: an SVG data URI."""
    ordered = sorted(contest, key=lambda entry: entry["ratio"])
    figure, axes = _figure(height=0.9 + 0.24 * len(ordered))
    bars = axes.barh(
        [entry["codec"] for entry in ordered], [entry["ratio"] for entry in ordered], color=CLEAN
    )
    bars[-1].set_color(NIGHT)
    axes.bar_label(bars, fmt="%.3g", padding=3, color=INK)
    axes.set(xlabel="times smaller than the source, estimated from the sample")
    return _data_uri(figure)


def error_plot(curve: Sequence[Mapping[str, Any]], rmse: float, ratio: float) -> str:
    """Root mean square error against the ratio to the source, a line for each codec of `curve`, and where the store lies: an SVG data URI."""
    from matplotlib.ticker import LogLocator, NullFormatter  # late, as below

    figure, axes = _figure(height=2.9)
    for codec, color, marker in (("latents", NIGHT, "o"), ("grid", CLEAN, "s")):
        points = [
            (each["ratio"], each["rmse"])
            for each in curve
            if each["codec"] == codec and each["rmse"] > 0
        ]
        if points:
            axes.plot(
                *zip(*sorted(points), strict=True),
                color=color,
                marker=marker,
                markersize=4,
                linewidth=1.6,
                label=LINES[codec],
            )
    if rmse > 0:
        axes.plot(
            [ratio], [rmse], color=CUT, marker="*", markersize=12, linestyle="", label="this store"
        )
    axes.set(xscale="log", yscale="log", xlabel="times smaller than the source", ylabel="RMSE")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.legend(loc="upper left", frameon=False, labelcolor=INK)
    return _data_uri(figure)


def _inside(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Counts (b,) per bin, with what lies beyond the ends put into the end bins."""
    inside = counts[1:-1].copy()
    inside[0] += counts[0]
    inside[-1] += counts[-1]
    return inside


def _span(
    counts: NDArray[np.int64], threshold: float | None, edges: NDArray[np.float64]
) -> tuple[int, int]:
    """The bins worth showing: those with rows, and the one with the cut."""
    filled = np.flatnonzero(_inside(counts))
    first, last = (int(filled[0]), int(filled[-1])) if len(filled) else (0, len(edges) - 2)
    if threshold is not None and np.isfinite(threshold):
        place = int(np.clip(np.searchsorted(edges, threshold) - 1, 0, len(edges) - 2))
        first, last = min(first, place), max(last, place)
    return max(0, first - 1), min(len(edges) - 1, last + 2)


def _figure(*, height: float) -> tuple[Any, Any]:
    from matplotlib import rc_context  # late: takes half a second to import
    from matplotlib.figure import Figure

    with rc_context(SETTINGS):
        figure = Figure(figsize=(9.6, height), layout="constrained")
        axes = figure.add_subplot()
    return figure, axes


def _data_uri(figure: Any) -> str:
    from matplotlib import rc_context

    buffer = io.BytesIO()
    with rc_context(SETTINGS):
        figure.savefig(
            buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None}
        )
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode()
