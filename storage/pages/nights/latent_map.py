"""The map of a night as an SVG plot: clean rows gray, flagged rows by group, each a link."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from storage.nights.night import Night

WIDTH, HEIGHT, EDGE = 1000.0, 440.0, 14.0
SHAPES = 5  # groups with a color and shape of their own; the others share one


@dataclass(frozen=True)
class MapMark:
    """One flagged row. kind: index of its group, SHAPES for others. row: -1 if not in the page."""

    x: float
    y: float
    kind: int
    row: int
    words: str


@dataclass(frozen=True)
class MapPlot:
    """clean: a path of dots. groups: id and number of rows of each group in the legend."""

    clean: str
    marks: Sequence[MapMark]
    groups: Sequence[tuple[str, int]]
    others: int
    share: float


def draw_map(night: Night, listed: Collection[int]) -> MapPlot | None:
    """Draw the night's map. listed: rows that the table of the page holds."""
    if night.map is None:
        return None
    clean, flagged = _placed(np.concatenate([night.map.clean, night.map.flagged]), night)
    kinds = {row: index for index, group in enumerate(night.groups[:SHAPES]) for row in group.rows}
    ids = {row: group.id for group in night.groups for row in group.rows}
    marks = [
        MapMark(
            x,
            y,
            kinds.get(row, SHAPES),
            row if row in listed else -1,
            f"row {row}" + (f", kind {ids[row]}" if row in ids else ""),
        )
        for row, (x, y) in zip(night.map.rows, flagged, strict=True)
    ]
    groups = [
        (group.id, sum(mark.kind == index for mark in marks))
        for index, group in enumerate(night.groups[:SHAPES])
    ]
    others = sum(mark.kind == SHAPES for mark in marks)
    path = "".join(f"M{x:g} {y:g}h0" for x, y in clean)
    return MapPlot(path, marks[::-1], groups, others, night.map.share)


def _placed(
    points: np.ndarray[tuple[int, int], np.dtype[np.float64]], night: Night
) -> tuple[list[list[float]], list[list[float]]]:
    """Return clean and flagged points in the plot, with one scale for both directions."""
    assert night.map is not None
    low, high = points.min(axis=0), points.max(axis=0)
    inside = np.array([WIDTH - 2 * EDGE, HEIGHT - 2 * EDGE])
    scale = float((inside / np.maximum(high - low, 1e-9)).min())
    middle = (low + high) / 2
    found = (points - middle) * [scale, -scale] + [WIDTH / 2, HEIGHT / 2]
    placed = np.round(found, 1).tolist()
    count = len(night.map.clean)
    return placed[:count], placed[count:]
