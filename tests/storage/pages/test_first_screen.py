"""The first screen of a report: how many, compared with what, what to do, what to doubt."""

from __future__ import annotations

import pytest
from night_pages import line_of, night_of

from storage.nights.night import RowGroup
from storage.pages.nights.first_screen import (
    advice,
    clean_data,
    headline_sentence,
    largest_group,
    warnings,
)


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({}, "32 unusual of 1,530: review"),
        ({"verdict": "OK", "flagged": 2}, "2 unusual of 1,530: an ordinary night"),
        ({"verdict": "OK", "flagged": 0}, "Nothing unusual in 1,530 rows"),
        ({"verdict": "FLOOD"}, "32 unusual of 1,530: flood"),
        ({"verdict": "DRIFT", "flagged": 0}, "Nothing unusual in 1,530 rows: the data moved"),
        ({"verdict": "PARTIAL 1 of 2"}, "32 unusual of 1,530: incomplete"),
        ({"verdict": "NO DATA", "rows": 0}, "No data for 2026-11-22"),
        ({"verdict": "FAILED", "rows": 0}, "Nothing was scored for 2026-11-22"),
    ],
)
def test_the_heading_is_a_sentence_for_every_verdict(facts, sentence):
    night = night_of(**facts)

    assert headline_sentence(night) == sentence
    assert advice(night.verdict).endswith(".")


def test_flagged_rows_are_compared_with_clean_data():
    assert clean_data(night_of()) == "Clean data gives 1.3 (rarely above 5)."
    assert clean_data(night_of(expected=1362.4)).startswith("Clean data gives 1,362 ")


def test_without_a_promise_nothing_is_said_of_clean_data():
    assert clean_data(night_of(promises=False)).endswith("is not known tonight.")


def test_a_group_of_most_flagged_rows_is_named():
    group = RowGroup("3f2a", "a higher", range(30))

    assert largest_group(night_of(groups=(group,), grouped=32)) == "One kind makes up 30 of 32."
    assert largest_group(night_of(groups=(group,), grouped=1000, flagged=1200)) == ""


def test_an_ordinary_night_has_no_warnings():
    device = "no GPU here: the CPU scores, model a1 was trained on cuda"

    assert warnings(night_of(notes=(device,))) == []


def test_an_old_model_is_a_warning():
    age = "model a1 was trained 40 days before 2026-11-22, schedule.max_model_age_days is 30"

    assert warnings(night_of(notes=(age,))) == [("Note", f"M{age[1:]}.")]


def test_drift_names_the_columns_that_moved_most():
    features = [{"name": f"c{each}", "mean": 9.0 - each, "deviation": 1.0} for each in range(5)]
    [(word, sentence)] = warnings(night_of(drift={"alarm": True, "features": features}))

    assert word == "Drift"
    assert "c0 (+9, spread × 1), c1 (+8, spread × 1), c2 (+7, spread × 1)." in sentence
    assert "c3" not in sentence


@pytest.mark.parametrize(("rows", "word"), [(700, "Volume"), (800, None), (3_100, "Volume")])
def test_a_night_of_unusual_volume_is_a_warning(rows, word):
    earlier = [line_of(f"2026-11-0{day}") for day in range(1, 4)]

    assert [each for each, _ in warnings(night_of(rows=rows, earlier=earlier))] == [word] * bool(
        word
    )
    assert warnings(night_of(rows=rows, earlier=earlier[:2])) == []


def test_what_was_not_read_is_named_and_the_rest_is_counted():
    failed = [(f"part-{each}", "unreadable") for each in range(5)]
    [(_, sentence)] = warnings(night_of(failed=failed, verdict="PARTIAL 1 of 6"))

    assert "part-0 (unreadable); part-1 (unreadable); part-2 (unreadable); and 2 more" in sentence


@pytest.mark.parametrize(("others", "words"), [(("FLOOD",), ["Flood"]), ((), ["Note"])])
def test_a_flood_is_a_warning_and_suspect_calibration_rows_are_one_without_it(others, words):
    note = "38 suspect calibration rows score far above: clean data may contain outliers"
    found = warnings(night_of(verdict="DRIFT", notes=(*others, note)))

    assert [word for word, _ in found] == words
