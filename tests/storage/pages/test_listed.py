"""The rows of the table."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from night_pages import evidence_of, night_of, outliers_of

from storage.pages.nights import listed
from storage.pages.nights.listed import list_rows


def test_a_label_names_a_row_by_its_number_where_its_id_does_not():
    outliers = [
        {**each, "id": row_id}
        for each, row_id in zip(
            outliers_of([3, 4, 5, 6]), ["a", "b", "b", "x" * 9_000], strict=True
        )
    ]
    found = list_rows(night_of(), outliers)

    assert [(each.cell, each.number) for each in found] == [
        ("a", ""),
        ("b", "4"),
        ("b", "5"),
        ("", "6"),
    ]


def test_evidence_is_said_in_clean_rows_and_what_is_rare_stands_out():
    sides = {"range": 0.001, "latent": 0.4, "residual": 0.9}
    night = night_of(evidence={3: replace(evidence_of((9,)), sides=sides)})
    [row] = list_rows(night, outliers_of([3]))

    assert [(chip.words, chip.odd) for chip in row.chips] == [
        ("1 in 1,000 clean rows", True),
        ("1 in 2 clean rows", False),
        ("like most clean rows", False),
    ]


def test_pictures_stop_where_the_page_would_become_too_large(monkeypatch):
    noise = np.random.default_rng(0).integers(0, 255, (4, 90, 90), np.uint8)
    evidence = {
        row: replace(evidence_of((90, 90)), actual=noise[row], nearest=noise[0]) for row in range(4)
    }
    night = night_of(evidence=evidence, pictures=True)
    one = len(list_rows(night, outliers_of([0]))[0].picture)
    monkeypatch.setattr(listed, "PICTURE_BYTES", 2.5 * one)
    found = list_rows(night, outliers_of([0, 1, 2, 3]))

    assert [bool(each.picture) for each in found] == [True, True, False, False]


def test_a_row_is_a_picture_or_a_line_or_its_columns():
    evidence = {0: evidence_of((8, 8)), 1: evidence_of((40,)), 2: evidence_of((9,))}
    found = list_rows(
        night_of(evidence=evidence, pictures=True, waves=True), outliers_of([0, 1, 2])
    )

    assert [(bool(each.picture), each.wave is not None) for each in found] == [
        (True, False),
        (False, True),
        (False, False),
    ]


def test_a_line_stands_out_in_a_stretch_and_a_row_of_columns_by_its_cause():
    evidence = {1: evidence_of((40,)), 2: evidence_of((9,))}
    line, columns = list_rows(night_of(evidence=evidence, waves=True), outliers_of([1, 2]))

    assert line.why == "steps 35 to 39: lower than expected, 100% of the difference"
    assert columns.why == outliers_of([2])[0]["cause"]
