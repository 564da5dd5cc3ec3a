"""What one more night costs the index of all nights, and how long its page takes to open.

Run `python benchmarks/index_of_nights.py`. It lists 10, 1,000 and 10,000 nights of one job in a
temporary folder, a night per day, then adds nights to the newest year, prints the median time, and
opens the page in Chromium.
"""

from __future__ import annotations

import json
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path
from statistics import median

from page_load import load_milliseconds

from storage.files.atomic import write_bytes, write_json
from storage.nights.index.page import write_year_page
from storage.nights.index.year_lists import add_night, read_year, year_of
from storage.nights.revisions import NightPlace, list_night
from storage.nights.summary import NightLine, NightSummary

LAST = date(2026, 11, 22)
ADDED = 20


def line_of(day: date) -> NightLine:
    """Return a night as a job lists it."""
    flagged = day.toordinal() % 7
    return NightLine(
        date=day.isoformat(),
        revision=1,
        verdict=f"REVIEW {flagged}" if flagged else "OK",
        rows=1_500,
        flagged=flagged,
        model_id=f"{day.year:016d}",
        rule="quantile 0.999",
        expected=1.5,
        limit=5,
        score="novelty",
        unscored=0,
        missing=0.00123456789012345,
        p50=0.99365234375,
        p99=2.1337890625,
    )


def fill(root: Path, nights: int) -> Path:
    """List nights up to LAST; return the folder of the lists."""
    folder = root / "reports/bench"
    by_year: dict[int, list[NightLine]] = {}
    for back in range(nights, 0, -1):
        night = line_of(LAST - timedelta(back))
        by_year.setdefault(year_of(night), []).append(night)
    for year, lines in by_year.items():
        text = "".join(f"{json.dumps(each.to_json())}\n" for each in lines)
        write_bytes(folder / f"nights-{year}.jsonl", text.encode())
    write_year_page(folder, "bench", add_night(folder, by_year[LAST.year][-1]))
    return folder


def add(root: Path, day: date) -> float:
    """Publish the index entry of one more night; return the milliseconds that it took."""
    place = NightPlace(root, "bench", day.isoformat())
    line = line_of(day).to_json()
    rest = dict.fromkeys(NightSummary.__dataclass_fields__, 0)
    write_json(place.report(1) / "summary.json", {**rest, **line, "promises": True})
    began = time.perf_counter()
    place.nights_before()  # for the history in the report
    list_night(place, 1)
    return 1_000 * (time.perf_counter() - began)


def main() -> None:
    """Print one line per number of nights."""
    for nights in (10, 1_000, 10_000):
        with tempfile.TemporaryDirectory() as root:
            folder = fill(Path(root), nights)
            times = [add(Path(root), LAST + timedelta(each)) for each in range(ADDED)]
            page = folder / "index.html"
            listed = len(read_year(folder, LAST.year))
            print(
                f"{nights:6,} nights: one more in {median(times):.1f} ms (median of {ADDED}); "
                f"page of {listed} nights: {page.stat().st_size / 1e3:.0f} kB, "
                f"open in {load_milliseconds(page):.0f} ms"
            )


if __name__ == "__main__":
    main()
