"""Numbers in CSV files as people write them: separators, currencies, percent, and no value."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from storage.errors import SchemaError, SourceError
from storage.sources import BROKEN_CELLS, open_source, open_surveyed
from storage.sources.csv_files.written_numbers import read_amounts


def write(path, rows):
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def values(path, **how):
    with open_source(path, **how) as source:
        return np.concatenate([chunk.rows for chunk in source.chunks(max_rows=7)])


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("1,234.50", 1234.5, ""),
        ("1,234,567", 1234567, ""),
        ("1,23,456", 123456, ""),
        ("$5", 5, "$"),
        ("-$1,000", -1000, "$"),
        ("$-5.5", -5.5, "$"),
        ("(1,234)", -1234, ""),
        ("($1.5)", -1.5, "$"),
        ("€ 5", 5, "€"),
        ("5.25 €", 5.25, "€"),
        ("12.5 %", 12.5, "%"),
        ("1 234.5", 1234.5, ""),
        ("1\u00a0234", 1234, ""),
        ("1\u202f234", 1234, ""),
        ("1'234.50", 1234.5, ""),
        ("−5", -5, ""),
    ],
)
def test_numbers_are_read_as_people_write_them(text, value, unit):
    found = read_amounts(pa.array([text]), ".")
    assert (found.values.to_pylist(), found.units.to_pylist()) == ([value], [unit])


@pytest.mark.parametrize(
    ("text", "value"),
    [("1.234,50", 1234.5), ("-52,67 €", -52.67), ("1.234 €", 1234), ("1.234.567", 1234567)],
)
def test_a_decimal_comma_goes_with_points_between_thousands(text, value):
    assert read_amounts(pa.array([text]), ",").values.to_pylist() == [value]


@pytest.mark.parametrize(
    ("text", "decimal"),
    [
        *((text, ".") for text in ("1,2", "12,34", "0,123", "(5", "$5%", "--5", "$", "12-", "")),
        *((text, ".") for text in ("555 123 456", "1 234", "A5", "1,234.5.6", "5 kg")),
        *((text, ",") for text in ("1.234", "1.5", "1 234", "1,234,567")),
    ],
)
def test_what_may_be_something_else_is_no_number(text, decimal):
    assert read_amounts(pa.array([text]), decimal).values.to_pylist() == [None]


def test_columns_of_amounts_are_numbers_in_every_file(tmp_path):
    path = write(tmp_path / "a.csv", ["price,off", *['"$1,200.50",5%', "$7,12.5%", "$0,0"] * 9])
    with open_surveyed(path) as source:
        assert source.schema.columns == ("price", "off")
        assert source.schema.kinds == ()
    assert values(path)[:3].tolist() == [[1200.5, 5], [7, 12.5], [0, 0]]
    night = write(tmp_path / "night.csv", ["price,off", "$5,12%"])
    assert values(night, columns=["price", "off"]).tolist() == [[5, 12]]


@pytest.mark.parametrize("cells", [("$5", "€5"), ("5%", "0.05")])
def test_amounts_in_several_units_are_text_but_can_be_asked_for(tmp_path, cells):
    path = write(tmp_path / "a.csv", ["x,y", *(f"1,{cell}" for cell in cells * 9)])
    with open_source(path) as source:
        assert source.schema.kinds == ("number", "category")
    assert values(path, kinds={"y": ("number",)}).shape == (18, 2)


@pytest.mark.parametrize("mark", ["-", "?", "unknown", "#DIV/0!", "k.A.", "None"])
def test_a_column_of_numbers_stays_one_however_many_cells_say_there_is_none(tmp_path, mark):
    path = write(tmp_path / "a.csv", ["x,y", *(f"1,{mark if i % 4 else i}" for i in range(40))])
    with open_source(path, missing="impute") as source:
        assert source.schema.kinds == ()
        assert BROKEN_CELLS not in source.facts
    assert np.isnan(values(path, missing="impute")[:, 1]).sum() == 30


def test_marks_are_unreadable_cells_where_gaps_are_errors(tmp_path):
    path = write(tmp_path / "a.csv", ["x,y", "1,2", "1,-", "1,3"])
    with open_source(path) as source:
        assert source.facts[BROKEN_CELLS] == "1 (a.csv, line 3, column y: '-')"
    with pytest.raises(SourceError, match=r"\(line 3\), column y: expected a number, got '-'"):
        values(path)


def test_a_column_of_nothing_but_marks_is_a_category_and_at_night_a_gap(tmp_path):
    path = write(tmp_path / "a.csv", ["x,y", *["1,-"] * 20])
    with open_source(path, missing="impute") as source:
        assert source.schema.kinds == ("number", "category")
    asked = values(path, kinds={"y": ("number",)}, missing="impute")
    assert np.isnan(asked[:, 1]).all()


def test_a_column_of_times_stays_one_with_marks(tmp_path):
    rows = [f"1,{'?' if i % 2 else f'2026-11-{i + 1:02d}'}" for i in range(20)]
    path = write(tmp_path / "a.csv", ["x,day", *rows])
    with open_source(path, kinds={"day": ("weekday",)}, missing="impute") as source:
        assert source.schema.kinds == ("number", "weekday")
        assert BROKEN_CELLS not in source.facts


def broken(path, share):
    """Write 100 rows of which this share has no number."""
    return write(path, ["x,y", *(f"1,{'E18' if i < 100 * share else i}" for i in range(100))])


def test_a_night_may_have_more_cells_without_a_number_than_clean_data(tmp_path):
    for share, kind in ((0.09, "number"), (0.2, "category")):
        with open_source(broken(tmp_path / "a.csv", share), missing="impute") as source:
            assert (source.schema.kinds or ("number",) * 2)[1] == kind
    asked = {"y": ("number",)}
    assert np.isnan(values(tmp_path / "a.csv", kinds=asked, missing="impute")).sum() == 20
    with pytest.raises(SchemaError, match=r"'y' \(60 of 100 cells are not numbers"):
        open_source(broken(tmp_path / "a.csv", 0.6), kinds=asked)


@pytest.mark.parametrize("mark", ["?", "unknown", "maybe"])
def test_boolean_words_beside_marks_are_levels(tmp_path, mark):
    cells = ["TRUE", "FALSE", mark, "TRUE"] * 10
    path = write(tmp_path / "a.csv", ["x,y", *(f"1,{cell}" for cell in cells)])
    with open_source(path) as source:
        assert source.schema.kinds == ("number", "category")
