"""The strip of the last nights."""

from __future__ import annotations

import pytest
from night_pages import line_of

from storage.nights.index.year_lists import newest_revisions
from storage.pages.nights.history import draw_strip, usual_night

NIGHTS = [line_of(f"2026-11-{day:02d}", flagged) for day, flagged in enumerate([3, 1, 9, 4], 1)]


def test_the_usual_night_is_the_median_of_whole_nights():
    others = [
        line_of("2026-11-05", 0, verdict="NO DATA", rows=0),
        line_of("2026-11-06", 900, verdict="PARTIAL 1 of 2"),
    ]

    assert usual_night([*NIGHTS, *others]) == "Usual night: 3.5."


def test_fewer_than_three_nights_have_no_median():
    assert usual_night(NIGHTS[:2]) == ""
    assert usual_night([]) == "First night: no earlier one to compare with."


def test_only_the_newest_revision_of_a_date_counts():
    again = line_of("2026-11-02", 7, revision=2)

    assert [each.flagged for each in newest_revisions([again, *NIGHTS])] == [3, 7, 9, 4]


def test_marks_show_verdict_gap_and_new_model_and_link_to_their_report():
    flood = line_of("2026-11-09", 4000, verdict="FLOOD", model_id="b2", revision=2)
    strip = draw_strip(flood, NIGHTS)
    last = strip.marks[-1]

    assert (last.kind, last.gap, last.new_model) == ("flood", True, True)
    assert last.link == "../../2026-11-09/rev=2/report.html"
    assert not any(mark.gap or mark.new_model for mark in strip.marks[:-1])


def test_the_legend_explains_the_kinds_that_occur():
    assert draw_strip(line_of("2026-11-09", verdict="DRIFT"), NIGHTS).kinds == {"ok", "drift"}


def test_heights_grow_with_the_logarithm_of_the_count():
    nights = [line_of(f"2026-11-0{each + 1}", 10**each - 1) for each in range(1, 5)]
    heights = [mark.y for mark in draw_strip(nights[-1], nights[:-1]).marks]
    steps = [above - below for above, below in zip(heights[1:], heights, strict=False)]

    assert max(steps) - min(steps) < 0.3
    assert max(steps) < 0


def test_at_most_sixty_nights_are_shown_within_the_width():
    nights = [line_of(f"2026-{1 + day // 28:02d}-{1 + day % 28:02d}", 1) for day in range(100)]
    strip = draw_strip(nights[-1], nights[:-1])

    assert len(strip.marks) == 60
    assert all(0 <= mark.left < mark.x < mark.right <= 100.01 for mark in strip.marks)


@pytest.mark.parametrize("nights", [1, 3, 10, 60])
def test_the_nights_fill_the_width_evenly(nights):
    earlier = [line_of(f"2026-{1 + day // 28:02d}-{1 + day % 28:02d}") for day in range(nights - 1)]
    marks = draw_strip(line_of("2026-11-22"), earlier).marks

    assert (marks[0].left, marks[-1].right) == (0, pytest.approx(100, abs=0.01))
    assert all(mark.right - mark.left == pytest.approx(100 / nights, abs=0.011) for mark in marks)


def test_a_night_without_a_promise_has_no_band():
    strip = draw_strip(line_of("2026-11-01", expected=None, limit=None), [])

    assert strip.marks[0].limit is None
