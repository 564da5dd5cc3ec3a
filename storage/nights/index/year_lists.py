"""The nights of a job, in one list per year, so that a night costs the same after many years.

reports/JOB/nights-2026.jsonl     one revision per line, in the order of publication
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path

from storage.files.atomic import write_bytes
from storage.nights.summary import NightLine

DATE = slice(len('{"date": "'), len('{"date": "2026-11-22'))  # of a line


def years_with_nights(folder: Path) -> list[int]:
    """Return the years that have a list in reports/JOB, the newest first."""
    found = folder.glob("nights-*.jsonl")
    return sorted((int(path.stem.removeprefix("nights-")) for path in found), reverse=True)


def read_year(folder: Path, year: int) -> list[NightLine]:
    """Read all revisions of the nights of a year, in the order of publication."""
    return [_parsed(line) for line in _lines(_path(folder, year))]


def add_night(folder: Path, night: NightLine) -> list[NightLine]:
    """Add a revision to the list of its year, unless it is there, and return the whole year.

    The caller holds the lock of the lists.
    """
    path = _path(folder, year_of(night))
    lines, line = _lines(path), json.dumps(night.to_json(), ensure_ascii=False)
    if line not in lines:
        lines.append(line)
        write_bytes(path, "".join(f"{each}\n" for each in lines).encode())
    return [_parsed(each) for each in lines]


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
            found = [*_last_before(_lines(_path(folder, year)), date, wanted), *found]
    return found


def _last_before(lines: Sequence[str], date: str, wanted: int) -> list[NightLine]:
    """Return the newest revisions of the last `wanted` dates before one.

    Lines start with their date, so only those of the wanted dates have to be parsed.
    """
    dates = sorted({line[DATE] for line in lines})
    first, last = bisect_left(dates, date) - wanted, bisect_left(dates, date)
    kept = set(dates[max(0, first) : last])
    return newest_revisions([_parsed(line) for line in lines if line[DATE] in kept])


def _parsed(line: str) -> NightLine:
    return NightLine.from_json(json.loads(line))


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


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []
