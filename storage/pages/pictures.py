"""Rows that are pictures, as PNG strips: input, reconstruction, difference."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

PANEL = 96  # pixels of the longer side of one panel, about
GAP = 4


def is_picture(row_shape: tuple[int, ...]) -> bool:
    """Whether rows of this shape can be shown.

    Height × width, or height × width × 1, 3 or 4 channels.
    """
    return len(row_shape) == 2 or (len(row_shape) == 3 and row_shape[2] in (1, 3, 4))


def picture_strip(actual: NDArray[Any], expected: NDArray[Any], low: float, high: float) -> bytes:
    """PNG of one row (h, w) or (h, w, c).

    Input, reconstruction, and their difference (blue below, red above), on one scale low to high.
    """
    from PIL import Image  # late: only reports need it

    span = high - low or 1.0
    panels = [_grey(each, low, span) for each in (actual, expected)] + [
        _difference(actual, expected, span)
    ]
    times = max(1, PANEL // max(actual.shape[:2]))
    grown = [np.repeat(np.repeat(panel, times, axis=0), times, axis=1) for panel in panels]
    gap = np.full((grown[0].shape[0], GAP, 3), 255, np.uint8)
    strip = np.concatenate([grown[0], gap, grown[1], gap, grown[2]], axis=1)
    buffer = io.BytesIO()
    Image.fromarray(strip).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _grey(values: NDArray[Any], low: float, span: float) -> NDArray[np.uint8]:
    scaled = np.clip((values.astype(np.float64) - low) / span, 0, 1)
    colored = scaled[..., None] if scaled.ndim == 2 else scaled[..., :3]
    grey: NDArray[np.uint8] = np.rint(255 * np.nan_to_num(colored)).astype(np.uint8)
    return np.repeat(grey, 3, axis=2) if grey.shape[2] == 1 else grey


def _difference(actual: NDArray[Any], expected: NDArray[Any], span: float) -> NDArray[np.uint8]:
    change = np.nan_to_num(actual.astype(np.float64) - expected.astype(np.float64)) / span
    change = np.clip(change if change.ndim == 2 else change[..., :3].mean(axis=2), -1, 1)
    fade = 1 - np.abs(change)
    red, blue = np.where(change > 0, 1.0, fade), np.where(change < 0, 1.0, fade)
    colors: NDArray[np.uint8] = np.rint(255 * np.stack([red, fade, blue], axis=-1)).astype(np.uint8)
    return colors
