"""Whether days of a CSV file such as 1/2/2026 begin with the month or the day, as others show."""

from __future__ import annotations

import re

from storage.sources.csv_files.dialect import DAY_FIRST, MONTH_FIRST

DAY = (
    r"(?:^|(?<=[\n\"{delimiter}]))\s*(\d\d?)([-/.])(\d\d?)\2(\d{{4}}|\d\d)"
    r"(?=[T\s\"{delimiter}]|$)"
)
LAST_MONTH, LAST_DAY = 12, 31
CENTURY = 4  # digits of a year with one


class MonthOrDay:
    """What the days of a text show.

    Days with a year of two digits are kept apart, with their last part: they may begin with it.
    """

    def __init__(self, delimiter: str) -> None:
        self._pattern = re.compile(DAY.format(delimiter=re.escape(delimiter)), re.ASCII)
        self._first: set[int] = set()
        self._second: set[int] = set()
        self._short_first: set[int] = set()
        self._last: set[int] = set()
        self._any_unclear = False

    def add(self, text: str) -> None:
        """Add the days of a text."""
        for first, mark, second, year in self._pattern.findall(text):
            short = len(year) < CENTURY
            self._any_unclear |= short or mark != "."
            (self._short_first if short else self._first).add(int(first))
            self._last |= {int(year)} if short else set()
            self._second |= set() if mark == "." else {int(second)}  # 31.1.2026, never 1.31.2026

    @property
    def found(self) -> str:
        """MONTH_FIRST or DAY_FIRST, if some days tell, all agree, and some need it; else ''."""
        month_first, day_first = self._evidence()
        if month_first == day_first or not self._any_unclear:
            return ""
        return MONTH_FIRST if month_first else DAY_FIRST

    @property
    def is_open(self) -> bool:
        """Whether there are unclear days, and none that tells."""
        return self._any_unclear and not any(self._evidence())

    def _evidence(self) -> tuple[bool, bool]:
        """Whether some second part can only be a day, and whether some first part can."""
        may_begin_with_year = len(self._last) > len(self._short_first)  # 26/12/31
        first = self._first | (set() if may_begin_with_year else self._short_first)
        return _has_days(self._second), _has_days(first)


def _has_days(numbers: set[int]) -> bool:
    return any(LAST_MONTH < number <= LAST_DAY for number in numbers)
