"""The pages of all nights: index.html for the newest year, nights-2025.html for an earlier one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from storage.files.atomic import write_bytes
from storage.nights.index.year_lists import nights_before, read_year, year_of, years_with_nights
from storage.nights.summary import NightLine
from storage.pages.nights.calendar import render_year
from storage.pages.nights.history import MOST_USUAL


def write_year_page(folder: Path, job: str, nights: Sequence[NightLine]) -> None:
    """Write the page of a year into reports/JOB.

    nights: all revisions of the year, at least one. With the first night of a new year, the year
    before gets a page of its own.
    """
    years = years_with_nights(folder)
    newest, earlier = years[0], years[1:]
    if year_of(nights[0]) == newest:
        write_bytes(folder / "index.html", _page(folder, job, nights, years))
    for year in earlier:
        path = folder / f"nights-{year:04d}.html"
        if year == year_of(nights[0]) or not path.exists():
            write_bytes(path, _page(folder, job, read_year(folder, year), years))


def _page(folder: Path, job: str, nights: Sequence[NightLine], years: Sequence[int]) -> bytes:
    before = f"{year_of(nights[0]):04d}-01-01"
    earlier = nights_before(folder, before, at_least=MOST_USUAL)
    return render_year(job, nights, years=years, earlier=earlier)
