"""Variances of groups, each drawn to what is typical of all, as far as they resemble each other.

    squeezed = (d0 * s0^2 + d * s^2) / (d0 + d)

s^2 and d: a group's own variance and degrees of freedom. s0^2 and d0: of the scaled inverse
chi-squared distribution that fits the logs of the variances of large groups (Smyth 2004). If they
differ no more than by chance, d0 is infinite; if there are too few, s0^2 is the variance within all
groups, and d0 is LIKE_ROWS. A new value of the group then follows a t distribution with d0 + d
degrees of freedom, whose tails are heavy where both are few.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LEAST = 1e-5  # of the median variance; smaller ones count as this
FEWEST_GROUPS = 3  # fewer do not show how much variances differ
FEWEST_FREEDOM = 9  # of a large group: a few equal values say little about a variance
LIKE_ROWS = 20.0
TAIL = 0.995  # quantile at which the t distribution is as wide as the normal one
STEPS = 30

Values = NDArray[np.float64]


def squeezed_variances(squares: Values, freedom: Values, pooled: Values) -> tuple[Values, Values]:
    """Return the variance of each group, (g, d), and by which factor its tails widen it, (g, d).

    squares: (g, d), sums of squared deviations from the group's mean. freedom: (g, d), degrees of
    freedom. pooled: (d,), variance within all groups.
    """
    from scipy.special import ndtri, stdtrit  # late: slow to import

    d0, s0 = _prior(squares, freedom, pooled)
    known = np.isfinite(d0)
    total = np.where(known, d0, 1.0) + freedom
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        found = (np.where(known, d0, 1.0) * s0 + squares) / total
        factor = (stdtrit(total, TAIL) / ndtri(TAIL)) ** 2
    return np.where(known, found, pooled), np.where(known, factor, 1.0)


def _prior(squares: Values, freedom: Values, pooled: Values) -> tuple[Values, Values]:
    """Return degrees of freedom (d,) and variance (d,) that count for the typical group."""
    from scipy.special import digamma, polygamma  # late: slow to import

    used = freedom >= FEWEST_FREEDOM
    half = np.where(used, freedom, 2.0) / 2
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        variances = np.where(used, squares / (2 * half), np.nan)
        logs = np.log(np.maximum(variances, LEAST * _median(variances, pooled)))
        logs = np.where(used & np.isfinite(logs), logs - digamma(half) + np.log(half), 0.0)
    groups = np.maximum(used.sum(axis=0), 1)
    mean = logs.sum(axis=0) / groups
    apart = (np.where(used, logs - mean, 0.0) ** 2).sum(axis=0) / np.maximum(groups - 1, 1)
    excess = apart - np.where(used, polygamma(1, half), 0.0).sum(axis=0) / groups
    enough = (used.sum(axis=0) >= FEWEST_GROUPS) & (pooled > 0)
    known = (excess > 0) & enough
    d0 = 2 * _inverse_trigamma(np.where(known, excess, 1.0))
    s0 = np.exp(mean + digamma(d0 / 2) - np.log(d0 / 2))
    fewer = np.where(enough, np.inf, LIKE_ROWS)
    return np.where(known, d0, fewer), np.where(known, s0, pooled)


def _median(variances: Values, pooled: Values) -> Values:
    """Return the median variance of the groups (d,); the pooled one where it is 0 or unknown."""
    found = np.where(np.isnan(variances).all(axis=0), 0.0, variances)
    middle = np.nanmedian(found, axis=0)
    return np.where(middle > 0, middle, pooled)


def _inverse_trigamma(values: Values) -> Values:
    """Return x with trigamma(x) = values (d,), all positive, by Newton's method."""
    from scipy.special import polygamma  # late: slow to import

    found = 0.5 + 1 / values
    for _ in range(STEPS):
        here = polygamma(1, found)
        found = found + here * (1 - here / values) / polygamma(2, found)
    return np.asarray(found)
