"""A row of a signal as a line over its reconstruction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from storage.nights.night import Evidence, Night
from storage.pages.pictures import is_picture

FEWEST_STEPS = 24  # shorter rows are shown by their columns
MOST_POINTS = 240  # in a waveform
TINY = float(np.finfo(np.float64).tiny)
WIDTH, HEIGHT, EDGE = 240.0, 56.0, 3.0


@dataclass(frozen=True)
class Wave:
    """A row as a line over its reconstruction: two SVG paths.

    band: a third, around the middle 98 % of clean values; '' if these are unknown.
    """

    actual: str
    expected: str
    band: str = ""


def shown_as_wave(night: Night, evidence: Evidence) -> bool:
    """Return whether a row is long enough to be shown as a line, and is no picture."""
    shape = evidence.actual.shape
    return night.waves and shape[0] >= FEWEST_STEPS and not (night.pictures and is_picture(shape))


def draw_wave(evidence: Evidence) -> Wave | None:
    """Draw the channel that differs most; None if it has no finite value."""
    actual = evidence.actual.reshape(len(evidence.actual), -1).astype(np.float64)
    expected = evidence.expected.reshape(actual.shape).astype(np.float64)
    channel = int(np.abs(_known_difference(evidence)).sum(axis=0).argmax())
    lines = np.stack([actual[:, channel], expected[:, channel]])
    finite = lines[np.isfinite(lines)]
    if not len(finite):
        return None
    ends = _clean_ends(evidence, channel)
    known = np.concatenate([finite, ends[np.isfinite(ends)]])
    low, span = float(known.min()), float(np.ptp(known)) or 1.0
    row, rebuilt = (_path((line - low) / span) for line in lines)
    return Wave(row, rebuilt, band=_band((ends - low) / span))


def _clean_ends(evidence: Evidence, channel: int) -> NDArray[np.float64]:
    """Return the clean range of one channel, (2, n); (2, 0) if it is unknown."""
    if evidence.low is None or evidence.high is None:
        return np.empty((2, 0))
    ends = np.stack([evidence.low, evidence.high])
    return ends.reshape(2, len(evidence.low), -1)[:, :, channel]


def _band(ends: NDArray[np.float64]) -> str:
    """Return the area between two lines (2, n) of shares of the height as a path."""
    if not ends.size or not np.isfinite(ends).all():
        return ""
    low, high = (line[_evenly(len(line))] for line in ends)
    x = np.linspace(EDGE, WIDTH - EDGE, len(low))
    upper = [_point(*each) for each in zip(x, high, strict=True)]
    lower = [_point(*each) for each in zip(x[::-1], low[::-1], strict=True)]
    return f"M{'L'.join(upper + lower)}Z"


def _evenly(count: int) -> NDArray[np.intp]:
    return np.linspace(0, count - 1, min(count, MOST_POINTS // 2)).astype(np.intp)


def _point(across: float, share: float) -> str:
    return f"{across:.0f} {EDGE + (1 - share) * (HEIGHT - 2 * EDGE):.1f}"


def _known_difference(evidence: Evidence) -> NDArray[np.float64]:
    """Return a row minus its reconstruction by step and channel (n, c); 0 where it is unknown."""
    with np.errstate(invalid="ignore"):
        away = evidence.actual.astype(np.float64) - evidence.expected.astype(np.float64)
    known = np.nan_to_num(away, posinf=0.0, neginf=0.0)
    return np.asarray(known.reshape(len(known), -1))


def stretch_words(evidence: Evidence) -> str:
    """Name the eighth of a row that differs most: 'steps 110 to 127: lower than expected, …'."""
    known = _known_difference(evidence)
    squares = (known**2).sum(axis=1)
    size = max(1, len(squares) // 8)
    sums = np.convolve(squares, np.ones(size), "valid")
    start = int(sums.argmax())
    share = float(sums[start]) / max(float(squares.sum()), TINY)
    direction = "higher" if known[start : start + size].sum() > 0 else "lower"
    return (
        f"steps {start} to {start + size - 1}: {direction} than expected, "
        f"{share:.0%} of the difference"
    )


def _path(shares: NDArray[np.float64]) -> str:
    """Return a line (n,) of shares of the height as an SVG path; gaps stay gaps."""
    places = _extremes(shares)
    x = EDGE + places / max(1, len(shares) - 1) * (WIDTH - 2 * EDGE)
    y = EDGE + (1 - shares[places]) * (HEIGHT - 2 * EDGE)
    steps, move = [], True
    for across, down in zip(x.tolist(), y.tolist(), strict=True):
        if np.isfinite(down):
            steps.append(f"{'M' if move else 'L'}{across:.1f} {down:.1f}")
        move = not np.isfinite(down)
    return "".join(steps)


def _extremes(line: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the places of the lowest and highest value of each piece, so that no peak is lost."""
    if len(line) <= MOST_POINTS:
        return np.arange(len(line))
    known = np.nan_to_num(line, nan=0.0)
    places: list[int] = []
    for piece in np.array_split(np.arange(len(line)), MOST_POINTS // 2):
        places += sorted({int(piece[known[piece].argmin()]), int(piece[known[piece].argmax()])})
    return np.array(places)
