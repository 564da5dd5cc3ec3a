"""The worst rows as cards."""

from __future__ import annotations

import base64

import pytest
from night_pages import evidence_of, night_of, outliers_of

from storage.nights.night import RowGroup
from storage.pages.nights.worst import clean_row_chance, worst_cards


def test_the_worst_row_of_each_group_comes_first_then_the_next_rows():
    groups = (RowGroup("aaaa", "a", [10, 11, 12, 13]), RowGroup("bbbb", "b", [15, 16]))
    cards = worst_cards(night_of(groups=groups), outliers_of([10, 11, 12, 13, 14, 15, 16]))

    assert [card.outlier["row"] for card in cards] == [10, 11, 12, 14, 15]
    assert [card.alike for card in cards] == [4, 4, 4, 0, 2]


@pytest.mark.parametrize("facts", [{"verdict": "FLOOD"}, {"verdict": "DRIFT", "notes": ("FLOOD",)}])
def test_in_a_flood_the_largest_kinds_come_first(facts):
    groups = (RowGroup("bbbb", "b", [11, 12, 13]), RowGroup("aaaa", "a", [10, 14]))
    cards = worst_cards(night_of(groups=groups, **facts), outliers_of([10, 11, 12, 13, 14, 15]))

    assert [card.outlier["row"] for card in cards] == [11, 10, 15, 12, 13]


def test_a_night_without_flagged_rows_shows_the_highest():
    cards = worst_cards(night_of(flagged=0), outliers_of([4, 5, 6], flagged=0))

    assert [card.outlier["row"] for card in cards] == [4, 5, 6]


def test_a_card_has_one_sentence_and_the_chance_in_words():
    [card] = worst_cards(night_of(), outliers_of([4]))

    assert card.sentence == "a is 9, above the 1 expected"
    assert card.chance == "1 in 2,434 clean rows"


@pytest.mark.parametrize("share", [" (63% of the relative error)", ", 7% of the novelty"])
def test_the_share_that_bars_show_is_not_in_the_sentence(share):
    row = {**outliers_of([0])[0], "cause": f"b is 9 (2% of the error), above 1{share}; c is 3"}
    [card] = worst_cards(night_of(evidence={0: evidence_of((9,))}), [row])

    assert card.sentence == "b is 9 (2% of the error), above 1"


def test_no_chance_is_given_without_clean_rows():
    assert clean_row_chance(0.01, night_of(calibration_rows=0)) == ""
    assert clean_row_chance(0.01, night_of(date="in-sample")) == ""


def test_rows_are_shown_as_picture_line_or_bars():
    rows, listed = ((8, 8), (40,), (9,)), outliers_of([0])
    pictures, waves, columns = (
        worst_cards(night_of(evidence={0: evidence_of(shape)}, pictures=True, waves=True), listed)[
            0
        ]
        for shape in rows
    )

    assert base64.b64decode(pictures.picture.partition(",")[2]).startswith(b"\x89PNG")
    assert waves.wave.actual.startswith("M3.0 ")
    assert waves.sentence.startswith("steps 35 to 39: lower than expected")
    assert columns.features[0]["name"] == "a"
