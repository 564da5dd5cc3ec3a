"""A night as notebooks show it."""

from __future__ import annotations

from night_pages import night_of

from storage.nights.report import summarize

HOSTILE = "<img src=x onerror=alert(1)>\u202e"


def shown(*ids: str, **facts: object) -> str:
    return summarize(night_of(**facts), list(ids))._repr_html_()


def test_a_night_shows_its_verdict_and_what_clean_data_gives():
    page = shown()

    assert "cards, 2026-11-22: REVIEW 32" in page
    assert "32 of 1,530 rows" in page
    assert "1.3 (rarely above 5)" in page


def test_what_clean_data_gives_is_not_shown_without_a_guarantee():
    assert "clean data gives" not in shown(promises=False)


def test_the_first_ids_are_shown():
    page = shown(*(f"r{number}" for number in range(32)))

    assert "r0, r1, r2, r3, r4, r5, r6, r7, r8, r9, …</td>" in page


def test_ids_and_notes_are_only_text():
    page = shown(HOSTILE, notes=[HOSTILE])

    assert "<img" not in page
    assert page.count("&lt;img src=x onerror=alert(1)&gt;\\u202e") == 2
