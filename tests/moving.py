"""Series of sensors that move together, and models of them."""

from __future__ import annotations

import numpy as np
from scipy.signal import lfilter

from aemodel.series.fitting.clean import CleanPiece, CleanSeries
from aemodel.series.fitting.fit import fit_series
from aemodel.series.settings import WindowSettings


def sensor_rows(n=4000, d=5, seed=0):
    """Rows (n, d) float64: two slow factors, a period of 100 rows, and noise of each sensor."""
    random = np.random.default_rng(seed)
    slow = lfilter([0.3], [1, -0.95], random.normal(size=(n, 2)), axis=0)
    factors = np.column_stack([slow, 2 * np.sin(2 * np.pi * np.arange(n) / 100)])
    mix = np.random.default_rng(99).normal(size=(3, d))
    return 50 + factors @ mix + 0.3 * random.normal(size=(n, d))


def clean_series(*pieces, step=1.0, in_seconds=True):
    """Pieces (n, d) as clean series of one entity."""
    names = tuple(f"s{index}" for index in range(pieces[0].shape[1]))
    read = [CleanPiece(0, piece) for piece in pieces]
    return CleanSeries(lambda: iter(read), names, ("",), step=step, in_seconds=in_seconds)


def fitted(rows=None, **settings):
    """A model of rows with a window of 64, unless settings say otherwise."""
    rows = sensor_rows() if rows is None else rows
    return fit_series(clean_series(rows), WindowSettings(**{"window": 64, **settings}))
