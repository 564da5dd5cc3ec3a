"""Plots as SVG data URIs, reproducible byte for byte."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from storage.pages.score_bins import rows_by_bin, shown_bins

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

WIDTH = 9.6  # inches
INK = "#70798a"  # readable on white and on black
NIGHT, CLEAN, CUT = "#3f74e8", "#8a95a6", "#d2483f"
LINES = {"latents": "latents in 3 to 255 levels", "grid": "rounded to a grid, zstd"}
STYLES = {"latents": (NIGHT, "o"), "grid": (CLEAN, "s")}
SETTINGS: Any = {  # of mixed types, which rc_context accepts only as Any
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
    """Draw tonight's scores over the calibration scores, as shares of their rows.

    edges: (b + 1,) ascending.
    night, calibration: (b + 2,) rows below the first edge, in each bin, and above the last edge.
    """
    figure, axes = _figure(height=2.9)
    bins = slice(*shown_bins(night + calibration, threshold, edges))
    for counts, color, name, fill in (
        (calibration, CLEAN, "clean rows (calibration)", True),
        (night, NIGHT, "tonight", False),
    ):
        shares = rows_by_bin(counts)[bins] / max(1, counts.sum())
        heights = np.where(shares > 0, shares, np.nan)
        borders = edges[bins.start : bins.stop + 1]
        axes.stairs(heights, borders, color=color, fill=fill, label=name, linewidth=1.6)
    axes.set(xscale="log", yscale="log", xlabel="score (log scale)", ylabel="share of rows")
    _label_plainly(axes.xaxis)
    _label_plainly(axes.yaxis)
    if threshold is not None and np.isfinite(threshold):
        _draw_threshold(axes, threshold)
    axes.legend(loc="upper right", frameon=False, labelcolor=INK)
    return _data_uri(figure)


def _draw_threshold(axes: Axes, threshold: float) -> None:
    axes.axvline(threshold, color=CUT, linewidth=1.2)
    axes.annotate(
        "flagged →",
        (threshold, 1),
        xycoords=("data", "axes fraction"),
        xytext=(4, -10),
        textcoords="offset points",
        color=CUT,
    )


def loss_curve(train: Sequence[float], validation: Sequence[float]) -> str:
    """Draw the loss per epoch on fit and validation rows."""
    figure, axes = _figure(height=2.6)
    epochs = np.arange(1, len(train) + 1)
    marker = "o" if len(train) == 1 else ""
    axes.plot(epochs, train, color=CLEAN, label="fit rows", linewidth=1.8, marker=marker)
    if np.isfinite(validation).any():
        axes.plot(
            epochs, validation, color=NIGHT, label="validation rows", linewidth=1.8, marker=marker
        )
    locator: Any = axes.xaxis.get_major_locator()  # its stubs do not know `integer`
    locator.set_params(integer=True)
    axes.set(xlabel="epoch", ylabel="loss", xlim=(0.5, len(train) + 0.5))
    axes.legend(loc="upper right", frameon=False, labelcolor=INK)
    return _data_uri(figure)


def calibration_histogram(calibration: NDArray[np.float64], score: str) -> str:
    """Draw the scores (n,) of the calibration rows, of the kind named by `score`.

    Infinite scores, of rows without any value, are left out.
    """
    figure, axes = _figure(height=2.2)
    finite = calibration[np.isfinite(calibration)]
    axes.hist(finite, bins=60, color=NIGHT, log=True, histtype="stepfilled")
    axes.set(xlabel=f"{score} of calibration rows", ylabel="rows")
    _label_plainly(axes.yaxis)
    return _data_uri(figure)


def ratio_plot(contest: Sequence[Mapping[str, Any]]) -> str:
    """Draw the compression ratio of each codec of a contest; all hold the same error bound.

    contest: entries with `codec` and `ratio`.
    """
    ordered = sorted(contest, key=lambda entry: entry["ratio"])
    codecs = [entry["codec"] for entry in ordered]
    ratios = [entry["ratio"] for entry in ordered]
    figure, axes = _figure(height=0.9 + 0.24 * len(ordered), left=1.9)
    bars = axes.barh(codecs, ratios, color=CLEAN)
    bars[-1].set_color(NIGHT)
    axes.bar_label(bars, fmt="%.3g", padding=3, color=INK)
    axes.margins(x=0.08)  # for the labels
    axes.set(xlabel="times smaller than the source, estimated from the sample")
    return _data_uri(figure)


def error_plot(curve: Sequence[Mapping[str, Any]], rmse: float, ratio: float) -> str:
    """Draw RMSE against compression ratio: a line per codec, and a star for the store itself.

    curve: entries with `codec`, `ratio` and `rmse`.
    rmse, ratio: those of the store.
    """
    figure, axes = _figure(height=2.9)
    for codec in LINES:
        _draw_codec(axes, curve, codec)
    if rmse > 0:
        axes.plot(
            [ratio], [rmse], color=CUT, marker="*", markersize=12, linestyle="", label="this store"
        )
    axes.set(xscale="log", yscale="log", xlabel="times smaller than the source", ylabel="RMSE")
    _label_plainly(axes.yaxis)
    _label_ratios(axes)
    if axes.lines:
        axes.legend(loc="upper left", frameon=False, labelcolor=INK)
    return _data_uri(figure)


def _draw_codec(axes: Axes, curve: Sequence[Mapping[str, Any]], codec: str) -> None:
    lossy = [each for each in curve if each["codec"] == codec and each["rmse"] > 0]
    points = sorted((each["ratio"], each["rmse"]) for each in lossy)
    color, marker = STYLES[codec]
    if points:
        axes.plot(
            *zip(*points, strict=True),
            color=color,
            marker=marker,
            markersize=4,
            linewidth=1.6,
            label=LINES[codec],
        )


def _label_plainly(axis: Axis) -> None:
    """Label a logarithmic axis with plain numbers; powers of ten take long to typeset."""
    from matplotlib.ticker import LogFormatter  # late: slow to import

    class Plain(LogFormatter):
        def __call__(self, x: float, pos: int | None = None) -> str:
            return f"{x:g}" if super().__call__(x, pos) else ""

    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(Plain())


def _label_ratios(axes: Axes) -> None:
    """Label a logarithmic axis of ratios with plain numbers."""
    from matplotlib.ticker import LogLocator, NullFormatter  # late: slow to import

    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())


def _figure(*, height: float, left: float = 0.85) -> tuple[Figure, Axes]:
    """Return an empty figure with fixed margins: fitting them takes as long as drawing.

    height, left: of the figure and of its left margin, in inches.
    """
    from matplotlib import rc_context  # late: slow to import
    from matplotlib.figure import Figure

    with rc_context(SETTINGS):
        figure = Figure(figsize=(WIDTH, height))
        axes = figure.add_subplot()
    figure.subplots_adjust(
        left=left / WIDTH, right=0.99, top=1 - 0.25 / height, bottom=0.55 / height
    )
    return figure, axes


def _data_uri(figure: Figure) -> str:
    from matplotlib import rc_context  # late: slow to import

    buffer = io.BytesIO()
    with rc_context(SETTINGS):
        figure.savefig(
            buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None}
        )
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode()
