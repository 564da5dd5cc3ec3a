"""Columns of a DataFrame or Arrow table as NumPy arrays, and what they hold."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, tzinfo
from decimal import Decimal
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aemodel.frames.levels import level_texts_in
from aemodel.rows.layout import CATEGORY, HOUR, NUMBER, WEEKDAY
from aemodel.rows.levels import level_key

NUMBERS, BOOLS, TEXTS, DURATIONS = "numbers", "true or false", "texts", "durations"
MOMENTS, DATES, CLOCKS = "moments", "dates", "times of day"
TIME = (HOUR, WEEKDAY)
UNKEYED = (NUMBER, *TIME)  # any other kind is read as keys of levels

CODED = ("category", "Categorical", "Enum", "dictionary")  # types of columns of codes for levels
BY_DTYPE = {
    **dict.fromkeys("iuf", NUMBERS),
    "b": BOOLS,
    "U": TEXTS,
    "m": DURATIONS,
    "M": MOMENTS,
}
BY_CLASS: Sequence[tuple[tuple[type, ...], str]] = (  # the first that fits: bool is an int, too
    ((bool, np.bool_), BOOLS),
    ((int, float, Decimal, np.number), NUMBERS),
    ((str,), TEXTS),
    ((datetime,), MOMENTS),
    ((date,), DATES),
    ((time,), CLOCKS),
)
BY_DEFAULT = {
    NUMBERS: (NUMBER,),
    DURATIONS: (NUMBER,),
    BOOLS: (CATEGORY,),
    TEXTS: (CATEGORY,),
    MOMENTS: TIME,
    DATES: (WEEKDAY,),
    CLOCKS: (HOUR,),
}
IF_ASKED = {NUMBERS: (CATEGORY,), BOOLS: (NUMBER,), TEXTS: TIME}


@dataclass(frozen=True, eq=False)
class FrameColumn:
    """One column of a frame.

    values: (n,), as NumPy has them; of times with a zone, in UTC. gaps: (n,) bool; the values
    there mean nothing. type: as the frame names it. coded: whether it lists its levels. zone: in
    which times count. is_index: whether it held the index of a DataFrame.
    """

    values: NDArray[Any]
    gaps: NDArray[np.bool_]
    type: str
    coded: bool = False
    zone: tzinfo | str | None = None
    is_index: bool = False

    @cached_property
    def filled(self) -> NDArray[Any]:
        """The values without gaps."""
        return self.values[~self.gaps]

    @cached_property
    def content(self) -> str:
        """What the column holds; '' if it cannot be read."""
        if self.values.ndim != 1:
            return ""
        if self.values.dtype.kind != "O":
            found = BY_DTYPE.get(self.values.dtype.kind, "")
            return DATES if found == MOMENTS and self._is_date else found
        classes = {*map(type, self.filled)}
        fits = (name for group, name in BY_CLASS if all(issubclass(c, group) for c in classes))
        return next(fits, "")

    @property
    def _is_date(self) -> bool:
        return self.type.lower().startswith("date") and "time" not in self.type.lower()

    @property
    def kinds(self) -> tuple[str, ...]:
        """As what it is read by default; () if it cannot be."""
        if not self.coded:
            return BY_DEFAULT.get(self.content, ())
        return (CATEGORY,) if self.content in (NUMBERS, BOOLS, TEXTS) else ()

    def can_be(self, kind: str) -> bool:
        """Whether it can be read as a kind; without values, as any."""
        default = BY_DEFAULT.get(self.content, ())
        allowed = {*self.kinds, *IF_ASKED.get(self.content, ()), *(default if self.coded else ())}
        return bool(self.gaps.all()) or (kind if kind in UNKEYED else CATEGORY) in allowed

    @property
    def why_not(self) -> str:
        """Why it is no feature by its type, or ''."""
        if self.is_index:
            return "pandas index"
        if self.gaps.all():
            return "no values"
        if self.kinds:
            return ""
        if self.values.dtype.kind != "O" or self.type.lower() != "object":
            return self.type
        names = sorted({type(value).__name__ for value in self.filled})
        several = "values of several types: " if len(names) > 1 else ""
        return several + ", ".join(names)

    @cached_property
    def _coded(self) -> tuple[NDArray[np.intp], list[str]]:
        return level_texts_in(self.filled, self.type)

    @property
    def level_names(self) -> list[str]:
        """The texts of the distinct levels."""
        return self._coded[1]

    @cached_property
    def levels(self) -> tuple[NDArray[np.float64], dict[float, str]]:
        """The keys (n,) of the levels, NaN for a gap, and the text of each level by its key."""
        places, texts = self._coded
        keys = np.array([level_key(text) for text in texts], np.float64)
        return self.with_gaps(keys[places]), dict(zip(keys.tolist(), texts, strict=True))

    def with_gaps(self, known: NDArray[Any]) -> NDArray[np.float64]:
        """Return values (n,) that are `known` (m,) where there is no gap, NaN elsewhere."""
        values = np.full(len(self.gaps), np.nan)
        values[~self.gaps] = known
        return values


def is_frame(rows: object) -> bool:
    """Return whether rows are a DataFrame or Arrow table, not an array or list.

    Raises ValueError for a frame that is not in memory.
    """
    found = type(rows)  # an attribute of a DataFrame may be a column
    if hasattr(found, "collect") and hasattr(found, "columns"):
        raise ValueError(f"X must be in memory. Got {found.__name__} instead; call X.collect().")
    return hasattr(found, "column_names") or (hasattr(found, "columns") and hasattr(found, "shape"))


def read_frame(frame: Any) -> dict[str, FrameColumn]:
    """Return the columns of a frame by name, in its order.

    Raises ValueError if two have the same name.
    """
    is_arrow = hasattr(type(frame), "column_names")
    names = [str(name) for name in (frame.column_names if is_arrow else frame.columns)]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(
            f"X must have columns of different names. Got {', '.join(map(repr, twice))} more than "
            "once instead; give each column a unique name."
        )
    columns = {name: _column(_cells(frame, place)) for place, name in enumerate(names)}
    index = _pandas_index(frame.schema.metadata) if is_arrow else set()
    return {
        name: replace(column, is_index=True) if name in index else column
        for name, column in columns.items()
    }


def _pandas_index(metadata: Mapping[bytes, bytes] | None) -> set[str]:
    """Return the columns of an Arrow table that held the index of a DataFrame."""
    try:
        stored = json.loads((metadata or {}).get(b"pandas", b"{}"))
        return {name for name in stored.get("index_columns", ()) if isinstance(name, str)}
    except (ValueError, AttributeError, TypeError):  # not what pandas writes
        return set()


def _cells(frame: Any, place: int) -> Any:
    if hasattr(type(frame), "iloc"):  # pandas
        return frame.iloc[:, place]
    return frame.to_series(place) if hasattr(type(frame), "to_series") else frame.column(place)


def _column(cells: Any) -> FrameColumn:
    kind = cells.dtype if hasattr(type(cells), "dtype") else cells.type
    zone = getattr(kind, "tz", None) or getattr(kind, "time_zone", None)
    gaps = np.asarray(cells.isna() if hasattr(type(cells), "isna") else cells.is_null(), np.bool_)
    coded = re.split(r"[(<]", str(kind))[0] in CODED
    if str(kind) == "category":  # of pandas: its levels keep their type where there are gaps
        levels = kind.categories
        values, name = _decoded(levels, cells.cat.codes), f"category of {levels.dtype}"
    else:
        values, name = _values(cells, kind, zone), str(kind)
    return FrameColumn(values, gaps | _not_a_number(values), name, coded, zone)


def _decoded(levels: Any, codes: Any) -> NDArray[Any]:
    if not len(levels):
        return np.full(len(codes), None)
    return np.asarray(levels.to_numpy()[np.maximum(np.asarray(codes), 0)])


def _values(cells: Any, kind: Any, zone: object) -> NDArray[Any]:
    if zone and hasattr(kind, "unit") and hasattr(cells, "dt"):  # pandas: not as objects
        return np.asarray(cells.to_numpy(dtype=f"datetime64[{kind.unit}]"))
    return np.asarray(cells)


def _not_a_number(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Mark NaN (n,), which is a gap here."""
    if values.ndim != 1 or values.dtype.kind not in "fO":
        return np.zeros(len(values), np.bool_)
    if values.dtype.kind == "f":
        return np.asarray(np.isnan(values))
    return np.array([isinstance(each, float) and each != each for each in values], np.bool_)
