"""Durations and values in words."""

from __future__ import annotations

import math
from dataclasses import dataclass

UNITS = (("s", 1.0), ("min", 60.0), ("h", 3_600.0), ("d", 86_400.0))
CHANGE = 2  # of a larger unit, from which it is used


@dataclass(frozen=True)
class RowClock:
    """step: seconds between rows; None where rows have no time."""

    step: float | None

    def duration(self, rows: int) -> str:
        """Return how long rows take: '34 s', '12 min', or '34 rows'."""
        if self.step is None:
            return "1 row" if rows == 1 else f"{rows:,} rows"
        return duration_text(rows * self.step)


def duration_text(seconds: float) -> str:
    """Return a duration in the unit that fits: '34 s', '12 min', '3.5 h', '2 d'."""
    name, length = [unit for unit in UNITS if seconds >= CHANGE * unit[1] or unit[0] == "s"][-1]
    return f"{seconds / length:.3g} {name}"


def value_text(value: float, width: float) -> str:
    """Return a value with digits enough to tell it from another within `width`."""
    if not math.isfinite(value) or width <= 0:
        return f"{value:.3g}"
    decimals = 1 - math.floor(math.log10(width))
    if decimals > 9:
        return f"{value:.3g}"
    text = f"{value:,.{max(decimals, 0)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
