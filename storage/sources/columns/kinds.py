"""Kinds of columns by Arrow type, and the values that stand for them in rows of float64.

A number stands for itself. A category or entity is a key: a hash of the level's text, so that a
level has the same key in every file. A time is one or two columns: the hour of the day and the
weekday.
"""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from storage.sources.columns.features import NO_VALUES, Column
from storage.sources.columns.schema import CATEGORY, HOUR, NUMBER, TIME, WEEKDAY
from storage.sources.columns.written_values import cast_clear, times_in_iso

KEY_BITS = 53  # float64 holds such whole numbers exactly
SECONDS_A_DAY = 86_400
FIRST_WEEKDAY = 3  # 1970-01-01 was a Thursday; Monday is 0
ISO_TIME = (
    r"^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)\d{0,3}"
    r" ?(?:Z|[+-]\d\d(?::?\d\d)?)?)?$"
)
CLOCK = r"^\d\d:\d\d"
EPOCH_DAY = "1970-01-01"
PARSED = pa.timestamp("us")
GAP = "(no value)"  # names the block of rows without a day or level


def describe_column(kind: pa.DataType) -> Column:
    """Describe a column of an Arrow type."""
    default, others = kinds_of(kind)
    type_name = NO_VALUES if pa.types.is_null(kind) else str(kind)
    return Column(default, others, "" if default else type_name, type_name)


def kinds_of(kind: pa.DataType) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return as what a column of an Arrow type is read by default, and if it is asked for."""
    types = pa.types  # spelled out, since wide tables ask thousands of times
    if types.is_floating(kind) or types.is_integer(kind) or types.is_decimal(kind):
        return (NUMBER,), (CATEGORY,)
    if types.is_boolean(kind):
        return (CATEGORY,), (NUMBER,)
    if is_text(kind):
        return (CATEGORY,), TIME
    if types.is_dictionary(kind):
        return _kinds_of_dictionary(kind.value_type)
    if types.is_timestamp(kind):
        return TIME, (CATEGORY,)
    if types.is_date(kind):
        return (WEEKDAY,), (CATEGORY,)
    if types.is_time(kind):
        return (HOUR,), (CATEGORY,)
    if types.is_duration(kind):
        return (NUMBER,), (CATEGORY,)
    return (), (NUMBER, CATEGORY, *TIME) if types.is_null(kind) else ()


def _kinds_of_dictionary(values: pa.DataType) -> tuple[tuple[str, ...], tuple[str, ...]]:
    default, others = kinds_of(values)
    if not default:
        return (), ()
    return (CATEGORY,), tuple(kind for kind in (*default, *others) if kind != CATEGORY)


def is_text(kind: pa.DataType) -> bool:
    """Return whether an Arrow type is a text."""
    types = pa.types
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def holds_text(kind: pa.DataType) -> bool:
    """Return whether an Arrow type is a text, or a dictionary of texts."""
    return is_text(kind.value_type if pa.types.is_dictionary(kind) else kind)


def no_times(column: pa.Array) -> NDArray[np.bool_]:
    """Mark the values (n,) of a column that are texts, but no times."""
    if not holds_text(column.type):
        return np.zeros(len(column), np.bool_)
    texts = column.cast(pa.string())
    gaps = pc.and_(texts.is_valid(), parse_times(texts).is_null())
    return np.asarray(gaps.to_numpy(zero_copy_only=False), np.bool_)


def numbers_in(column: pa.Array) -> pa.Array:
    """Return a column of a type that can be read as numbers as one that NumPy can hold."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_decimal(column.type) or pa.types.is_null(column.type):
        return column.cast(pa.float64())
    if pa.types.is_duration(column.type):
        return column.cast(pa.int64())
    return column.cast(pa.uint8()) if pa.types.is_boolean(column.type) else column


def levels_of(column: pa.Array) -> tuple[NDArray[np.float64], list[str]]:
    """Return the keys (n,) of the levels of a column, NaN for a gap, and its distinct levels."""
    encoded = level_texts(column).dictionary_encode()
    found = encoded.dictionary.cast(pa.large_binary()).to_pylist()
    levels = [level.decode(errors="backslashreplace") for level in found]  # CSV may hold any bytes
    keys = np.array([level_key(level) for level in levels] + [np.nan])
    places = encoded.indices.fill_null(len(levels)).to_numpy(zero_copy_only=False)
    return keys[places], levels


def level_key(level: str) -> float:
    """Return the key of a level: a whole number below 2^53."""
    digest = hashlib.blake2b(level.encode(), digest_size=8).digest()
    return float(int.from_bytes(digest, "little") >> (64 - KEY_BITS))


def level_texts(column: pa.Array) -> pa.Array:
    """Return the levels of a column as text; NaN is a gap."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), None, column)
    return column if is_text(column.type) else column.cast(pa.string())


def time_parts(column: pa.Array, kind: str) -> NDArray[np.float64]:
    """Return the hour of the day, 0 to 24, or the weekday, 0 (Monday) to 6, of times (n,).

    Times with a zone count in that zone. NaN for a gap.
    """
    if kind == HOUR:
        return np.asarray(np.mod(seconds_of(column), SECONDS_A_DAY) / 3_600)
    return np.asarray(np.mod(days_of(column) + FIRST_WEEKDAY, 7))


def block_values(column: pa.Array, *, by_day: bool) -> NDArray[np.float64]:
    """Return the days (n,) since 1970 or the keys of the levels of a column, NaN for a gap."""
    return days_of(column) if by_day else levels_of(column)[0]


def block_names(column: pa.Array, *, by_day: bool) -> dict[float, str]:
    """Name the distinct values of `block_values`; a gap is always the same object `np.nan`."""
    if by_day:
        values = days_of(column)
        days = np.unique(values[~np.isnan(values)]).tolist()
        names = {day: str(np.datetime64(int(day), "D")) for day in days}
    else:
        values, levels = levels_of(column)
        names = {level_key(level): level for level in levels}
    return {**names, **({np.nan: GAP} if np.isnan(values).any() else {})}


def days_of(column: pa.Array) -> NDArray[np.float64]:
    """Return times (n,) as days since 1970 on the clock of their zone, NaN for a gap."""
    return np.asarray(np.floor(seconds_of(column) / SECONDS_A_DAY))


def seconds_of(column: pa.Array) -> NDArray[np.float64]:
    """Return times (n,) as seconds since 1970 on the clock of their zone, NaN for a gap."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if is_text(column.type) or pa.types.is_null(column.type):
        column = parse_times(column.cast(pa.string()))
    kind = column.type
    if pa.types.is_date(kind):
        days = column.cast(pa.date32()).cast(pa.int32()).cast(pa.float64())
        return np.asarray(days.to_numpy(zero_copy_only=False)) * SECONDS_A_DAY
    if pa.types.is_timestamp(kind) and kind.tz:
        column = _on_its_clock(column)
    units = {"s": 1, "ms": 1e3, "us": 1e6, "ns": 1e9}
    whole = column.cast(pa.int32() if pa.types.is_time32(kind) else pa.int64())
    counts = whole.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return np.asarray(counts / units[kind.unit])


def _on_its_clock(column: pa.Array) -> pa.Array:
    """Return times as their zone shows them; a zone that is not known here counts as UTC."""
    try:
        return pc.local_timestamp(column)
    except pa.ArrowInvalid:
        return column.cast(pa.timestamp(column.type.unit))


def parse_times(texts: pa.Array) -> pa.Array:
    """Parse dates, times of day, and both together; what is none becomes a gap.

    They are in ISO 8601, or as `times_in_iso` can write them so.
    An offset from UTC is left out: the clock counts on which the time was written.
    """
    trimmed = pc.ascii_trim_whitespace(texts)
    dated = _dated(trimmed)
    fit = pc.match_substring_regex(dated, ISO_TIME)
    if not pc.all(fit, min_count=0).as_py():
        dated = _dated(times_in_iso(trimmed))
        fit = pc.match_substring_regex(dated, ISO_TIME)
    iso = pc.if_else(fit, dated, None)
    split = pc.replace_substring_regex(iso, ISO_TIME, r"\1 \2")
    return cast_clear(pc.ascii_trim_whitespace(split), PARSED)


def _dated(texts: pa.StringArray) -> pa.StringArray:
    """Write times of day as those of the first day."""
    clocks = pc.match_substring_regex(texts, CLOCK)
    return pc.if_else(clocks, pc.binary_join_element_wise(EPOCH_DAY, texts, " "), texts)
