"""The figures of a night beside those of earlier nights."""

from __future__ import annotations

import pytest
from night_pages import line_of

from storage.pages.nights.comparison import compare_figures

NIGHTS = [
    line_of(f"2026-11-{day:02d}", day % 4, rows=1500 + day, unscored=0, p50=1.0, p99=2.0, missing=0)
    for day in range(1, 9)
]
TONIGHT = line_of(
    "2026-11-22", 32, rows=1530, unscored=0, missing=0.125, p50=1.02, p99=9.5, verdict="REVIEW 32"
)


def figures(tonight=TONIGHT, earlier=NIGHTS) -> dict[str, tuple[str, str, str]]:
    found = compare_figures(tonight, earlier, flagged="flagged").figures
    return {each.name: (f"{each.mark}{each.tonight}", each.before, each.usual) for each in found}


def test_each_figure_stands_beside_the_night_before_and_the_median():
    assert figures() == {
        "scored": ("1,530", "1,508", "1,504"),
        "not scored": ("0", "0", "0"),
        "missing values": ("↑12.5 %", "0 %", "0 %"),
        "flagged": ("↑32", "0", "1.5"),
        "score, median": ("1.02", "1", "1"),
        "score, top 1 %": ("↑9.5", "2", "2"),
    }


def test_a_first_night_compares_with_nothing():
    assert {each[1:] for each in figures(earlier=()).values()} == {("–", "–")}
    assert not compare_figures(TONIGHT, (), flagged="flagged").marked


def test_a_night_without_scores_has_no_figures_of_rows():
    none = line_of("2026-11-22", 0, verdict="NO DATA", rows=0)

    assert {name: each[0] for name, each in figures(none).items()} == {
        "scored": "↓0",
        **dict.fromkeys(
            ("not scored", "missing values", "flagged", "score, median", "score, top 1 %"), "–"
        ),
    }


@pytest.mark.parametrize("other", [{"model_id": "b2"}, {"score": "novelty"}])
def test_scores_of_another_model_are_not_compared(other):
    tonight = line_of("2026-11-22", p50=7.0, p99=9.5, **other)
    found = compare_figures(tonight, NIGHTS, flagged="flagged")

    assert figures(tonight)["score, median"] == ("7", "–", "–")
    assert figures(tonight)["flagged"] == ("3", "0", "1.5")
    assert not found.one_model


def test_files_that_could_not_be_opened_are_named():
    tonight = line_of("2026-11-22", unscored=12, broken_files=2, verdict="PARTIAL 1 of 3")

    assert figures(tonight)["not scored"] == ("↑12 + 2 files", "0", "0")


def test_nights_read_in_part_count_only_for_rows_that_were_not_scored():
    partial = [
        line_of(f"2026-11-{day}", 900, verdict="PARTIAL 1 of 2", unscored=500)
        for day in range(10, 20)
    ]
    found = figures(earlier=[*NIGHTS, *partial])

    assert found["not scored"][2] == "500"
    assert found["flagged"][2] == "1.5"


def test_a_figure_that_no_night_has_is_left_out():
    assert "missing values" not in figures(line_of("2026-11-22"), [line_of("2026-11-21")])
