"""One decision for a night of series: which runs are events, and what that promises."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from aemodel.decisions.rules import Cut, Decision, Rule, allowed_above
from aemodel.series.events.promise import EventCut, cut_of_rate
from aemodel.series.events.runs import Run, events_above
from aemodel.series.model import SeriesModel

RARELY = 0.95  # clean data gives at most `limit` events in so many of the nights


@dataclass(frozen=True)
class Extent:
    """How much was judged: rows, and how many series ran at the same time, on average."""

    rows: int
    at_once: float


def decide_series(
    rule: Rule, model: SeriesModel, runs: Sequence[Run], extent: Extent, *, top_n: int
) -> tuple[Decision, list[Run]]:
    """Apply a rule to the runs of a night, in order of rows. Return the events, highest first."""
    cut = cut_of_rule(rule, model, at_once=extent.at_once)
    events = events_above(runs, cut.score, gap=model.scorer.window)
    if rule.kind == "top":
        events = events[:top_n]
    expected, limit = _clean_events(model, cut.score, extent)
    found = Decision(
        rule=str(rule),
        flagged=len(events),
        cut=Cut(cut.score, -1),
        expected=expected,
        limit=limit,
        promises=cut.promises,
        promise=cut.promise,
    )
    return found, events


def cut_of_rule(rule: Rule, model: SeriesModel, *, at_once: float) -> EventCut:
    """Return the score that the peak of an event exceeds, and what that promises."""
    calibration = model.calibration
    if rule.rate is not None and rule.rate.unit and not model.in_seconds:
        why = f"rows have no times; write '{rule}' as a number of rows, such as 'events 1/10000'"
        return EventCut(float("inf"), False, f"Ranking only: {why}.")
    if rule.rate is not None:
        return cut_of_rate(rule.rate, calibration, step=model.step, at_once=at_once)
    if rule.kind == "quantile":
        return _cut_of_quantile(rule, model)
    if rule.kind == "top":
        return EventCut(calibration.ordinary, False, "Ranking only: no guarantee.")
    score = rule.threshold(calibration.highest)
    return EventCut(score, False, f"'{rule}' promises nothing: its cut is {score:.4g}.")


def _cut_of_quantile(rule: Rule, model: SeriesModel) -> EventCut:
    highest = model.calibration.highest
    j = allowed_above(rule, len(highest))
    stretch = f"{model.calibration.stretch:,.0f} rows"
    if not j:
        needed = ceil(1 / (1 - Fraction(rule.value))) - 1
        return EventCut(
            float("inf"),
            False,
            f"{len(highest):,} clean stretches of {stretch} are too few for {rule}; at least "
            f"{needed:,} are needed. Add clean rows, then train again.",
        )
    share = f"{float(100 * (1 - Fraction(rule.value))):g} %"
    words = f"at most {share} of clean stretches of {stretch} have an event"
    return EventCut(float(highest[-j]), True, f"{words}, by {len(highest):,} clean stretches.")


def _clean_events(
    model: SeriesModel, cut: float, extent: Extent
) -> tuple[float | None, int | None]:
    """Return how many events clean data of this extent gives, on average and at most."""
    highest, stretch = model.calibration.highest, model.calibration.stretch
    if not len(highest):
        return None, None
    if cut == float("inf"):
        return 0.0, 0
    from scipy.stats import binom  # late: takes long to import

    stretches = max(1, ceil(extent.rows / stretch))
    chance = min(1.0, (int((highest > cut).sum()) + 1) / (len(highest) + 1))
    return stretches * chance, int(binom.ppf(RARELY, stretches, chance))
