"""The strip of the last nights."""

from __future__ import annotations

from night_pages import line_of

from storage.nights.index.year_lists import newest_revisions
from storage.pages.nights.history import compare_nights, draw_strip, usual_night

NIGHTS = [line_of(f"2026-11-{day:02d}", flagged) for day, flagged in enumerate([3, 1, 9, 4], 1)]


def test_the_usual_night_is_the_median_of_whole_nights():
    others = [
        line_of("2026-11-05", 0, verdict="NO DATA", rows=0),
        line_of("2026-11-06", 900, verdict="PARTIAL 1 of 2"),
    ]

    assert usual_night([*NIGHTS, *others]) == "Usual night: 3.5 in 1,500 rows (medians of 4)."


def test_fewer_than_three_nights_have_no_median():
    assert compare_nights(NIGHTS[:2]) == "Night before: 1 in 1,500 rows."
    assert compare_nights([]) == "First night: no earlier one to compare with."


def test_the_night_before_is_named_with_its_verdict_unless_it_was_read_whole():
    partial = line_of("2026-11-05", 900, verdict="PARTIAL 1 of 2")

    assert compare_nights([*NIGHTS, partial]).startswith(
        "Night before: PARTIAL 1 of 2, 900 in 1,500 rows. Usual night: 3.5 "
    )
    assert compare_nights([line_of("2026-11-05", 0, verdict="NO DATA", rows=0)]) == (
        "Night before: NO DATA."
    )


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
    assert all(0 <= mark.left < mark.x < mark.right <= 100 for mark in strip.marks)


def test_a_night_without_a_promise_has_no_band():
    strip = draw_strip(line_of("2026-11-01", expected=None, limit=None), [])

    assert strip.marks[0].limit is None
