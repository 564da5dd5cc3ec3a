"""Text from input data, made safe to show: no character in it acts unseen."""

from __future__ import annotations

import json
import re
import unicodedata

# Cc control, Cf format (text direction, zero width), Cs surrogates, Zl and Zp separators
ACTING = {"Cc", "Cf", "Cs", "Zl", "Zp"}
JOINERS = "\u200c\u200d"  # Persian, Hindi and emoji need them
MOST_SHOWN = 200  # characters of one name
BEYOND_ASCII = re.compile(r"[^ -~]")


def visible(text: str, *, keep: str = "") -> str:
    r"""Replace characters that act unseen by their codes, except those in `keep`.

    >>> visible("a\u202eb\x1b[2J")
    'a\\u202eb\\u001b[2J'
    """
    if text.isascii() and text.isprintable():  # as nearly all texts are
        return text
    return BEYOND_ASCII.sub(lambda match: _shown(match[0], keep), text)


def visible_lines(text: str) -> str:
    """Make a message visible, but keep its line breaks and tabs."""
    return visible(text, keep="\n\t")


def visible_name(text: str) -> str:
    """Make a name or an id visible, on one line; a long one is cut."""
    shown = visible(text[:MOST_SHOWN])
    return f"{shown}… ({len(text):,} characters)" if len(text) > MOST_SHOWN else shown


def visible_json(content: object) -> str:
    """Format JSON on one line; what acts unseen is escaped, so that its value stays the same."""
    text = json.dumps(content, ensure_ascii=False)
    return BEYOND_ASCII.sub(lambda match: _escaped(match[0]), text)


def _acts_unseen(character: str) -> bool:
    return unicodedata.category(character) in ACTING and character not in JOINERS


def _shown(character: str, keep: str) -> str:
    if character in keep or not _acts_unseen(character):
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _escaped(character: str) -> str:
    return json.dumps(character)[1:-1] if _acts_unseen(character) else character
