"""Lists of records that people may edit: a JSON object per line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from storage.errors import DamagedError

T = TypeVar("T")


class Line(NamedTuple):
    """A line of a file, and its number, from 1."""

    number: int
    text: str


def read_lines(path: Path) -> list[Line]:
    """Read the lines that are not empty; none if there is no file.

    Raises DamagedError if it is not in UTF-8.
    """
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
    except UnicodeDecodeError as error:
        raise DamagedError(f"{path}: not in UTF-8 ({error}); restore the file") from error
    return [Line(number, line) for number, line in enumerate(text.split("\n"), start=1) if line]


def parse_line(path: Path, line: Line, build: Callable[[Any], T]) -> T:
    """Build a record from a line of a file. Raises DamagedError if it is no such record."""
    try:
        return build(json.loads(line.text))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        why = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise DamagedError(
            f"{path}, line {line.number}: unreadable: {why}; restore the file or delete the line"
        ) from error
