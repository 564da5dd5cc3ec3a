"""The columns of a row as dots on their clean ranges, which all stand at the same place."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

BAND = (35.0, 65.0)  # percent of the width: the 1 % and 99 % quantiles of clean values
FARTHEST = 2.2  # half-widths of the band from its middle; values beyond 1 are on a log scale
DECADES = 3.0  # from the end of the band to the edge


@dataclass(frozen=True)
class Dot:
    """One column of a row.

    value, expected, usual: texts; usual is '' where no range is known. note: what stands out,
    for columns without a range. share: of the score. actual_at, expected_at: percent of the
    width; None where no range is known.
    """

    name: str
    value: str
    expected: str
    usual: str
    note: str
    share: float
    actual_at: float | None
    expected_at: float | None


def draw_dots(columns: Sequence[Mapping[str, object]]) -> list[Dot]:
    """Place the columns of `Evidence`, in their order."""
    return [_dot(each) for each in columns]


def _dot(column: Mapping[str, object]) -> Dot:
    actual, expected, low, high = (
        float(str(column[name])) for name in ("actual", "expected", "low", "high")
    )
    known, name = math.isfinite(low) and math.isfinite(high), str(column["name"])
    return Dot(
        name=name,
        value=str(column["actual_text"]),
        expected=str(column["expected_text"]),
        usual=f"{low:.4g} to {high:.4g}" if known else "",
        note="" if known else _note(column),
        share=float(str(column["share"])),
        actual_at=_place(actual, low, high) if known else None,
        expected_at=_place(expected, low, high) if known else None,
    )


def _note(column: Mapping[str, object]) -> str:
    """Return what stands out about a value, without the name and the value itself."""
    words = str(column["words"]).removeprefix(str(column["name"])).strip()
    note = words.removeprefix(str(column["actual_text"])).strip()
    return note[1:-1] if note.startswith("(") and note.endswith(")") else note


def _place(value: float, low: float, high: float) -> float | None:
    """Return where a value stands, in percent of the width; None for a gap."""
    if math.isnan(value):
        return None
    half = (high - low) / 2 or max(abs(low), 1e-12) * 1e-3  # a constant column
    away = (value - low) / half - 1 if math.isfinite(value) else math.copysign(math.inf, value)
    if abs(away) > 1:
        beyond = math.log10(min(abs(away), 10**DECADES)) * (FARTHEST - 1) / DECADES
        away = math.copysign(1 + beyond, away)
    return round(sum(BAND) / 2 + away * (BAND[1] - BAND[0]) / 2, 1)
