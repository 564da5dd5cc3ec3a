"""SVG path data of lines and bands, in whole units."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def line_path(x: NDArray[np.float64], y: NDArray[np.float64]) -> str:
    """Return the path of a line through points; NaN in y (n,) interrupts it."""
    return "".join(_piece(x[run], y[run]) for run in finite_runs(y))


def band_path(x: NDArray[np.float64], top: NDArray[np.float64], bottom: NDArray[np.float64]) -> str:
    """Return the path of the area between two lines; NaN in either interrupts it."""
    pieces = []
    for run in finite_runs(top + bottom):
        there = _piece(x[run], top[run])
        back = _piece(x[run][::-1], bottom[run][::-1]).replace("M", "L", 1)
        pieces.append(there + back + "z")
    return "".join(pieces)


def finite_runs(values: NDArray[np.float64]) -> list[slice]:
    """Return the longest slices of values (n,) without NaN or infinity."""
    borders = np.flatnonzero(np.diff(np.isfinite(values), prepend=False, append=False))
    return [slice(*pair) for pair in borders.reshape(-1, 2).tolist()]


def _piece(x: NDArray[np.float64], y: NDArray[np.float64]) -> str:
    """Return the path of an unbroken line; a single point is a dot."""
    points = _without_inner(np.rint(np.stack([x, y], axis=1)).astype(np.int64))
    start = f"M{points[0, 0]} {points[0, 1]}"
    steps = np.diff(points, axis=0).tolist()
    if not steps:
        return f"{start}h0"
    return f"{start}l{' '.join(f'{dx} {dy}' for dx, dy in steps)}".replace(" -", "-")


def _without_inner(points: NDArray[np.int64]) -> NDArray[np.int64]:
    """Drop repeated points, and those inside a horizontal stretch."""
    moved = np.any(np.diff(points, axis=0) != 0, axis=1)
    kept = points[np.append(True, moved)]
    level = np.diff(kept[:, 1]) == 0
    inner = np.append(False, level) & np.append(level, False)
    outer: NDArray[np.int64] = kept[~inner]
    return outer
