"""Ids of a table as text: different ids have different texts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo

import pyarrow as pa

EPOCH = datetime(1970, 1, 1)  # a timestamp without a zone stays without one
MICROSECONDS = {"s": 1_000_000, "ms": 1_000, "us": 1}


def id_texts(column: pa.Array) -> list[str | None]:
    """Return ids (n,) as text, None where there is none.

    Times keep their nanoseconds; a zone that is not known here is shown as UTC. Binary ids are
    shown as the text they hold, or in hex after "0x". Raises ValueError for other types of which a
    value has no text.
    """
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    to_text = _text_of(column.type)
    try:
        return [None if each is None else to_text(each) for each in _values(column)]
    except (OverflowError, LookupError, pa.ArrowException) as error:
        raise ValueError(f"{column.type}: {error}") from error


def _values(column: pa.Array) -> list[object]:
    """Return the values, those of times as whole numbers in their unit."""
    kind = column.type
    counted = pa.types.is_timestamp(kind) or pa.types.is_duration(kind) or pa.types.is_time64(kind)
    values: list[object] = (column.cast(pa.int64()) if counted else column).to_pylist()
    return [None if value != value else value for value in values]  # NaN is no id


def _text_of(kind: pa.DataType) -> Callable[..., str]:
    """Return the function that turns a value of an Arrow type into text."""
    types = pa.types
    if types.is_timestamp(kind):
        zone = _zone(kind.tz) if kind.tz else None
        return lambda value: _moment(value, kind.unit, zone)
    if types.is_duration(kind):
        return lambda value: _span(value, kind.unit)
    if types.is_time64(kind):
        return lambda value: _moment(value, kind.unit, None).partition(" ")[2]
    binary = (types.is_binary, types.is_large_binary, types.is_fixed_size_binary)
    return _bytes_text if any(test(kind) for test in (*binary, types.is_binary_view)) else str


def _zone(name: str) -> tzinfo:
    try:
        zone: tzinfo = pa.lib.string_to_tzinfo(name)
    except (LookupError, ValueError):
        return UTC
    return zone


def _moment(value: int, unit: str, zone: tzinfo | None) -> str:
    micros, nanos = _split(value, unit)
    try:
        moment = EPOCH + timedelta(microseconds=micros)
        moment = moment.replace(tzinfo=UTC).astimezone(zone) if zone else moment
    except OverflowError:  # beyond the years 1 to 9999
        return f"1970-01-01 {value:+} {unit}"
    if not nanos:
        return str(moment)
    text = moment.isoformat(" ", "microseconds")
    return f"{text[:26]}{nanos:03d}{text[26:]}"


def _span(value: int, unit: str) -> str:
    micros, nanos = _split(value, unit)
    try:
        span = timedelta(microseconds=micros)
    except OverflowError:
        return f"{value} {unit}"
    fraction = "" if span.microseconds else ".000000"
    return f"{span}{fraction}{nanos:03d}" if nanos else str(span)


def _split(value: int, unit: str) -> tuple[int, int]:
    """Return microseconds, and the nanoseconds beyond them."""
    return divmod(value, 1_000) if unit == "ns" else (value * MICROSECONDS[unit], 0)


def _bytes_text(value: bytes) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return f"0x{value.hex()}"
    return text if text.isprintable() and not text.startswith("0x") else f"0x{value.hex()}"


def is_whole(kind: pa.DataType) -> bool:
    """Return whether all values of an Arrow type are integers that int64 can hold."""
    return bool(pa.types.is_integer(kind)) and kind != pa.uint64()
