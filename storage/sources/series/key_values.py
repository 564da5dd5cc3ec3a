"""The values of the columns that order rows: times and entities, as numbers.

A time is nanoseconds in UTC, or the column's own number. Times without a zone count as UTC; what is
no time, or lies beyond the years 1677 to 2262, is a gap.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from storage.errors import SourceError
from storage.sources.columns.kinds import is_text, level_texts, numbers_in
from storage.sources.columns.written_values import cast_clear, times_in_iso

NANOSECONDS = pa.timestamp("ns")
TICKS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
TICKS_A_DAY = 86_400 * TICKS["s"]
CLOCK = r"^\d\d:\d\d"
SPACED_ZONE = r"[ ](Z|[+-]\d\d(?::?\d\d)?)$"
ZONED = r"\d(Z|[+-]\d\d(?::?\d\d)?)$"
DATE = r"^\d{4}-\d\d-\d\d"
DATED = DATE + "[T ]"  # a date by itself ends like an offset
NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
LARGEST = np.iinfo(np.int64).max
TRIED = 100  # texts, before all are parsed as if none had an offset

MOST_ENTITIES = 1_000_000
NO_ENTITY = -1

Ticks = NDArray[np.int64] | NDArray[np.float64]


class Times(NamedTuple):
    """Times (n,), and which of them (n,) are known; the others are 0."""

    values: Ticks
    known: NDArray[np.bool_]


def orders_rows(kind: pa.DataType) -> bool:
    """Return whether values of an Arrow type can order rows; of text, the values decide."""
    types = pa.types
    if types.is_dictionary(kind):
        return orders_rows(kind.value_type)
    tests = (types.is_temporal, types.is_integer, types.is_floating, types.is_decimal, is_text)
    return any(test(kind) for test in tests) or bool(types.is_null(kind))


def are_numbers(column: pa.Array) -> bool | None:
    """Return whether a column orders rows by numbers rather than times; None if nothing tells."""
    column = _plain(column)
    if pa.types.is_null(column.type) or column.null_count == len(column):
        return None
    if not is_text(column.type):
        return not pa.types.is_temporal(column.type)
    filled = _filled(column).drop_null()
    if not len(filled):
        return None
    fit = pc.match_substring_regex(filled, NUMBER)
    return bool(pc.mean(fit.cast(pa.float64())).as_py() > 0.5)


def read_times(column: pa.Array, *, numbers: bool) -> Times:
    """Return the times of a column; numbers: whether they are numbers, see `are_numbers`."""
    column = _plain(column)
    if numbers:
        return _read_numbers(column)
    if is_text(column.type) or pa.types.is_null(column.type):
        column = _parsed(_filled(column.cast(pa.string())))
    kind = column.type
    if not pa.types.is_temporal(kind):  # numbers in one file, times in the others
        return _gaps(len(column), numbers=False)
    if pa.types.is_date(kind):
        return _scaled(column.cast(pa.date32()).cast(pa.int32()), TICKS_A_DAY)
    whole = column.cast(pa.int32()) if pa.types.is_time32(kind) else column.cast(pa.int64())
    return _scaled(whole, TICKS[kind.unit])


def _plain(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _gaps(count: int, *, numbers: bool) -> Times:
    none = np.zeros(count, np.float64) if numbers else np.zeros(count, np.int64)
    return Times(none, np.zeros(count, np.bool_))


def _scaled(whole: pa.Array, ticks: int) -> Times:
    counts = whole.fill_null(0) if whole.null_count else whole
    values = counts.to_numpy(zero_copy_only=False).astype(np.int64, copy=False)
    known = np.ones(len(whole), np.bool_)
    if whole.null_count:
        known = np.asarray(whole.is_valid().to_numpy(zero_copy_only=False))
    most = LARGEST // ticks
    if len(values) and (values.min() < -most or values.max() > most):
        within = np.abs(values) <= most
        known, values = known & within, np.where(within, values, 0)
    return Times(values * ticks, known)


def _read_numbers(column: pa.Array) -> Times:
    if is_text(column.type):
        texts = _filled(column)
        column = pc.if_else(pc.match_substring_regex(texts, NUMBER), texts, None)
    elif pa.types.is_temporal(column.type):
        return _gaps(len(column), numbers=True)
    floats = numbers_in(column).cast(pa.float64(), safe=False)
    values = np.asarray(floats.to_numpy(zero_copy_only=False), np.float64)
    known = np.isfinite(values)
    return Times(np.where(known, values, 0.0), known)


def _filled(texts: pa.Array) -> pa.Array:
    """Return trimmed texts; an empty one is a gap."""
    trimmed = pc.ascii_trim_whitespace(texts)
    return pc.if_else(pc.equal(trimmed, ""), None, trimmed)


def _parsed(texts: pa.StringArray) -> pa.TimestampArray:
    """Parse times, each with or without an offset from UTC; what is no time is a gap.

    They are in ISO 8601, or as `times_in_iso` can write them so.
    """
    try:
        texts[:TRIED].cast(NANOSECONDS)  # text that is no time takes long
        return texts.cast(NANOSECONDS)
    except pa.ArrowInvalid:
        distinct = texts.dictionary_encode()
        return _parsed_by_form(distinct.dictionary).take(distinct.indices)


def _parsed_by_form(texts: pa.StringArray) -> pa.TimestampArray:
    """Parse what looks like a time, with an offset or without; a clock alone is one of 1970."""
    texts = times_in_iso(texts)
    at_clock = pc.match_substring_regex(texts, CLOCK)
    dated = pc.if_else(at_clock, pc.binary_join_element_wise("1970-01-01", texts, " "), texts)
    tight = pc.replace_substring_regex(dated, SPACED_ZONE, r"\1")
    zoned = pc.and_(pc.match_substring_regex(tight, ZONED), pc.match_substring_regex(tight, DATED))
    utc = _cast(pc.if_else(zoned, tight, None), pa.timestamp("ns", "UTC"))
    naive = _cast(pc.if_else(zoned, None, tight), NANOSECONDS)
    return pc.coalesce(utc.cast(pa.int64()), naive.cast(pa.int64())).cast(NANOSECONDS)


def _cast(texts: pa.StringArray, kind: pa.DataType) -> pa.TimestampArray:
    return cast_clear(pc.if_else(pc.match_substring_regex(texts, DATE), texts, None), kind)


class EntityCodes:
    """Numbers the entities as they first appear; a gap, and an empty text, is NO_ENTITY."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._codes: dict[str, int] = {"": NO_ENTITY}

    def codes(self, column: pa.Array) -> NDArray[np.int32]:
        """Return the codes (n,) of a column. Raises SourceError if there are too many."""
        if pa.types.is_dictionary(column.type):  # its levels may be in any order, or unused
            column = column.dictionary_decode()
        encoded = column.dictionary_encode()
        names = _names(encoded.dictionary)
        by_place = np.array([*map(self._code, names), NO_ENTITY], np.int32)
        places = encoded.indices.fill_null(len(names)).to_numpy(zero_copy_only=False)
        return np.asarray(by_place[places])

    def _code(self, name: str) -> int:
        code = self._codes.get(name)
        if code is None:
            code = self._codes[name] = len(self.names)
            self.names.append(name)
            if code >= MOST_ENTITIES:
                raise SourceError(
                    f"expected at most {MOST_ENTITIES:,} entities, got more; is the column of "
                    "series.entity an id of rows?"
                )
        return code


def sorted_ranks(names: list[str]) -> NDArray[np.int32]:
    """Return the place (n,) of each name among the sorted names."""
    ranks = np.empty(len(names), np.int32)
    ranks[sorted(range(len(names)), key=names.__getitem__)] = np.arange(len(names))
    return ranks


def _names(levels: pa.Array) -> list[str]:
    texts = level_texts(levels) if len(levels) else pa.array([], pa.string())
    found = pc.fill_null(texts.cast(pa.large_binary()), b"").to_pylist()
    return [name.decode(errors="backslashreplace") for name in found]
