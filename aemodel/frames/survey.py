"""Which columns of a frame are features, by the rules of `nightglass train`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

import numpy as np

from aemodel.frames.columns import TEXTS, TIME, FrameColumn
from aemodel.frames.values import moments_of, parse_moment
from aemodel.frames.written_values import is_amount, is_unclear
from aemodel.rows.layout import CATEGORY, HOUR, MAX_LEVELS, WEEKDAY
from aemodel.rows.levels import MOST_LEVELS

IGNORED = "data.ignore"  # why a column is no feature
FEW_LEVELS = 50  # any number of rows may have so many
FEW_IDS = 12  # as many levels or more, each in one row, are ids
MOST_DISTINCT = 0.5  # share of the rows; with more levels, a column is text or an id
DAY = 86_400.0
DAYS_FOR_HOURS, HOURS_OF_A_DAY = 3, 20  # either shows at which hours rows usually lie
DAYS_FOR_WEEKDAYS = 14
FIRST_DAY = date(1970, 1, 1)  # of a time of day


@dataclass(frozen=True)
class WantedColumns:
    """What is asked for, whatever the columns hold.

    kinds: as what to read some columns; (), to leave one out. max_levels: see `Layout`.
    """

    kinds: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    max_levels: int = MAX_LEVELS


def choose_features(
    columns: Mapping[str, FrameColumn], asked: Mapping[str, tuple[str, ...]] | None = None
) -> tuple[list[tuple[str, str]], dict[str, str]]:
    """Return the features as (column, kind), and why other columns are none.

    asked: as what some columns are read, see `WantedColumns`.
    """
    features, ignored = [], {}
    for name, column in columns.items():
        if asked and name in asked:
            kinds = tuple(kind for kind in asked[name] if column.can_be(kind))
            why_not = IGNORED
        else:
            kinds, why_not = _kinds_and_why_not(column)
        features += [(name, kind) for kind in kinds]
        if not kinds:
            ignored[name] = why_not
    return features, ignored


def _kinds_and_why_not(column: FrameColumn) -> tuple[tuple[str, ...], str]:
    if column.why_not:
        return (), column.why_not
    if _is_time(column):
        kinds, why_not = _kinds_of_time(column)
        if kinds or not _are_few_clocks(column):
            return kinds, why_not
    why_not = _unfit_category(column) if column.kinds == (CATEGORY,) else ""
    return () if why_not else column.kinds, why_not


def _is_time(column: FrameColumn) -> bool:
    """Whether a column holds times, also as several texts that are nothing else."""
    if column.content != TEXTS or column.coded:
        return column.kinds[0] in TIME
    texts = column.level_names
    return len(texts) > 1 and all(map(parse_moment, texts))


def _are_few_clocks(column: FrameColumn) -> bool:
    """Whether a column holds texts that are times of day, such as those of shifts."""
    return column.content == TEXTS and all(
        moment is not None and moment.date() == FIRST_DAY
        for moment in map(parse_moment, column.level_names)
    )


def _unfit_category(column: FrameColumn) -> str:
    """Why a category is no feature; '' if it is one."""
    texts = column.level_names
    levels, filled, has_gaps = len(texts), len(column.filled), bool(column.gaps.any())
    if levels == 1 and not has_gaps and parse_moment(texts[0]):
        return f"one time in all rows: {texts[0]!r}"
    if levels and column.content == TEXTS and not column.coded:
        if all(map(is_unclear, texts)):
            return f"days such as {texts[0]!r}: month or day first? write them as 2026-01-31"
        if levels >= FEW_IDS and all(map(is_amount, texts)):
            return f"numbers such as {texts[0]!r}: write them as 1234.56, in one unit"
    if levels > MOST_LEVELS:
        return f"more than {MOST_LEVELS:,} levels"
    if levels >= FEW_IDS and levels == filled and not has_gaps:
        return "ids: distinct in all rows"
    if levels <= max(FEW_LEVELS, MOST_DISTINCT * filled):
        return ""
    return f"text or ids: {levels:,} levels in {filled:,} rows"


def _kinds_of_time(column: FrameColumn) -> tuple[tuple[str, ...], str]:
    """As which of hours and weekdays a time is read, and why as none."""
    seconds = moments_of(column)
    seconds = seconds[~np.isnan(seconds)]
    hours = np.unique(seconds % DAY // 3_600)
    days = float(seconds.max() - seconds.min()) / DAY
    fit = {
        HOUR: len(hours) > 1 and (days >= DAYS_FOR_HOURS or len(hours) >= HOURS_OF_A_DAY),
        WEEKDAY: days >= DAYS_FOR_WEEKDAYS,
    }
    asked = TIME if column.content == TEXTS else column.kinds
    kinds = tuple(kind for kind in asked if fit[kind])
    why_not = f"covers {days:.1f} days: too few to tell usual hours or weekdays"
    return kinds, "" if kinds else why_not
