"""What of a night was not read, for its first screen: which rows or files, and why."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

MOST_PARTS = 3
MOST_WHY = 120  # characters of one reason; the rest is below, in the page
SHARD = re.compile(r"shard \d+, rows ([\d,]+) to ([\d,]+)")


def unread_words(failed: Sequence[tuple[str, str]]) -> str:
    """Name what was not read, or not fully, with the reasons.

    failed: name and reason of each part. Shards that follow each other and failed for one reason
    are one part.
    """
    parts = [f"{name} ({_short(name, why)})" for name, why in _merged(failed)]
    more = len(parts) - MOST_PARTS
    rest = f"; and {more:,} more" if more > 0 else ""
    return f"{'; '.join(parts[:MOST_PARTS])}{rest}"


def _merged(failed: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    first = stop = reason = ""
    for name, why in failed:
        shard = SHARD.fullmatch(name)
        if shard and (shard[1], why) == (stop, reason):
            stop = shard[2]
            continue
        if stop:
            yield f"rows {first} to {stop}", reason
        first, stop, reason = (shard[1], shard[2], why) if shard else ("", "", "")
        if not shard:
            yield name, why
    if stop:
        yield f"rows {first} to {stop}", reason


def _short(name: str, why: str) -> str:
    """Return a reason without the file that is named already, and without what is in brackets."""
    where, _, what = why.partition(": ")
    known = what and where.endswith(name.removeprefix("file "))
    words = (what if known else why).partition(" (")[0]
    return words if len(words) <= MOST_WHY else f"{words[:MOST_WHY].rstrip()}…"
