"""The page of a year of nights."""

from __future__ import annotations

import re

from night_pages import line_of

from storage.pages.nights.calendar import render_year

NIGHTS = [
    line_of("2026-10-30", 1),
    line_of("2026-11-01", 3),
    line_of("2026-11-02", 40, verdict="FLOOD"),
    line_of("2026-11-04", 4_213, model_id="b2"),
    line_of("2026-11-02", 2, revision=2),
]


def page_of(nights=NIGHTS, earlier=(), years=(2026,)) -> str:
    return render_year("cards", nights, years=years, earlier=earlier).decode()


def test_only_the_newest_revision_of_a_night_is_in_the_calendar():
    calendar = page_of().split('class="calendar"')[1].split("</table>")[0]

    assert re.findall(r'href="(2026-11-02[^"]*)"', calendar) == ["2026-11-02/rev=2/report.html"]


def test_earlier_revisions_are_folded_under_their_night():
    folded = re.search(r"<details><summary>revision 2</summary>.*?</details>", page_of(), re.S)

    assert folded
    assert 'href="2026-11-02/rev=1/report.html"' in folded[0]
    assert "FLOOD, 40 flagged" in folded[0]


def test_missing_nights_are_dots_up_to_the_last_night():
    november = page_of().split('class="month">Nov')[1].split("</tr>")[0]

    assert november.count("<td>·</td>") == 1
    assert november.count("<td></td>") == 26


def test_each_month_has_the_median_of_its_nights():
    medians = re.findall(r'<td class="usual">([^<]*)</td>', page_of())

    assert medians == ["1", "3"]


def test_a_new_model_is_marked_and_listed():
    page = page_of()

    assert re.findall(r"<span>(\S+): <code>a1</code> →\s+<code>b2</code>", page) == ["2026-11-04"]
    assert "new model b2" in page


def test_the_first_night_of_a_year_is_compared_with_the_year_before():
    before = [line_of(f"2025-12-{day}", 1) for day in (29, 30, 31)]
    page = page_of([line_of("2026-01-01", 5, model_id="b2")], before)

    assert "<span>2026-01-01: <code>a1</code>" in page
    assert "Usual night: 1." in page


def test_only_verdicts_that_occur_can_be_hidden():
    assert set(re.findall(r'id="show-(\w+)"', page_of())) == {"ok"}
    drift = [*NIGHTS, line_of("2026-11-05", 9, verdict="DRIFT")]
    assert set(re.findall(r'id="show-(\w+)"', page_of(drift))) == {"ok", "drift"}


def test_every_other_year_has_a_link():
    page = page_of(years=(2027, 2026, 2025))

    assert '<a href="index.html">newest</a>' in page
    assert '<a href="nights-2025.html">2025</a>' in page
    assert '<strong aria-current="page">2026</strong>' in page
