"""Verdicts in color, on a terminal whose user has not set NO_COLOR (https://no-color.org)."""

from __future__ import annotations

import os
import re
from typing import TextIO

GREEN, YELLOW, RED, PLAIN = "\x1b[32m", "\x1b[33m", "\x1b[31m", "\x1b[0m"
COLORS = {
    "OK": GREEN,
    "promoted": GREEN,
    "REVIEW": YELLOW,
    "DRIFT": YELLOW,
    "NO DATA": YELLOW,
    "PARTIAL": RED,
    "FLOOD": RED,
    "FAILED": RED,
    "DAMAGED": RED,
    "NOT promoted": RED,
    "Error": RED,
}
# after what it is the verdict on: '2026-11-22: REVIEW 3', 'Model 1a2b NOT promoted', 'Error: …'
VERDICT = re.compile(
    r"(?m)(?<=: )(OK|REVIEW \d[\d,]*(?<!,)|DRIFT|NO DATA|PARTIAL [\d,]+ of [\d,]+(?<!,)"
    r"|FLOOD|FAILED|DAMAGED)"
    r"(?![\w-])"
    r"|(?<=^Model [0-9a-f]{12} )(promoted|NOT promoted)|^Error(?=: )"
)


def colored(text: str, stream: TextIO) -> str:
    """Color the verdicts in a text, if `stream` shows colors."""
    return VERDICT.sub(_in_color, text) if _shows_colors(stream) else text


def _in_color(match: re.Match[str]) -> str:
    color = next(color for word, color in COLORS.items() if match[0].startswith(word))
    return f"{color}{match[0]}{PLAIN}"


def _shows_colors(stream: TextIO) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
