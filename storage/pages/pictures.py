"""Rows that are pictures: input, reconstruction, difference, and the nearest clean one."""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray

PANEL = 96  # pixels of the longer side of one panel, at most
GAP = 2  # white pixels between panels
MOST_PNG = 12_000  # bytes; a larger strip is written as JPEG
QUALITY = 80
ORANGE = np.array([213, 94, 0])  # of the Okabe-Ito palette
PALE, STRONGEST = 0.5, 0.9

Values = NDArray[np.float64]
Pixels = NDArray[np.uint8]


def is_picture(row_shape: tuple[int, ...]) -> bool:
    """Return whether rows have the shape of a picture.

    (height, width), or (height, width, channels) with 1, 3 or 4 channels.
    """
    return len(row_shape) == 2 or (len(row_shape) == 3 and row_shape[2] in (1, 3, 4))


def picture_uri(
    actual: NDArray[np.generic],
    expected: NDArray[np.generic],
    nearest: NDArray[np.generic] | None = None,
    *,
    patches: Values | None = None,
) -> str:
    """Draw a row (h, w) or (h, w, c), its reconstruction, and their difference side by side.

    nearest: the clean row that is most like it, drawn next. All share one scale, from the lowest to
    the highest value of row and reconstruction. In the difference, blue is below the
    reconstruction and red is above.
    patches: (h, w), 0 or above, drawn last: how much each pixel counts, as orange over the row.
    Returns a data URI.
    """
    values, rebuilt = (_reduced(each.astype(np.float64)) for each in (actual, expected))
    both = np.concatenate([actual.ravel(), expected.ravel()]).astype(np.float64)
    finite = both[np.isfinite(both)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    span = high - low or 1.0
    panels = [_shade(values, low, span), _shade(rebuilt, low, span)]
    panels.append(_difference(values, rebuilt, span))
    if nearest is not None:
        panels.append(_shade(_reduced(nearest.astype(np.float64)), low, span))
    if patches is not None:
        panels.append(_highlighted(panels[0], _reduced(patches)))
    return _data_uri(_side_by_side(panels))


def _reduced(values: Values) -> Values:
    """Return an image as means over squares of pixels, so that no side exceeds PANEL."""
    step = -(-max(values.shape[:2]) // PANEL)
    if step == 1:
        return values
    height, width = (max(1, size // step) for size in values.shape[:2])
    whole = values[: height * step, : width * step]
    blocks = whole.reshape(height, min(step, whole.shape[0]), width, -1, *values.shape[2:])
    return np.asarray(blocks.mean(axis=(1, 3)))


def _side_by_side(panels: list[Pixels]) -> Pixels:
    """Put panels (h, w, 3) side by side, with white gaps between them."""
    first, *others = panels
    gap = np.full((len(first), GAP, 3), 255, np.uint8)
    parts = [first]
    for panel in others:
        parts += [gap, panel]
    return np.concatenate(parts, axis=1)


def _data_uri(pixels: Pixels) -> str:
    from PIL import Image  # late: only reports need it

    image = Image.fromarray(pixels)
    buffer, kind = io.BytesIO(), "png"
    image.save(buffer, "PNG", optimize=True)
    if buffer.tell() > MOST_PNG:
        buffer, kind = io.BytesIO(), "jpeg"
        image.save(buffer, "JPEG", quality=QUALITY, optimize=True)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _shade(values: Values, low: float, span: float) -> Pixels:
    """Return RGB bytes (h, w, 3) of gray or colored values."""
    scaled = np.clip((values - low) / span, 0, 1)
    channels = scaled[..., None] if scaled.ndim == 2 else scaled[..., :3]
    shaded: Pixels = np.rint(255 * np.nan_to_num(channels)).astype(np.uint8)
    return np.repeat(shaded, 3, axis=2) if shaded.shape[2] == 1 else shaded


def _highlighted(panel: Pixels, weights: Values) -> Pixels:
    """Paint a pale copy of a panel (h, w, 3) orange where `weights` (h, w) are large."""
    pale = 255 - (255 - panel.mean(axis=2, keepdims=True)) * PALE
    largest = float(weights.max())
    opacity = (weights / largest if largest > 0 else weights)[..., None]
    painted: Pixels = np.rint(pale + opacity * (ORANGE - pale) * STRONGEST).astype(np.uint8)
    return painted


def _difference(actual: Values, expected: Values, span: float) -> Pixels:
    """Return RGB bytes (h, w, 3): white for equal, blue for below, red for above."""
    with np.errstate(invalid="ignore"):
        change = np.nan_to_num(actual - expected) / span
    gray = change if change.ndim == 2 else change[..., :3].mean(axis=2)
    clipped = np.clip(gray, -1, 1)
    fade = 1 - np.abs(clipped)
    red = np.where(clipped > 0, 1.0, fade)
    blue = np.where(clipped < 0, 1.0, fade)
    colors: Pixels = np.rint(255 * np.stack([red, fade, blue], axis=-1)).astype(np.uint8)
    return colors
