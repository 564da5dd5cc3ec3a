"""Times and amounts as people write them, in texts: which are clear, and what looks like one.

The same rules as `storage.sources.columns.written_values`.
"""

from __future__ import annotations

import re

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
NAMES = (
    "jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|"
    "sep(?:t|tember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?"
)
CLEAR = [
    re.compile(pattern, re.IGNORECASE | re.ASCII)
    for pattern in (
        r"(?P<year>\d{4})[-/.](?P<month>\d\d?)[-/.](?P<day>\d\d?)(?P<rest>[T ].*)?",
        r"(?P<day>\d\d?)\.(?P<month>\d\d?)\.(?P<year>\d{4})(?P<rest>[T ].*)?",
        rf"\[?(?P<day>\d\d?)[-/ ](?P<month>{NAMES})[-/ ](?P<year>\d{{4}})(?P<rest>[T: ].*?)?\]?",
        rf"(?P<month>{NAMES}) (?P<day>\d\d?),? (?P<year>\d{{4}})(?P<rest>[T ].*)?",
    )
]
HALF_DAYS = re.compile(
    r"(?P<day>(?:.*[T ])?)(?P<hour>0?[1-9]|1[0-2])(?P<rest>:[0-5]\d(?::[0-5]\d(?:\.\d+)?)?)"
    r" ?(?P<half>[ap])(?:\.?m)?\.?",
    re.IGNORECASE | re.ASCII,
)
NUMBER = r"(?:\d+|\d{1,3}(?:[, ]\d{3})+)?(?:\.\d+)?|\d+(?:\.\d{3})*,\d+"
AMOUNT = re.compile(rf"[-+(]{{0,2}}[$€£¥]? ?(?:{NUMBER}) ?[%$€£¥]?\)?", re.ASCII)
WITH_SIGN = re.compile(r"\d.*[%$€£¥)]|[$€£¥(].*\d|\d[, ]\d", re.ASCII)
DAY, MONTH = r"(?:0?[1-9]|[12]\d|3[01])", r"(?:0?[1-9]|1[0-2])"
UNCLEAR = re.compile(
    rf"(?:(?:{MONTH}/{DAY}|{DAY}/{MONTH}|{MONTH}-{DAY}|{DAY}-{MONTH})[-/](?:\d{{4}}|\d\d)"
    r"|\d\d\.\d\d\.\d\d)(?:[T ].*)?",
    re.ASCII,
)


def in_iso(text: str) -> str:
    """Write a day as `day_in_iso` does, and also a time such as 5:03 PM in 24 hours."""
    found = HALF_DAYS.fullmatch(text)
    if found:
        hour = int(found["hour"]) % 12 + (12 if found["half"] in "pP" else 0)
        text = f"{found['day']}{hour:02d}{found['rest']}"
    return day_in_iso(text)


def day_in_iso(text: str) -> str:
    """Write a day such as 2026/1/31, 31.1.2026, 31-Jan-2026, or January 31, 2026 in ISO 8601.

    Also 31/Jan/2026:23:59:59, as servers log it. Another text stays; what follows a day does too,
    but an hour gets two digits.
    """
    found = next((match for pattern in CLEAR if (match := pattern.fullmatch(text))), None)
    if found is None:
        return text
    month, name = found["month"], found["month"][:3].lower()
    number = MONTHS.index(name) + 1 if name in MONTHS else int(month)
    rest = re.sub(r"^[T: ](\d):", r" 0\1:", found["rest"] or "")
    return f"{found['year']}-{number:02d}-{int(found['day']):02d}{re.sub('^:', ' ', rest)}"


def is_unclear(text: str) -> bool:
    """Return whether a text is a day that may name the month or the day first: 1/2/2026."""
    return bool(UNCLEAR.fullmatch(text)) and day_in_iso(text) == text


def is_amount(text: str) -> bool:
    """Return whether a text is a number with a sign or separators: $1,234.50 or 12 %."""
    return bool(AMOUNT.fullmatch(text) and WITH_SIGN.search(text))
