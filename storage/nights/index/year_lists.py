"""The nights of a job, in one list per year, so that a night costs the same after many years.

reports/JOB/nights-2026.jsonl     one revision per line, in the order of publication
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from pathlib import Path

from storage.files.atomic import write_bytes
from storage.files.json_lines import Line, parse_line, read_lines
from storage.nights.summary import NightLine

DATE = slice(len('{"date": "'), len('{"date": "2026-11-22'))  # of a line


def years_with_nights(folder: Path) -> list[int]:
    """Return the years that have a list in reports/JOB, the newest first."""
    found = folder.glob(f"nights-{'[0-9]' * 4}.jsonl")
    return sorted((int(path.stem.removeprefix("nights-")) for path in found), reverse=True)


def read_year(folder: Path, year: int) -> list[NightLine]:
    """Read all revisions of the nights of a year, in the order of publication.

    Raises DamagedError if a line is not a night.
    """
    path = _path(folder, year)
    return _parsed(path, read_lines(path))


def add_night(folder: Path, night: NightLine) -> list[NightLine]:
    """Add a revision to the list of its year, unless it is there, and return the whole year.

    The caller holds the lock of the lists.
    """
    path = _path(folder, year_of(night))
    lines, line = read_lines(path), json.dumps(night.to_json(), ensure_ascii=False)
    if line not in [each.text for each in lines]:
        lines.append(Line(len(lines) + 1, line))
        write_bytes(path, "".join(f"{each.text}\n" for each in lines).encode())
    return _parsed(path, lines)


def newest_revisions(nights: Sequence[NightLine]) -> list[NightLine]:
    """Return the newest revision of every date, oldest date first."""
    ordered = sorted(nights, key=lambda night: (night.date, night.revision))
    return list({night.date: night for night in ordered}.values())


def nights_before(folder: Path, date: str, *, at_least: int) -> list[NightLine]:
    """Return the newest revisions of the last `at_least` earlier dates, oldest first.

    Reads as few years as that takes.
    """
    found: list[NightLine] = []
    for year in years_with_nights(folder):
        if year <= int(date[:4]) and len(found) < at_least:
            wanted = at_least - len(found)
            found = [*_last_before(_path(folder, year), date, wanted), *found]
    return found


def _last_before(path: Path, date: str, wanted: int) -> list[NightLine]:
    """Return the newest revisions of the last `wanted` dates before one.

    Lines start with their date, so only those of the wanted dates have to be parsed.
    """
    lines = read_lines(path)
    dates = sorted({line.text[DATE] for line in lines})
    first, last = bisect_left(dates, date) - wanted, bisect_left(dates, date)
    kept = set(dates[max(0, first) : last])
    return newest_revisions(_parsed(path, [line for line in lines if line.text[DATE] in kept]))


def _parsed(path: Path, lines: Iterable[Line]) -> list[NightLine]:
    return [parse_line(path, line, NightLine.from_json) for line in lines]


def listing_of(folder: Path, date: str) -> list[Path]:
    """Return the files of reports/JOB that a night may have changed."""
    year = int(date[:4])
    pages = [_path(folder, each).with_suffix(".html") for each in (year - 1, year)]
    return [path for path in (_path(folder, year), *pages, folder / "index.html") if path.exists()]


def year_of(night: NightLine) -> int:
    """Return the year of a night's data date."""
    return int(night.date[:4])


def _path(folder: Path, year: int) -> Path:
    return folder / f"nights-{year:04d}.jsonl"
