"""Times and amounts as people write them, in texts: which are clear, and what looks like one.

The same rules as `aemodel.frames.written_values`, on Arrow arrays. What is clear is cast to times.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
NAMES = (
    "jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|"
    "sep(?:t|tember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?"
)
CLEAR = (
    r"^(?P<year>\d{4})[-/.](?P<month>\d\d?)[-/.](?P<day>\d\d?)(?P<rest>[T ].*)?$",
    r"^(?P<day>\d\d?)\.(?P<month>\d\d?)\.(?P<year>\d{4})(?P<rest>[T ].*)?$",
    rf"(?i)^\[?(?P<day>\d\d?)[-/ ](?P<month>{NAMES})[-/ ](?P<year>\d{{4}})(?P<rest>[T: ].*?)?\]?$",
    rf"(?i)^(?P<month>{NAMES}) (?P<day>\d\d?),? (?P<year>\d{{4}})(?P<rest>[T ].*)?$",
)
HALF_DAYS = (
    r"(?i)^(?P<day>(?:.*[T ])?)(?P<hour>0?[1-9]|1[0-2])(?P<rest>:[0-5]\d(?::[0-5]\d(?:\.\d+)?)?)"
    r" ?(?P<half>[ap])(?:\.?m)?\.?$"
)
NUMBER = r"(?:\d+|\d{1,3}(?:[, ]\d{3})+)?(?:\.\d+)?|\d+(?:\.\d{3})*,\d+"
AMOUNT = rf"^[-+(]{{0,2}}[$€£¥]? ?(?:{NUMBER}) ?[%$€£¥]?\)?$"
WITH_SIGN = r"\d.*[%$€£¥)]|[$€£¥(].*\d|\d[, ]\d"
FEW = 64  # texts that are cast one by one
DAY, MONTH = r"(?:0?[1-9]|[12]\d|3[01])", r"(?:0?[1-9]|1[0-2])"
YEAR = r"(?P<year>\d{4}|\d\d)(?P<rest>[T ].*)?$"
BY_MONTH = rf"^(?P<month>{MONTH})[-/](?P<day>{DAY})[-/]{YEAR}"  # 31.1.2026, never 1.31.2026
BY_DAY = rf"^(?P<day>{DAY})[-/.](?P<month>{MONTH})[-/.]{YEAR}"
UNCLEAR = (
    rf"^(?:(?:{MONTH}/{DAY}|{DAY}/{MONTH}|{MONTH}-{DAY}|{DAY}-{MONTH})[-/](?:\d{{4}}|\d\d)"
    r"|\d\d\.\d\d\.\d\d)(?:[T ].*)?$"
)


def times_in_iso(texts: pa.StringArray) -> pa.StringArray:
    """Write days as `days_in_iso` does, and also times such as 5:03 PM in 24 hours."""
    parts = pc.extract_regex(texts, HALF_DAYS)
    if parts.null_count < len(parts):
        day, hour, rest, half = (
            pc.struct_field(parts, name) for name in ("day", "hour", "rest", "half")
        )
        hours = hour.cast(pa.int64())
        hours = pc.if_else(pc.equal(hours, 12), 0, hours)
        hours = pc.if_else(pc.equal(pc.utf8_lower(half), "p"), pc.add(hours, 12), hours)
        padded = pc.utf8_lpad(hours.cast(pa.string()), 2, "0")
        written = pc.binary_join_element_wise(day, padded, rest, "")
        texts = pc.if_else(parts.is_valid(), written, texts)
    return days_in_iso(texts)


def ordered_days_in_iso(texts: pa.StringArray, *, month_first: bool) -> pa.StringArray:
    """Write days such as 1/2/2026, and 1/2/26 as of 1970 to 2069, in ISO 8601; others stay."""
    pattern = BY_MONTH if month_first else BY_DAY
    parts = pc.extract_regex(pc.ascii_trim_whitespace(texts), pattern)
    if parts.null_count == len(parts):
        return texts
    year, month, day, rest = (
        pc.struct_field(parts, name) for name in ("year", "month", "day", "rest")
    )
    century = pc.if_else(pc.less(year, "70"), "20", "19")
    year = pc.if_else(
        pc.equal(pc.utf8_length(year), 2), pc.binary_join_element_wise(century, year, ""), year
    )
    padded = [pc.utf8_lpad(part, 2, "0") for part in (month, day)]
    written = pc.binary_join_element_wise(year, *padded, "-")
    written = pc.binary_join_element_wise(written, rest, "")
    return pc.if_else(parts.is_valid(), written, texts)


def days_in_iso(texts: pa.StringArray) -> pa.StringArray:
    """Write days such as 2026/1/31, 31.1.2026, 31-Jan-2026, and January 31, 2026 in ISO 8601.

    Also 31/Jan/2026:23:59:59, as servers log it. Other texts stay; what follows a day does too,
    but an hour gets two digits.
    """
    for pattern in CLEAR:
        parts = pc.extract_regex(texts, pattern)
        if parts.null_count == len(parts):
            continue
        day, month, year, rest = (
            pc.struct_field(parts, name) for name in ("day", "month", "year", "rest")
        )
        places = pc.index_in(pc.utf8_lower(pc.utf8_slice_codeunits(month, 0, 3)), pa.array(MONTHS))
        month = pc.coalesce(pc.add(places, 1).cast(pa.string()), month)
        padded = [pc.utf8_lpad(part, 2, "0") for part in (month, day)]
        rest = pc.replace_substring_regex(rest, r"^[T: ](\d):", r" 0\1:")
        rest = pc.replace_substring_regex(rest, r"^:", " ")
        written = pc.binary_join_element_wise(year, *padded, "-")
        written = pc.binary_join_element_wise(written, rest, "")
        texts = pc.if_else(parts.is_valid(), written, texts)
    return texts


def are_unclear(texts: pa.StringArray) -> bool:
    """Return whether all texts are days that may name the month or the day first: 1/2/2026."""
    fit = pc.and_(pc.match_substring_regex(texts, UNCLEAR), pc.equal(days_in_iso(texts), texts))
    return bool(pc.all(fit, min_count=0).as_py())


def are_amounts(texts: pa.StringArray) -> bool:
    """Return whether all texts are numbers with signs or separators: $1,234.50 or 12 %."""
    fit = pc.and_(*(pc.match_substring_regex(texts, each) for each in (AMOUNT, WITH_SIGN)))
    return bool(pc.all(fit, min_count=0).as_py())


def cast_clear(texts: pa.StringArray, kind: pa.DataType) -> pa.Array:
    """Cast texts to a type of times; those that name no moment, such as 2026-02-30, become gaps."""
    try:
        return texts.cast(kind)
    except pa.ArrowInvalid:
        if len(texts) <= FEW:
            return pa.array([_cast_one(text, kind) for text in texts], kind)
    halves = texts[: len(texts) // 2], texts[len(texts) // 2 :]
    return pa.concat_arrays([cast_clear(half, kind) for half in halves])


def _cast_one(text: pa.StringScalar, kind: pa.DataType) -> pa.Scalar | None:
    try:
        return text.cast(kind) if text.is_valid else None
    except pa.ArrowInvalid:
        return None
