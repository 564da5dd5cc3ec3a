"""Rules: which rows are flagged, and what may honestly be said of how often clean rows are.

A cut (score, row) flags a row whose score is above it, or equal with a row number up to it; (s, -1)
flags what is strictly above s.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from math import ceil
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aemodel.decisions.ranking import Ranking, Tally
from aemodel.errors import SettingsError

KINDS = ("quantile", "fdr", "absolute", "mad", "top")
EXAMPLE = "quantile 0.999, fdr 0.1, absolute 0.03, mad 6 or top"
MAD_OF_NORMAL = 0.6744897501960817  # median absolute deviation of a normal distribution with sd 1
SURE = 0.95  # of a bound that holds for the one calibration set at hand
MORE_ROWS = "Raise train.calibration, or give more clean rows, and train again."
MOST_DIGITS = 30
MOST_FALSE_FINDS = 10_000
CLEAN_LIMIT = 0.99  # REVIEW begins above this quantile of the number that clean rows would give


class Cut(NamedTuple):
    """Where the flagged rows end."""

    score: float
    row: int

    def flags(self, scores: NDArray[np.float64], rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of scores (m,) of rows (m,) are flagged, (m,)."""
        return np.asarray((scores > self.score) | ((scores == self.score) & (rows <= self.row)))


@dataclass(frozen=True)
class Rule:
    """A parsed rule: its kind, its number (0 for 'top') and the text it was parsed from."""

    kind: str
    value: Decimal
    text: str = field(default="", compare=False)

    def __str__(self) -> str:
        return self.kind if self.kind == "top" else f"{self.kind} {self.value}"

    def threshold(self, calibration: NDArray[np.float64]) -> float:
        """The score that 'absolute' and 'mad' flag above, whatever the night; infinity for any other rule.

        'mad k': k robust standard deviations above the median of the calibration scores (Iglewicz & Hoaglin 1993).
        """
        if self.kind == "absolute":
            return float(self.value)
        if self.kind != "mad" or not len(calibration):
            return float("inf")
        middle = np.median(calibration)
        return float(
            middle + float(self.value) * np.median(np.abs(calibration - middle)) / MAD_OF_NORMAL
        )


@dataclass(frozen=True)
class Decision:
    """One decision for a night.

    expected and limit: how many of as many clean rows would be flagged, on average and at most in
    99 of 100 nights; None where the rule fixes the number itself or nothing is known. promise: what
    the rule promises, or why it can promise nothing, in words.
    """

    rule: str
    flagged: int
    cut: Cut
    expected: float | None
    limit: int | None
    promises: bool
    promise: str


def parse_rule(text: str) -> Rule:
    """A rule such as 'quantile 0.999'. Raises SettingsError naming the key."""
    kind, _, number = text.strip().partition(" ")
    try:
        value = Decimal(number) if kind != "top" else Decimal(0)
    except InvalidOperation:
        value = Decimal("NaN")
    known = (
        value.is_finite() and abs(value.adjusted()) < MOST_DIGITS
    )  # beyond that nothing but a slip of the keyboard
    inside = (
        {
            "quantile": 0 < value < 1,
            "fdr": 0 < value < 1,
            "absolute": value >= 0,
            "mad": value > 0,
            "top": not number,
        }
        if known
        else {}
    )
    if not inside.get(kind, False):
        raise SettingsError(f"score.rule must look like {EXAMPLE}. Got '{text}' instead.")
    return Rule(kind, value, text)


def decide(
    rule: Rule, calibration: NDArray[np.float64], tally: Tally, ranking: Ranking, *, top_n: int
) -> Decision:
    """Apply a rule to a whole night:

    `tally` and `ranking` are merged over all of its rows; `calibration` is ascending.
    """
    if rule.kind == "quantile":
        return _quantile(rule, calibration, tally)
    if rule.kind == "fdr":
        return _fdr(rule, calibration, tally)
    return (
        _top(ranking, top_n, len(calibration))
        if rule.kind == "top"
        else _fixed(rule, calibration, tally)
    )


def decide_beforehand(rule: Rule, calibration: NDArray[np.float64], *, top_n: int = 1) -> Decision:
    """What a rule makes of ascending calibration scores (n,) before any row of a night is seen."""
    nobody = np.empty(0)
    return decide(
        rule,
        calibration,
        Tally.of(calibration, nobody),
        Ranking.of(top_n, nobody, nobody.astype(np.int64)),
        top_n=top_n,
    )


def withheld(decision: Decision, why: str) -> Decision:
    """The same decision without its promise."""
    return replace(
        decision,
        promises=False,
        promise=f"No promise tonight: {why}. The ranking stays. Otherwise: {decision.promise}",
    )


def allowed_above(rule: Rule, n: int) -> int:
    """J of 'quantile q': rows above the j-th largest of n calibration scores are flagged.

    J = floor((n + 1)(1 - q)), exactly.
    """
    return int((n + 1) * (1 - Fraction(rule.value)))


def _quantile(rule: Rule, calibration: NDArray[np.float64], tally: Tally) -> Decision:
    n, share = len(calibration), 1 - Fraction(rule.value)
    j = allowed_above(rule, n)
    if j == 0:
        return _nothing(
            rule,
            f"Ranking only: {n:,} calibration rows are too few for {rule}; {ceil(1 / share) - 1:,} would do. {MORE_ROWS}",
        )
    flagged = int(tally.by_rank[:j].sum())
    promise = (
        f"Of clean rows, at most {_percent(share)} are flagged on average ({j:,} of {n:,} calibration scores lie at or above the cut; "
        f"for this one calibration set, at most {100 * upper_share(j, n):.2g} % with {SURE:.0%} confidence)."
    )
    return Decision(
        str(rule),
        flagged,
        Cut(float(calibration[-j]), -1),
        *_clean_count(tally.rows, j, n),
        True,
        promise,
    )


def _fdr(rule: Rule, calibration: NDArray[np.float64], tally: Tally) -> Decision:
    """Benjamini & Hochberg (1995) on conformal p-values, from their counts alone."""
    n, m = len(calibration), tally.rows
    if not n:
        return _nothing(rule, f"Ranking only: there are no calibration rows. {MORE_ROWS}")
    share = Fraction(rule.value)
    last = _last_rank(tally, share)
    promise = f"Of the flagged rows, at most {_percent(share)} are clean ones on average over calibration sets."
    fewest = ceil(m / (share * (n + 1)))
    if fewest > 1:
        promise += f" With {n:,} calibration rows and {m:,} rows tonight, no fewer than {fewest:,} rows can be flagged together."
    if last < 0:
        return Decision(str(rule), 0, Cut(float("inf"), -1), *_false_finds(share, m), True, promise)
    score = float(calibration[-last - 1]) if last < n else float("-inf")
    return Decision(
        str(rule),
        int(tally.by_rank[: last + 1].sum()),
        Cut(score, -1),
        *_false_finds(share, m),
        True,
        promise,
    )


def _last_rank(tally: Tally, share: Fraction) -> int:
    """The largest rank r whose rows pass, (1 + r) m <= share (n + 1) #{rows of rank <= r}.

    -1 where none does. Exact.
    """
    at_most = np.cumsum(tally.by_rank)
    bins, m = len(at_most), tally.rows
    near = (1.0 + np.arange(bins)) * m <= float(share) * bins * at_most * (1 + 1e-9)
    for rank in np.flatnonzero(near & (at_most > 0))[::-1].tolist():
        if (1 + rank) * m <= share * bins * int(at_most[rank]):
            return int(rank)
    return -1


def _false_finds(share: Fraction, m: int) -> tuple[float, int]:
    """Mean and 99 % limit of how many of m clean rows Benjamini-Hochberg flags: mostly none, now and then a few.

    P(V = v) = (1 - a) (v a)^v exp(-v a) / v! for many independent rows (Finner & Roters, Annals of Statistics 2002).
    """
    a = float(share)
    v = np.arange(1, min(m, MOST_FALSE_FINDS) + 1)
    from scipy.special import gammaln  # late: takes long to import

    chances = (1 - a) * np.exp(v * np.log(v * a) - v * a - gammaln(v + 1))
    at_most = 1 - a + np.cumsum(np.concatenate([[0.0], chances]))
    return float((v * chances).sum()), min(m, int(np.searchsorted(at_most, CLEAN_LIMIT)))


def _fixed(rule: Rule, calibration: NDArray[np.float64], tally: Tally) -> Decision:
    """'absolute' and 'mad'."""
    n, threshold = len(calibration), rule.threshold(calibration)
    if rule.kind == "mad" and not n:
        return _nothing(rule, f"Ranking only: there are no calibration rows. {MORE_ROWS}")
    above = int((calibration > threshold).sum())
    called = (
        rule.value
        if rule.kind == "absolute"
        else f"{threshold:.4g}, {rule.value} robust deviations above their median"
    )
    seen = (
        f"{above:,} of {n:,} calibration scores lie above {called}."
        if n
        else "There are no calibration rows to compare with."
    )
    expected, limit = _clean_count(tally.rows, min(above + 1, n), n) if n else (None, None)
    what = "A fixed threshold" if rule.kind == "absolute" else "A threshold by robust deviations"
    return Decision(
        str(rule),
        tally.above,
        Cut(threshold, -1),
        expected,
        limit,
        False,
        f"{what} promises nothing. {seen}",
    )


def upper_share(j: int, n: int) -> float:
    """The share of clean rows above the j-th largest of n calibration scores, at most, for all but 5 % of calibration sets.

    Given the set, that share is Beta(j, n + 1 - j) (Vovk 2012).
    """
    from scipy.special import betaincinv  # late: takes long to import

    return float(betaincinv(j, n + 1 - j, SURE))


def _top(ranking: Ranking, top_n: int, n: int) -> Decision:
    flagged = min(top_n, len(ranking.scores))
    cut = (
        Cut(float(ranking.scores[flagged - 1]), int(ranking.rows[flagged - 1]))
        if flagged
        else Cut(float("inf"), -1)
    )
    compared = f" p-values compare with {n:,} calibration rows." if n else ""
    return Decision(
        "top",
        flagged,
        cut,
        None,
        None,
        False,
        f"Ranking only: the highest {flagged:,} rows are shown, and nothing is promised.{compared}",
    )


def _nothing(rule: Rule, why: str) -> Decision:
    return Decision(str(rule), 0, Cut(float("inf"), -1), 0.0, 0, False, why)


def _clean_count(m: int, j: int, n: int) -> tuple[float, int]:
    """Mean and 99 % limit of how many of m clean rows lie above the j-th largest of n calibration scores (beta-binomial)."""
    low, high = 0, m if j else 0
    while low < high:
        middle = (low + high) // 2
        low, high = (
            (low, middle)
            if _chance_of_more(middle, m, j, n) <= 1 - CLEAN_LIMIT
            else (middle + 1, high)
        )
    return m * j / (n + 1), low


def _chance_of_more(k: int, m: int, j: int, n: int) -> float:
    """P(more than k of m clean rows above the j-th largest of n others).

    Of the k + j largest of all, fewer than j are among the n.
    """
    from scipy.special import gammaln  # late: takes long to import

    def log_choose(total: int, part: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.asarray(gammaln(total + 1) - gammaln(part + 1) - gammaln(total - part + 1))

    drawn = np.asarray(k + j)
    few = np.arange(max(0, k + j - m), j)
    return float(
        np.exp(log_choose(n, few) + log_choose(m, drawn - few) - log_choose(n + m, drawn)).sum()
    )


def _percent(share: Fraction) -> str:
    return f"{float(share * 100):.10g} %"
