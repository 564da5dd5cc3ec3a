"""Whether days of a CSV file such as 1/2/2026 begin with the month or the day, as others show."""

from __future__ import annotations

import re

from storage.sources.csv_files.dialect import DAY_FIRST, MONTH_FIRST

DAY = (
    r"(?:^|(?<=[\n\"{delimiter}]))\s*(\d\d?)([-/.])(\d\d?)\2(\d{{4}}|\d\d)"
    r"(?=[T\s\"{delimiter}]|$)"
)
LAST_MONTH, LAST_DAY = 12, 31
CENTURY = 4  # digits of a year with its century


class MonthOrDay:
    """What the days of a text show.

    Of days with a year of two digits, first and last part count together: they may begin with it.
    Such days with points may be versions: they tell nothing of days with other marks.
    """

    def __init__(self, delimiter: str) -> None:
        self._pattern = re.compile(DAY.format(delimiter=re.escape(delimiter)), re.ASCII)
        self._first: set[int] = set()  # parts of days with a year of four digits
        self._second: set[int] = set()  # parts of days without points
        self._short: set[tuple[int, int]] = set()
        self._short_with_points: set[tuple[int, int]] = set()

    def add(self, text: str) -> None:
        """Add the days of a text."""
        for first, mark, second, year in self._pattern.findall(text):
            if len(year) == CENTURY:
                self._first.add(int(first))
            else:
                short = self._short_with_points if mark == "." else self._short
                short.add((int(first), int(year)))
            if mark != ".":
                self._second.add(int(second))  # 31.1.2026, never 1.31.2026

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

    @property
    def _any_unclear(self) -> bool:
        return bool(self._second or self._short_with_points)

    def _evidence(self) -> tuple[bool, bool]:
        """Whether some second part can only be a day, and whether some first part can."""
        short = self._short if self._second else self._short_with_points
        firsts, lasts = ({parts[place] for parts in short} for place in (0, 1))
        may_begin_with_year = len(lasts) > len(firsts)  # 26/12/31
        first = self._first | (set() if may_begin_with_year else firsts)
        return _has_days(self._second), _has_days(first)


def _has_days(numbers: set[int]) -> bool:
    return any(LAST_MONTH < number <= LAST_DAY for number in numbers)
