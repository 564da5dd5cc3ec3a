"""Text from files, as it can be shown."""

from __future__ import annotations

from collections.abc import Sequence

MOST_LISTED = 100  # names in one message


def printable(text: str | bytes) -> str:
    r"""Return text with line breaks, control characters and bytes that are not UTF-8 escaped.

    >>> printable("a\nb")
    'a\\nb'
    >>> printable(b"temp\xe9")
    'temp\\xe9'
    """
    raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
    return "".join(map(_shown, raw.decode("utf-8", "backslashreplace")))


def _shown(letter: str) -> str:
    return letter if letter.isprintable() else letter.encode("unicode_escape").decode()


def list_first(names: Sequence[str], most: int = MOST_LISTED) -> str:
    """List the first `most` names and count the others: 'a, b and 18 more'."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
