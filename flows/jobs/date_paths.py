"""Paths that name a data date: `{date}`, or `{date:%Y/%m/%d}` with the codes of strftime."""

from __future__ import annotations

import re
from datetime import date, timedelta

from flows.errors import UsageError

DATE = re.compile(r"\{date(?::([^{}]*))?\}")
DAYS = [date(2023, 1, 1) + timedelta(days=day) for day in range(1_461)]  # four years


def names_a_date(path: str) -> bool:
    """Whether a path holds `{date}`."""
    return bool(DATE.search(path))


def fill_date(path: str, data_date: date) -> str:
    """Return the path of a data date."""
    return DATE.sub(lambda found: data_date.strftime(found[1] or "%Y-%m-%d"), path)


def require_marker(path: str) -> None:
    """Require data.ready, if it is set, to name every date differently. Raises UsageError."""
    if path and not names_a_date(path):
        raise UsageError(
            f"data.ready must contain {{date}}, as in 'nights/{{date}}.done'. Got '{path}' instead."
        )
    require_daily("data.ready", path)


def require_daily(key: str, path: str) -> None:
    """Require a path to differ from day to day, if it names a date. Raises UsageError."""
    if names_a_date(path) and len({fill_date(path, day) for day in DAYS}) < len(DAYS):
        raise UsageError(
            f"{key} must name every date differently, as in {{date}} or {{date:%Y/%m/%d}}. "
            f"Got '{path}' instead."
        )
