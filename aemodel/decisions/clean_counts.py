"""How many clean rows a rule flags: the mean, a 99 % limit, and a confidence bound on the share.

The theory assumes clean rows that are exchangeable with the calibration rows.
"""

from __future__ import annotations

from bisect import bisect_left
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95  # of the bound for the one calibration set at hand
LIMIT_QUANTILE = 0.99  # of the number of clean rows flagged; REVIEW begins above it
MAX_FALSE_DISCOVERIES = 10_000


class CleanCount(NamedTuple):
    """How many of as many clean rows are flagged: on average, and at most in 99 of 100 nights.

    None where it is unknown, or where the rule fixes the number of flagged rows.
    """

    expected: float | None
    limit: int | None


UNKNOWN = CleanCount(None, None)


def clean_above_cut(m: int, j: int, n: int) -> CleanCount:
    """Count the m clean rows above the j-th largest of n calibration scores, 1 <= j <= n.

    The count is beta-binomial: BetaBin(m, j, n + 1 - j).
    """
    # betabinom.ppf sums over m terms; this search also serves a night of a billion rows.
    allowed = 1 - LIMIT_QUANTILE
    limit = bisect_left(range(m), True, key=lambda k: _chance_of_more(k, m, j, n) <= allowed)
    return CleanCount(m * j / (n + 1), limit)


def _chance_of_more(k: int, m: int, j: int, n: int) -> float:
    """P(more than k of m clean rows lie above the j-th largest of n calibration scores).

    Equal to P(fewer than j of the k + j largest of all scores are calibration scores), a
    hypergeometric probability.
    """
    drawn = np.asarray(k + j)
    few = np.arange(max(0, k + j - m), j)
    logs = _log_choose(n, few) + _log_choose(m, drawn - few) - _log_choose(n + m, drawn)
    return float(np.exp(logs).sum())


def _log_choose(total: int, part: NDArray[np.int64]) -> NDArray[np.float64]:
    """Logarithm of the binomial coefficient."""
    from scipy.special import gammaln  # late: takes long to import

    return np.asarray(gammaln(total + 1) - gammaln(part + 1) - gammaln(total - part + 1))


def clean_discoveries(share: Fraction, m: int) -> CleanCount:
    """Count how many of m clean rows Benjamini-Hochberg flags at level a = `share`.

    P(V = v) = (1 - a) (v a)^v exp(-v a) / v! for many independent rows
    (Finner & Roters, Annals of Statistics 2002).
    """
    from scipy.special import gammaln  # late: takes long to import

    a = float(share)
    v = np.arange(1, min(m, MAX_FALSE_DISCOVERIES) + 1)
    chances = (1 - a) * np.exp(v * np.log(v * a) - v * a - gammaln(v + 1))
    at_most = 1 - a + np.cumsum(np.concatenate([[0.0], chances]))
    limit = min(m, int(np.searchsorted(at_most, LIMIT_QUANTILE)))
    return CleanCount(float((v * chances).sum()), limit)


def upper_share(j: int, n: int) -> float:
    """Bound the share of clean rows above the j-th largest of n calibration scores.

    The bound holds for 95 % of calibration sets: given the set, the share is Beta(j, n + 1 - j)
    (Vovk 2012).
    """
    from scipy.special import betaincinv  # late: takes long to import

    return float(betaincinv(j, n + 1 - j, CONFIDENCE))
