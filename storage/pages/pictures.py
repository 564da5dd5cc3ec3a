"""Rows that are pictures, as PNG strips: input, reconstruction, difference."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

PANEL = 96  # approximate pixels of the longer side of one panel
GAP = 4  # white pixels between panels


def is_picture(row_shape: tuple[int, ...]) -> bool:
    """Return whether rows have the shape of a picture.

    (height, width), or (height, width, channels) with 1, 3 or 4 channels.
    """
    return len(row_shape) == 2 or (len(row_shape) == 3 and row_shape[2] in (1, 3, 4))


def picture_strip(
    actual: NDArray[np.generic], expected: NDArray[np.generic], low: float, high: float
) -> bytes:
    """Draw one row (h, w) or (h, w, c) beside its reconstruction and their difference, as PNG.

    low, high: the values shown as black and white. In the difference, blue is below the
    reconstruction and red is above.
    """
    from PIL import Image  # late: only reports need it

    span = high - low or 1.0
    values, rebuilt = actual.astype(np.float64), expected.astype(np.float64)
    panels = [
        _shade(values, low, span),
        _shade(rebuilt, low, span),
        _difference(values, rebuilt, span),
    ]
    times = max(1, PANEL // max(actual.shape[:2]))
    buffer = io.BytesIO()
    Image.fromarray(_side_by_side(panels, times)).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _side_by_side(panels: list[NDArray[np.uint8]], times: int) -> NDArray[np.uint8]:
    """Enlarge panels (h, w, 3) and put white gaps between them."""
    first, *others = (np.repeat(np.repeat(each, times, axis=0), times, axis=1) for each in panels)
    gap = np.full((len(first), GAP, 3), 255, np.uint8)
    parts = [first]
    for panel in others:
        parts += [gap, panel]
    return np.concatenate(parts, axis=1)


def _shade(values: NDArray[np.float64], low: float, span: float) -> NDArray[np.uint8]:
    """Return RGB bytes (h, w, 3) of gray or colored values."""
    scaled = np.clip((values - low) / span, 0, 1)
    channels = scaled[..., None] if scaled.ndim == 2 else scaled[..., :3]
    shaded: NDArray[np.uint8] = np.rint(255 * np.nan_to_num(channels)).astype(np.uint8)
    return np.repeat(shaded, 3, axis=2) if shaded.shape[2] == 1 else shaded


def _difference(
    actual: NDArray[np.float64], expected: NDArray[np.float64], span: float
) -> NDArray[np.uint8]:
    """Return RGB bytes (h, w, 3): white for equal, blue for below, red for above."""
    change = np.nan_to_num(actual - expected) / span
    gray = change if change.ndim == 2 else change[..., :3].mean(axis=2)
    clipped = np.clip(gray, -1, 1)
    fade = 1 - np.abs(clipped)
    red = np.where(clipped > 0, 1.0, fade)
    blue = np.where(clipped < 0, 1.0, fade)
    colors: NDArray[np.uint8] = np.rint(255 * np.stack([red, fade, blue], axis=-1)).astype(np.uint8)
    return colors
