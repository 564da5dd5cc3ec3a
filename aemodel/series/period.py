"""The window that fits the data: one period of its autocorrelation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aemodel.series.pyramid import Values

USUAL = 128  # rows: several periods, if they are shorter
LOWEST, HIGHEST = 16, 256
CLEAR = 0.3  # autocorrelation of a period
SHARE = 3  # windows that fit into the longest piece, at least
PIECES = 8  # that are looked at


def choose_window(pieces: Sequence[Values]) -> int:
    """Return the rows of a window for pieces (n, d): a power of two, 128 or near a longer period.

    A window sees all time scales below its own, so a short period asks for no shorter one. It is
    at most a third of the longest piece, and at least 16 rows.
    """
    longest = sorted(pieces, key=len)[-PIECES:]
    periods = [found for piece in longest if (found := _period(piece))]
    wanted = float(np.median(periods)) if periods else float(USUAL)
    room = max(len(longest[-1]) // SHARE, LOWEST)
    power = round(np.log2(min(max(wanted, USUAL), HIGHEST)))
    while power > np.log2(LOWEST) and 2**power > room:
        power -= 1
    return int(2**power)


def _period(piece: Values) -> int:
    """Return the lag of the highest peak of the mean autocorrelation; 0 without a clear one."""
    lags = min(len(piece) // 2, 2 * HIGHEST)
    if lags < LOWEST:
        return 0
    found = _autocorrelation(piece)[:lags]
    below = np.flatnonzero(found < 0)  # the lags before belong to the slow moves of the level
    if not len(below):
        return 0
    first = int(below[0])
    lag = first + int(found[first:].argmax())
    return lag if found[lag] >= CLEAR and lag < lags - 1 else 0


def _autocorrelation(piece: Values) -> NDArray[np.float64]:
    """Return the autocorrelation (n,) of the sensors of rows (n, d), on average."""
    centered = np.nan_to_num(piece - np.nanmean(piece, axis=0)).astype(np.float64)
    size = 2 ** int(np.ceil(np.log2(2 * len(piece))))
    spectrum = np.abs(np.fft.rfft(centered, size, axis=0)) ** 2
    products = np.fft.irfft(spectrum, axis=0)[: len(piece)]
    moving = products[0] > 0
    if not moving.any():
        return np.zeros(len(piece))
    return np.asarray((products[:, moving] / products[0, moving]).mean(axis=1))
