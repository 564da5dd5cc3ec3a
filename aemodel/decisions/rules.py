"""Rules: which rows are flagged, and what can be promised about false alarms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from math import ceil
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aemodel.decisions.clean_counts import UNKNOWN, clean_above_cut, clean_discoveries
from aemodel.decisions.promises import fdr_promise, quantile_promise, threshold_note
from aemodel.decisions.ranking import Ranking, Tally
from aemodel.errors import SettingsError
from aemodel.series.events.event_rate import EventRate

EXAMPLE = "quantile 0.999, fdr 0.1, absolute 0.03, mad 6, top or, of series, events 1/7d"
MAD_OF_NORMAL = 0.6744897501960817  # median absolute deviation of a normal distribution with sd 1
MORE_ROWS = "Raise train.calibration or add clean rows, then train again."
MAX_DIGITS = 30  # a longer number is a typing error
VALID_VALUE: Mapping[str, Callable[[Decimal], bool]] = {
    "quantile": lambda value: 0 < value < 1,
    "fdr": lambda value: 0 < value < 1,
    "absolute": lambda value: value >= 0,
    "mad": lambda value: value > 0,
}


class Cut(NamedTuple):
    """Where the flagged rows end.

    Rows with a higher score are flagged, and rows with an equal score up to number `row`: a row
    of -1 flags only scores strictly above.
    """

    score: float
    row: int

    def flags(self, scores: NDArray[np.float64], rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Mark the flagged rows (m,), given their scores (m,) and row numbers (m,)."""
        return np.asarray((scores > self.score) | ((scores == self.score) & (rows <= self.row)))


NOTHING = Cut(float("inf"), -1)  # flags no row


@dataclass(frozen=True)
class Rule:
    """A parsed rule: its kind, its number (0 for 'top' and 'events') and its text.

    rate: of 'events', which needs series.
    """

    kind: str
    value: Decimal
    text: str = field(default="", compare=False)
    rate: EventRate | None = None

    def __str__(self) -> str:
        if self.rate is not None:
            return f"{self.kind} {self.rate}"
        return self.kind if self.kind == "top" else f"{self.kind} {self.value}"

    def threshold(self, calibration: NDArray[np.float64]) -> float:
        """Score above which 'absolute' and 'mad' flag rows; infinity for every other rule.

        'mad k' lies k robust standard deviations above the median calibration score
        (Iglewicz & Hoaglin 1993).
        """
        if self.kind == "absolute":
            return float(self.value)
        if self.kind != "mad" or not len(calibration):
            return float("inf")
        median = np.median(calibration)
        deviation = np.median(np.abs(calibration - median))
        return float(median + float(self.value) * deviation / MAD_OF_NORMAL)


@dataclass(frozen=True)
class Decision:
    """One decision for a night.

    expected, limit: see `CleanCount`.
    promise: what the rule promises, or why it promises nothing, in words.
    doubts: why its promise was withheld. withheld: the promise as it was before.
    """

    rule: str
    flagged: int
    cut: Cut
    expected: float | None
    limit: int | None
    promises: bool
    promise: str
    doubts: tuple[str, ...] = ()
    withheld: str = ""


def parse_rule(text: str) -> Rule:
    """Parse a rule such as 'quantile 0.999'.

    Raises SettingsError for an unknown kind or a value out of range.
    """
    kind, _, number = text.strip().partition(" ")
    if (kind, number) == ("top", ""):
        return Rule(kind, Decimal(0), text)
    if kind == "events":
        return Rule(kind, Decimal(0), text, EventRate.parse(number))
    value = _parse_value(number)
    if value is None or kind not in VALID_VALUE or not VALID_VALUE[kind](value):
        raise SettingsError(f"score.rule must look like {EXAMPLE}. Got '{text}' instead.")
    return Rule(kind, value, text)


def _parse_value(number: str) -> Decimal | None:
    try:
        value = Decimal(number)
    except InvalidOperation:
        return None
    return value if value.is_finite() and abs(value.adjusted()) < MAX_DIGITS else None


def decide(
    rule: Rule, calibration: NDArray[np.float64], tally: Tally, ranking: Ranking, *, top_n: int
) -> Decision:
    """Apply a rule to a whole night.

    calibration: (n,) float64, ascending. tally, ranking: merged over all rows of the night.
    """
    if rule.kind == "quantile":
        return _decide_quantile(rule, calibration, tally)
    if rule.kind == "fdr":
        return _decide_fdr(rule, calibration, tally)
    if rule.kind == "top":
        return _decide_top(ranking, top_n, len(calibration))
    return _decide_threshold(rule, calibration, tally)


def decide_beforehand(rule: Rule, calibration: NDArray[np.float64], *, top_n: int = 1) -> Decision:
    """Apply a rule to a night without rows, to learn its cut and promise.

    calibration: (n,) float64, ascending.
    """
    none = np.empty(0)
    ranking = Ranking.of(top_n, none, none.astype(np.int64))
    return decide(rule, calibration, Tally.of(calibration, none), ranking, top_n=top_n)


def withhold_promise(decision: Decision, why: str, *, when: str = " tonight") -> Decision:
    """Return the same decision without its promise; all reasons stand in one sentence."""
    if not decision.promises and not decision.doubts:
        return replace(decision, promise=f"{decision.promise} Besides, {why}.")
    doubts, withheld = (*decision.doubts, why), decision.withheld or decision.promise
    promise = (
        f"No guarantee{when}: {'; besides, '.join(reversed(doubts))}. The ranking is valid. "
        f"Withheld: {withheld}"
    )
    return replace(decision, promises=False, promise=promise, doubts=doubts, withheld=withheld)


def allowed_above(rule: Rule, n: int) -> int:
    """Return j = floor((n + 1)(1 - q)), computed exactly.

    'quantile q' flags rows above the j-th largest of n calibration scores.
    """
    return int((n + 1) * (1 - Fraction(rule.value)))


def _decide_quantile(rule: Rule, calibration: NDArray[np.float64], tally: Tally) -> Decision:
    n, share = len(calibration), 1 - Fraction(rule.value)
    j = allowed_above(rule, n)
    if j == 0:
        needed = ceil(1 / share) - 1
        few = f"{n:,} calibration rows are too few for {rule}; at least {needed:,} are needed."
        return _flag_nothing(rule, f"{few} {MORE_ROWS}")
    expected, limit = clean_above_cut(tally.rows, j, n)
    return Decision(
        rule=str(rule),
        flagged=int(tally.by_rank[:j].sum()),
        cut=Cut(float(calibration[-j]), -1),
        expected=expected,
        limit=limit,
        promises=True,
        promise=quantile_promise(share, j, n),
    )


def _decide_fdr(rule: Rule, calibration: NDArray[np.float64], tally: Tally) -> Decision:
    """Apply Benjamini & Hochberg (1995) to conformal p-values, using only their counts."""
    n = len(calibration)
    if not n:
        return _flag_nothing(rule, f"there are no calibration rows. {MORE_ROWS}")
    share = Fraction(rule.value)
    rank = _last_rank(tally, share)
    expected, limit = clean_discoveries(share, tally.rows)
    return Decision(
        rule=str(rule),
        flagged=int(tally.by_rank[: rank + 1].sum()),
        cut=_cut_at_rank(calibration, rank),
        expected=expected,
        limit=limit,
        promises=True,
        promise=fdr_promise(share, tally.rows, n),
    )


def _cut_at_rank(calibration: NDArray[np.float64], rank: int) -> Cut:
    """Flag rows whose score at most `rank` calibration scores reach; none for rank -1."""
    if rank < 0:
        return NOTHING
    score = float(calibration[-rank - 1]) if rank < len(calibration) else float("-inf")
    return Cut(score, -1)


def _last_rank(tally: Tally, share: Fraction) -> int:
    """Find the largest rank r with (1 + r) m <= share (n + 1) #{rows of rank <= r}, exactly.

    -1 if there is none.
    """
    at_most = np.cumsum(tally.by_rank)
    bins, m = len(at_most), tally.rows
    near = (1.0 + np.arange(bins)) * m <= float(share) * bins * at_most * (1 + 1e-9)
    for rank in np.flatnonzero(near & (at_most > 0))[::-1].tolist():
        if (1 + rank) * m <= share * bins * int(at_most[rank]):
            return int(rank)
    return -1


def _decide_threshold(rule: Rule, calibration: NDArray[np.float64], tally: Tally) -> Decision:
    """Apply 'absolute' or 'mad'."""
    n, threshold = len(calibration), rule.threshold(calibration)
    if rule.kind == "mad" and not n:
        return _flag_nothing(rule, f"there are no calibration rows. {MORE_ROWS}")
    above = int((calibration > threshold).sum())
    expected, limit = clean_above_cut(tally.rows, min(above + 1, n), n) if n else UNKNOWN
    return Decision(
        rule=str(rule),
        flagged=tally.above,
        cut=Cut(threshold, -1),
        expected=expected,
        limit=limit,
        promises=False,
        promise=_no_promise(rule, threshold, above, n),
    )


def _no_promise(rule: Rule, threshold: float, above: int, n: int) -> str:
    if rule.kind == "absolute":
        return threshold_note("fixed", str(rule.value), above, n)
    value = f"{threshold:.4g} ({rule.value} robust standard deviations above their median)"
    return threshold_note("robust-deviation", value, above, n)


def _decide_top(ranking: Ranking, top_n: int, n: int) -> Decision:
    flagged = min(top_n, len(ranking.scores))
    compared = f" p-values compare with {n:,} calibration rows." if n else ""
    return Decision(
        rule="top",
        flagged=flagged,
        cut=_cut_after(ranking, flagged),
        expected=None,
        limit=None,
        promises=False,
        promise=f"Ranking only: the top {flagged:,} rows are shown without a guarantee.{compared}",
    )


def _cut_after(ranking: Ranking, flagged: int) -> Cut:
    """Flag the first `flagged` rows of a ranking."""
    if not flagged:
        return NOTHING
    return Cut(float(ranking.scores[flagged - 1]), int(ranking.rows[flagged - 1]))


def _flag_nothing(rule: Rule, why: str) -> Decision:
    return Decision(
        rule=str(rule),
        flagged=0,
        cut=NOTHING,
        expected=0.0,
        limit=0,
        promises=False,
        promise=f"Ranking only: {why}",
    )
