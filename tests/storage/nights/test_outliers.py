"""The cells of outliers.csv, as spreadsheets read them."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hostile import BLANK, SIGNS, TEXTS, UNSEEN
from hypothesis import given
from hypothesis import strategies as st

from storage.nights.outliers import PLAIN_NUMBER, spreadsheet_table, spreadsheet_text

ALPHABET = "'=;\\nu0a\n \"-"


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("  =1+1", "'  =1+1"),
        ("\u00a0\u3000@SUM(A1)", "'\u00a0\u3000@SUM(A1)"),
        ('"=1+1', "'\"=1+1"),
        ("\uff1d1+1", "'\uff1d1+1"),
        ("\uff20A1", "'\uff20A1"),
        ("\u2212A1", "'\u2212A1"),
        ("\u200d=1", "'\u200d=1"),
        ("a;=1+1", "a;'=1+1"),
        ('a; "-cmd', "a;' \"-cmd"),
    ],
)
def test_no_cell_is_evaluated_as_a_formula(text, cell):
    assert spreadsheet_text(text) == cell


@pytest.mark.parametrize("unseen", ["\n", "\r", "\t", "\x00", "\ufeff", "\u200b", "\u202e"])
def test_characters_that_hide_a_formula_are_shown(unseen):
    cell = spreadsheet_text(f"{unseen}=1+1")

    assert cell == f"\\u{ord(unseen):04x}=1+1"


@pytest.mark.parametrize("text", ["-5", "+49", "-0.25", "x is 2; y is -1", "a-b", "", "m=3"])
def test_numbers_and_ordinary_texts_stay_as_they_are(text):
    assert spreadsheet_text(text) == text


@pytest.mark.parametrize("text", TEXTS, ids=ascii)
def test_a_spreadsheet_finds_no_formula_in_any_cell_of_any_locale(text):
    cell = spreadsheet_text(text)
    parts = [each.strip().strip('"').strip() for each in cell.split(";")]

    assert PLAIN_NUMBER.fullmatch(cell) or not [
        part for part in parts if part.strip("".join(BLANK))[:1] in SIGNS
    ]
    assert not [character for character in cell if character in "".join(UNSEEN)]


@given(first=st.text(ALPHABET), second=st.text(ALPHABET))
def test_two_texts_never_give_one_cell(first, second):
    assert (spreadsheet_text(first) == spreadsheet_text(second)) == (first == second)


def test_the_cells_of_hostile_texts_differ():
    assert len({spreadsheet_text(text) for text in TEXTS}) == len(set(TEXTS))


def test_only_texts_change():
    table = pa.table({"id": ["=a", "b"], "score": [-1.0, 2.0]})

    assert spreadsheet_table(table).to_pydict() == {"id": ["'=a", "b"], "score": [-1.0, 2.0]}
