"""What a rule promises, in words."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

from aemodel.decisions.clean_counts import CONFIDENCE, upper_share


def quantile_promise(share: Fraction, j: int, n: int) -> str:
    """Promise for rows above the j-th largest of n calibration scores."""
    return (
        f"At most {_percent(share)} of clean rows are flagged on average "
        f"({j:,} of {n:,} calibration scores are at or above the cut; for this calibration set, "
        f"at most {100 * upper_share(j, n):.2g} % with {CONFIDENCE:.0%} confidence)."
    )


def groups_promise(share: Fraction, entities: int, own: int, shared: int) -> str:
    """Promise for `entities` in groups: `own` of one entity each, `shared` of several.

    It holds for each of the former, but not for each entity of the latter.
    """
    known = f"{own:,} of {entities:,} entities are"
    groups = "one group" if shared == 1 else f"{shared:,} groups with about as many clean rows"
    others = (
        f", the others in {groups}, over all rows of a group if its entities are mixed as in the "
        "clean rows; those with the fewest clean rows may be flagged more often"
    )
    return (
        f"At most {_percent(share)} of clean rows are flagged on average, in every group of "
        f"entities: {known} judged by their own calibration rows{others if shared else ''}. "
        "Nothing is promised for unknown entities."
    )


def fdr_promise(share: Fraction, m: int, n: int) -> str:
    """Promise for a false discovery rate of `share` among m rows, with n calibration rows."""
    promise = (
        f"At most {_percent(share)} of the flagged rows are clean, "
        "on average over calibration sets."
    )
    fewest = ceil(m / (share * (n + 1)))
    if fewest <= 1:
        return promise
    return (
        f"{promise} With {n:,} calibration rows and {m:,} rows tonight, "
        f"either none or at least {fewest:,} are flagged."
    )


def threshold_note(kind: str, value: str, above: int, n: int) -> str:
    """Say that a threshold promises nothing, and that `above` of n calibration scores exceed it."""
    compared = f"{above:,} of {n:,} calibration scores are above {value}."
    seen = compared if n else "There are no calibration rows to compare with."
    return f"A {kind} threshold carries no guarantee. {seen}"


def _percent(share: Fraction) -> str:
    return f"{float(share * 100):.10g} %"
