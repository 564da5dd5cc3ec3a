"""Causes: why a row is anomalous, in words and by the features that contribute most."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAX_FEATURES = 3
MIN_SHARE = 0.01  # of the score, for a feature to be named
NOTHING = "no feature differs from what was expected"


@dataclass(frozen=True)
class Feature:
    """One feature's contribution to the score of a row.

    actual, expected: in data units, also as texts with digits enough to tell them apart; of a
    category, the keys of its levels.
    residual: their difference in units of the feature's usual residual.
    share: of the error or the novelty, 0 to 1.
    words: what stands out, where that is more than the two values.
    low, high: between which the middle 98 % of clean values lie, in data units; NaN if unknown.
    """

    name: str
    actual: float
    expected: float
    residual: float
    share: float
    actual_text: str
    expected_text: str
    words: str = ""
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True)
class Cause:
    """Why one row is anomalous: in words, and by the features that contribute most.

    columns: more features, heaviest first, whatever they contribute.
    patches: (height, width) share of each pixel, of pictures that are compared by their patches.
    """

    words: str
    features: tuple[Feature, ...]
    columns: tuple[Feature, ...] = ()
    patches: NDArray[np.float64] | None = None
