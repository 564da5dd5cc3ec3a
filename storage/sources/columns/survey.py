"""What all rows of a table say of its categories and times: which of them can be features."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from storage.sources.columns.features import BlockColumn, grouped, named_features
from storage.sources.columns.schema import CATEGORY, HOUR, TIME, WEEKDAY, Kinds

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from storage.sources.source import Source
    from storage.sources.tables import TableSource

MOST_LEVELS = 1_000_000
FEW_LEVELS = 50  # any number of rows may have so many
FEW_IDS = 12  # as many levels or more, each in one row, are ids
MOST_DISTINCT = 0.5  # share of the rows; with more levels, a column is text or an id
DAY = 86_400.0
DAYS_FOR_HOURS, HOURS_OF_A_DAY = 3, 20  # either shows at which hours rows usually lie
DAYS_FOR_WEEKDAYS = 14
MOST_LATE = 0.01  # share of rows with an earlier day than the row before, where days ascend
DISTINCT = "ids: distinct in all rows"


@dataclass
class _Levels:
    """The distinct levels of a category, and how many rows have one, or none."""

    keys: set[float] = field(default_factory=set)
    first: str = ""
    filled: int = 0
    gaps: int = 0
    times: _Span | None = field(default_factory=lambda: _Span())  # None: some are no times
    unclear: bool = True  # whether all are days of which the month is unclear
    amounts: bool = True  # whether all are numbers with signs or separators

    def add(self, column: pa.Array) -> None:
        from storage.sources.columns.kinds import (  # late: pyarrow is slow to import
            is_text,
            levels_of,
        )

        keys, levels = levels_of(column)
        if self.times and is_text(column.type) and _are_times(levels):
            self.times.add(column)
        else:
            self.times = None
        self._look_at(levels if is_text(column.type) else ["none"])
        gaps = int(np.isnan(keys).sum())
        self.gaps, self.filled = self.gaps + gaps, self.filled + len(keys) - gaps
        self.first = self.first or (levels[0] if levels else "")
        if len(self.keys) <= MOST_LEVELS:
            self.keys.update(np.unique(keys[~np.isnan(keys)]).tolist())

    def _look_at(self, levels: Sequence[str]) -> None:
        """Rule out what not all levels are."""
        if not (self.unclear or self.amounts):
            return
        import pyarrow as pa  # late: pyarrow is slow to import

        from storage.sources.columns.written_values import are_amounts, are_unclear

        texts = pa.array(levels, pa.string())
        self.unclear = self.unclear and are_unclear(texts)
        self.amounts = self.amounts and are_amounts(texts)

    @property
    def are_times(self) -> bool:
        """Whether the levels are times; a few times of day, such as those of shifts, are not."""
        if self.times is None or len(self.keys) < 2:
            return False
        return bool(self.times.kinds(TIME)) or not self.times.within_a_day

    def unfit(self, clear_days: str) -> str:
        """Why the column is no feature; '' if it is one. clear_days: see `TableSource`."""
        count = len(self.keys)
        if not self.filled:
            return "no values"
        if count == 1 and not self.gaps and _are_times([self.first]):
            return f"one time in all rows: {self.first!r}"
        if self.unclear:
            return f"days such as {self.first!r}: month or day first? {clear_days}"
        if self.amounts and count >= FEW_IDS:
            return f"numbers such as {self.first!r}: write them as 1234.56, in one unit"
        if count > MOST_LEVELS:
            return f"more than {MOST_LEVELS:,} levels"
        if count >= FEW_IDS and count == self.filled and not self.gaps:
            return DISTINCT
        if count > max(FEW_LEVELS, MOST_DISTINCT * self.filled):
            return f"text or ids: {count:,} levels in {self.filled:,} rows"
        return ""


def _are_times(levels: Sequence[str]) -> bool:
    """Whether levels name days or moments, which the next night does not share."""
    import pyarrow as pa  # late: pyarrow is slow to import

    from storage.sources.columns.kinds import parse_times

    return not parse_times(pa.array(levels, pa.string())).null_count


@dataclass
class _Span:
    """The first and last moment of a time, and the hours of the day that occur."""

    first: float = np.inf
    last: float = -np.inf
    hours: set[int] = field(default_factory=set)

    def add(self, column: pa.Array) -> None:
        from storage.sources.columns.kinds import seconds_of  # late: pyarrow is slow to import

        seconds = seconds_of(column)
        seconds = seconds[~np.isnan(seconds)]
        if len(seconds):
            self.first = min(self.first, float(seconds.min()))
            self.last = max(self.last, float(seconds.max()))
            self.hours.update(np.unique(seconds % DAY // 3_600).astype(int).tolist())

    @property
    def within_a_day(self) -> bool:
        """Whether all are times of day, or of the first one of 1970."""
        return self.first >= 0 and self.last < DAY

    def kinds(self, asked: Collection[str]) -> tuple[str, ...]:
        """As which of hours and weekdays the column can be read."""
        days = (self.last - self.first) / DAY
        fit = {
            HOUR: len(self.hours) > 1
            and (days >= DAYS_FOR_HOURS or len(self.hours) >= HOURS_OF_A_DAY),
            WEEKDAY: days >= DAYS_FOR_WEEKDAYS,
        }
        return tuple(kind for kind in asked if fit[kind])

    def unfit(self) -> str:
        """Why the column is no feature."""
        if not self.hours:
            return "no values"
        days = (self.last - self.first) / DAY
        return f"covers {days:.1f} days: too few to tell usual hours or weekdays"


def survey_columns(source: Source, *, asked: Collection[str]) -> tuple[Kinds, dict[str, str]]:
    """Return as what each column is best read, and why others are no features.

    Text that holds only times is a time. asked: columns that are features in any case. Reads all
    other categories and times once.
    """
    from storage.sources.tables import TableSource  # late: pyarrow is slow to import

    assert isinstance(source, TableSource), "only tables have kinds"
    kinds = grouped(named_features(source.schema))
    unsure = {name: found for name, found in kinds.items() if name not in asked}
    levels = {name: _Levels() for name, found in unsure.items() if CATEGORY in found}
    spans = {name: _Span() for name, found in unsure.items() if found[0] in TIME}
    surveyed: dict[str, _Levels | _Span] = {**levels, **spans}
    for batch in source.column_batches([*surveyed]) if surveyed else ():
        for name, found in surveyed.items():
            found.add(_with_clear_days(source, batch.column(name)))
    texts = {name: found for name, found in levels.items() if found.are_times}
    spans |= {name: found.times for name, found in texts.items() if found.times}
    return _decide(
        kinds | dict.fromkeys(texts, TIME),
        {name: found for name, found in levels.items() if name not in texts},
        spans,
        source.clear_days,
    )


def _with_clear_days(source: TableSource, column: pa.Array) -> pa.Array:
    """Return a column with days such as 1/2/2026 in ISO 8601, if it is known what comes first."""
    from storage.sources.columns.kinds import is_text  # late: pyarrow is slow to import
    from storage.sources.csv_files.cells import with_clear_days

    return with_clear_days(column, source.days) if is_text(column.type) else column


def _decide(
    kinds: Kinds,
    levels: Mapping[str, _Levels],
    spans: Mapping[str, _Span],
    clear_days: str,
) -> tuple[Kinds, dict[str, str]]:
    chosen, unfit = dict(kinds), {}
    for name in kinds:
        if name in levels and (why := levels[name].unfit(clear_days)):
            unfit[name] = why
        if name in spans:
            chosen[name] = spans[name].kinds(kinds[name])
            if not chosen[name]:
                unfit[name] = spans[name].unfit()
    return {name: found for name, found in chosen.items() if name not in unfit}, unfit


def find_levels(
    source: Source, wanted: Mapping[str, Collection[float]]
) -> dict[str, dict[float, str]]:
    """Look up levels by their keys, by column. Reads these columns until all are found."""
    from storage.sources.columns.kinds import (  # late: pyarrow is slow to import
        level_key,
        levels_of,
    )
    from storage.sources.tables import TableSource

    assert isinstance(source, TableSource), "only tables have categories"
    left = {name: set(keys) for name, keys in wanted.items() if len(keys)}
    found: dict[str, dict[float, str]] = {name: {} for name in wanted}
    for batch in source.column_batches([*left]) if left else ():
        for name in list(left):
            keyed = ((level_key(level), level) for level in levels_of(batch.column(name))[1])
            new = {key: level for key, level in keyed if key in left[name]}
            found[name] |= new
            left[name] -= new.keys()
            if not left[name]:
                del left[name]
        if not left:
            break
    return found


def name_blocks(source: Source, block: BlockColumn, *, most: int) -> dict[float, str]:
    """Name the days or levels of a feature by their values in `Chunk.blocks`, ascending, NaN last.

    Reads the rows until more than `most` are found.
    """
    from storage.sources.columns.kinds import block_names  # late: pyarrow is slow to import
    from storage.sources.tables import TableSource

    assert isinstance(source, TableSource), "only tables have columns"
    found: dict[float, str] = {}
    for batch in source.column_batches([block.name]):
        found |= block_names(batch.column(block.name), by_day=block.by_day)
        if len(found) > most:
            break
    return {value: found[value] for value in sorted(found, key=lambda each: (each != each, each))}


@dataclass
class DayOrder:
    """Over the rows of a source, in order: the days of a time, and how often they go back.

    days: that occur. rows: with a day. back: of these, those with an earlier day than the row
    before.
    """

    days: set[float] = field(default_factory=set)
    rows: int = 0
    back: int = 0
    last: float = -np.inf

    @property
    def ascending(self) -> bool:
        """Whether days follow each other, but for a few late rows."""
        return self.back <= MOST_LATE * self.rows

    def add(self, days: NDArray[np.float64]) -> None:
        """Add the days of the next rows (n,), NaN for a gap."""
        known = days[~np.isnan(days)]
        if len(known):
            self.back += int((np.diff(known, prepend=self.last) < 0).sum())
            self.rows, self.last = self.rows + len(known), float(known[-1])
            self.days.update(np.unique(known).tolist())


def order_of_days(source: Source, name: str) -> DayOrder:
    """Read the days of a time, and in which order rows have them."""
    from storage.sources.columns.kinds import days_of  # late: pyarrow is slow to import
    from storage.sources.tables import TableSource

    assert isinstance(source, TableSource), "only tables have columns"
    order = DayOrder()
    for batch in source.column_batches([name]):
        order.add(days_of(batch.column(name)))
    return order
