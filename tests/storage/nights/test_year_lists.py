"""The lists of all nights, by year, and which pages a night changes."""

from __future__ import annotations

import json

from night_pages import line_of

from storage.nights.index import year_lists
from storage.nights.index.page import write_year_page
from storage.nights.index.year_lists import add_night, listing_of, nights_before, read_year


def add(folder, date: str, **facts) -> None:
    write_year_page(folder, "cards", add_night(folder, line_of(date, **facts)))


def test_a_year_holds_its_own_nights_in_the_order_of_publication(tmp_path):
    for date in ("2025-12-31", "2026-01-02", "2026-01-01"):
        add(tmp_path, date)

    assert [each.date for each in read_year(tmp_path, 2026)] == ["2026-01-02", "2026-01-01"]


def test_a_night_that_is_listed_already_is_not_listed_twice(tmp_path):
    for _ in range(2):
        add(tmp_path, "2026-01-01")

    assert len(read_year(tmp_path, 2026)) == 1


def test_earlier_nights_are_the_newest_revisions_of_the_last_dates_over_several_years(tmp_path):
    for date in ("2024-05-01", "2025-12-30", "2025-12-31", "2026-01-01", "2026-01-03"):
        add(tmp_path, date)
    add(tmp_path, "2025-12-31", revision=2)
    found = nights_before(tmp_path, "2026-01-02", at_least=3)

    assert [(each.date, each.revision) for each in found] == [
        ("2025-12-30", 1),
        ("2025-12-31", 2),
        ("2026-01-01", 1),
    ]


def test_the_newest_year_is_the_index_and_earlier_years_have_pages(tmp_path):
    add(tmp_path, "2025-12-31")
    alone = {path.name for path in tmp_path.glob("*.html")}
    add(tmp_path, "2026-01-01")
    both = {path.name for path in tmp_path.glob("*.html")}

    assert (alone, both) == ({"index.html"}, {"index.html", "nights-2025.html"})
    assert b"nights of 2026" in (tmp_path / "index.html").read_bytes()
    assert {path.name for path in listing_of(tmp_path, "2026-01-01")} == {
        "nights-2026.jsonl",
        "nights-2025.html",
        "index.html",
    }


def test_a_night_of_an_earlier_year_changes_the_page_of_that_year_alone(tmp_path):
    for date in ("2025-12-31", "2026-01-01"):
        add(tmp_path, date)
    index = (tmp_path / "index.html").read_bytes()
    add(tmp_path, "2025-12-30")

    assert (tmp_path / "index.html").read_bytes() == index
    assert b"2025-12-30" in (tmp_path / "nights-2025.html").read_bytes()


def test_one_more_night_reads_the_lists_of_two_years_however_many_there_are(tmp_path, monkeypatch):
    for year in (2023, 2024, 2025):
        lines = [json.dumps(line_of(f"{year}-01-{day:02d}").to_json()) for day in range(1, 32)]
        (tmp_path / f"nights-{year}.jsonl").write_text("\n".join([*lines, ""]))
    add(tmp_path, "2026-01-01")
    read, lines_of = [], year_lists.read_lines
    monkeypatch.setattr(
        year_lists, "read_lines", lambda path: read.append(path.name) or lines_of(path)
    )
    add(tmp_path, "2026-01-02")

    assert set(read) == {"nights-2026.jsonl", "nights-2025.jsonl"}
