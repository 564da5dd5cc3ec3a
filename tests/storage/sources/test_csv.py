"""CSV: one rule for cells that are no number, headers, and files above one block."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from storage.errors import SchemaError, SourceError
from storage.sources import find_levels, list_unread, open_source, open_surveyed
from storage.sources.series.recognize import recognize_series


@pytest.fixture
def small_blocks(monkeypatch):
    """Read in blocks of 1,000 bytes, so that short files span several."""
    monkeypatch.setattr("storage.sources.csv_files.scan.BLOCK_BYTES", 1_000)


def write(path, lines):
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def with_cell(path, row, text, rows=500):
    lines = [f"{index},{index}.5" for index in range(rows)]
    lines[row] = f"{row},{text}"
    return write(path, ["a,b", *lines])


def rows_of(source):
    return np.concatenate([chunk.rows for chunk in source.chunks(max_rows=64)])


@pytest.mark.parametrize("row", [3, 450])
@pytest.mark.parametrize("text", ["?", "-", "None", "na", "#DIV/0!", "1.5.2", "é"])
def test_a_cell_that_is_no_number_is_named_wherever_it_stands(tmp_path, small_blocks, row, text):
    path = with_cell(tmp_path / "a.csv", row, text)
    message = rf"a.csv: row {row} \(line {row + 2}\), column b: expected a number, got '.+'; fix"

    with open_source(path) as source:
        assert source.schema.columns == ("a", "b")
        assert source.facts["unreadable cells"] == (
            f"1 (a.csv, line {row + 2}, column b: {text!r})"
        )
        with pytest.raises(SourceError, match=message):
            rows_of(source)


def test_a_cell_that_is_no_number_is_a_gap_if_gaps_are_imputed(tmp_path, small_blocks):
    path = with_cell(tmp_path / "a.csv", 450, "?")

    with open_source(path, missing="impute") as source:
        assert np.argwhere(np.isnan(rows_of(source))).tolist() == [[450, 1]]


def test_broken_rows_are_marked_and_the_others_validated(tmp_path, small_blocks):
    path = with_cell(tmp_path / "a.csv", 450, "?")

    with open_source(path) as source:
        chunks = list(source.chunks(max_rows=64, pass_broken=True))
        found = [
            chunk.start + np.flatnonzero(chunk.broken)
            for chunk in chunks
            if chunk.broken is not None
        ]
        assert np.concatenate(found).tolist() == [450]


def test_a_gap_beside_broken_rows_is_still_refused(tmp_path, small_blocks):
    path = with_cell(tmp_path / "a.csv", 450, "")

    with pytest.raises(SourceError, match="row 450, column b: expected a number, got nan"):
        list(open_source(path).chunks(max_rows=64, pass_broken=True))


def test_lines_are_counted_as_an_editor_does(tmp_path):
    path = write(tmp_path / "a.csv", ["t,a", '"two\nlines",1', "", *["x,1"] * 20, "x,oops"])

    with pytest.raises(SourceError, match=r"row 21 \(line 25\), column a: .*'oops'"):
        rows_of(open_source(path))


def test_columns_of_text_and_times_are_read_as_such_and_a_mixed_one_says_why(tmp_path):
    lines = [f"{index},{'low' if index % 2 else index},note,2020-01-01" for index in range(100)]
    path = write(tmp_path / "a.csv", ["a,mixed,note,when", *lines])

    with open_source(path) as source:
        assert source.schema.columns == ("a", "mixed", "note", "when")
        assert source.schema.kinds == ("number", "category", "category", "weekday")
    why = r"'mixed' \(50 of 100 cells are not numbers, .* a.csv, line 3, column mixed: 'low'"
    with pytest.raises(SchemaError, match=why):
        open_source(path, kinds={"mixed": ("number",)})


def test_a_feature_that_became_text_is_refused_with_its_first_cell(tmp_path):
    path = write(tmp_path / "a.csv", ["a,b", "1,2", "2,low", "3,high"])

    with pytest.raises(
        SchemaError, match=r"of another kind: 'b' \(2 of 3 cells .*line 3.*'low', not a num"
    ):
        open_source(path, columns=["a", "b"], kinds={"b": ("number",)})


def test_many_broken_columns_keep_their_other_cells(tmp_path, small_blocks):
    names = [f"c{index}" for index in range(12)]
    rows = [["1.25"] * 12 for _ in range(300)]
    for index in range(12):
        rows[200 + index][index] = "bad"
    path = write(tmp_path / "a.csv", [",".join(names), *map(",".join, rows)])

    with open_source(path, missing="impute") as source:
        read = rows_of(source)
        assert np.argwhere(np.isnan(read)).tolist() == [[200 + index, index] for index in range(12)]
        assert np.nanmin(read) == np.nanmax(read) == 1.25


def test_quoted_line_breaks_are_read_across_blocks(tmp_path, small_blocks):
    lines = [f'"a\n{"long " * (index % 40)}\nb",{index}' for index in range(300)]

    with open_source(write(tmp_path / "a.csv", ["note,x", *lines])) as source:
        assert rows_of(source)[:, 1].tolist() == list(range(300))


def test_a_text_column_that_is_empty_at_first_is_text(tmp_path, small_blocks):
    lines = [f"{index}," for index in range(400)] + ["400,late", "401,later"]

    with open_source(write(tmp_path / "a.csv", ["x,note", *lines])) as source:
        assert source.schema.kinds == ("number", "category")
        assert np.isnan(rows_of(source)[:400, 1]).all()


def test_text_that_is_not_utf8_is_a_level_with_its_bytes_in_hex(tmp_path, small_blocks):
    lines = [b"%d,caf\xe9" % index for index in range(8_000, 16_000)]
    lines = [*(b"%d,caf\xc3\xa9" % index for index in range(8_000)), *lines]
    (tmp_path / "a.csv").write_bytes(b"\n".join([b"x,note", *lines]))

    with open_source(tmp_path / "a.csv") as source:
        levels = rows_of(source)[:, 1]
        assert len(np.unique(levels)) == 2
        assert find_levels(source, {"note": [levels[-1]]}) == {"note": {levels[-1]: r"caf\xe9"}}
    with open_surveyed(tmp_path / "a.csv") as source:
        assert source.schema.kinds == ("number", "category")
        assert recognize_series(source) is None


@pytest.mark.parametrize(
    "lines",
    [
        ["5.1,3.5,1.4,setosa", "4.9,3.0,1.4,setosa", "6.0,2.2,5.0,virginica"],
        ["39,State-gov,77516", "50,Private,83311"],
        ["1,1,2", "3,4,5"],
        ["?,1,2,2", "1,3,5,9"],
        ["5", "1", "2"],
        ["2020-01-01,5", "2020-01-02,6"],
    ],
)
def test_a_file_without_a_header_keeps_its_first_row_by_being_refused(tmp_path, lines):
    with pytest.raises(SourceError, match="the first line holds numbers; expected a header line"):
        open_source(write(tmp_path / "a.csv", lines))


@pytest.mark.parametrize(
    "header", ["name,2019,2020", "name,400.5,401.5", "name,c,1", ",1,2", "name,?,x", "n,b,2020"]
)
def test_names_that_are_numbers_in_order_or_beside_words_are_a_header(tmp_path, header):
    with open_source(write(tmp_path / "a.csv", [header, "ann,1,5", "bob,2,4"])) as source:
        assert source.n_rows == 2


def test_columns_without_a_name_are_named_by_their_position(tmp_path):
    path = write(tmp_path / "a.csv", [",x,,y", "r1,1,7,2", "r2,3,8,4"])

    with open_source(path) as source:
        assert source.schema.columns == ("x", "y")
        assert source.not_read == {
            "columns not read": "column 1 without a name, column 3 without a name (no name)"
        }


def test_times_without_a_name_are_told_to_need_one(tmp_path):
    lines = [f"2026-01-0{day},{day}.5" for day in range(1, 10)]  # as pandas writes an index
    path = write(tmp_path / "a.csv", [",heat", *lines])

    with open_source(path) as source:
        assert "it holds times: name it in the header" in source.not_read["columns not read"]


@pytest.mark.parametrize("kept", [0.05, 0.5, 0.999])
def test_a_damaged_compressed_file_is_refused_by_name(tmp_path, small_blocks, kept):
    values = np.random.default_rng(0).normal(size=40_000)
    content = gzip.compress("\n".join(["x", *map(str, values)]).encode())
    (tmp_path / "a.csv.gz").write_bytes(content[: int(len(content) * kept)])

    with pytest.raises(SourceError, match=r"a.csv.gz: cannot be decompressed .*; restore the file"):
        open_source(tmp_path / "a.csv.gz")


def test_many_columns_that_are_not_read_are_counted(tmp_path):
    columns = [f"c{index}" for index in range(150)]
    path = write(tmp_path / "a.csv", ["x," + ",".join(columns), "1" + ",word" * 150])

    with open_source(path, kinds=dict.fromkeys(columns, ())) as source:
        assert source.not_read["columns not read"].endswith("c98, c99 and 50 more (data.ignore)")


def test_many_reasons_not_to_read_a_column_are_counted():
    text = list_unread({f"c{index}": f"reason {index}" for index in range(150)})

    assert text.startswith("c0 (reason 0); c1 (reason 1); ")
    assert text.endswith("c19 (reason 19); and 130 more columns for other reasons")


def test_lines_longer_than_four_megabytes_are_read(tmp_path):
    columns, cell = 10_000, "0." + 440 * "1"
    names = ",".join(f"column_{index}" for index in range(columns))
    path = write(tmp_path / "a.csv", [names, ",".join([cell] * columns)])

    with open_source(path) as source:
        assert (source.n_rows, len(source.schema.columns)) == (1, columns)


def test_a_file_with_a_header_line_only_holds_no_rows(tmp_path):
    with open_source(write(tmp_path / "a.csv", ["a,b"])) as source:
        assert source.n_rows == 0
        assert source.schema.columns == ("a", "b")


@pytest.mark.parametrize("empty", [["c,x,t"], ["c,x,t", ",1,", ",2,"]])
@pytest.mark.parametrize("name", ["a.csv", "c.csv"])
def test_columns_without_values_in_one_file_are_what_other_files_say(tmp_path, empty, name):
    full = ["c,x,t", "DE,1,2026-11-22 10:00", "FR,2,2026-11-23 11:00"]
    write(tmp_path / "b.csv", full)
    write(tmp_path / name, empty)

    with open_source(tmp_path, missing="impute") as source:
        assert source.schema.kinds == ("category", "number", "hour", "weekday")
        assert source.n_rows == 2 + len(empty) - 1


def test_a_column_that_is_empty_at_night_is_all_gaps_of_the_kind_that_is_asked_for(tmp_path):
    path = write(tmp_path / "night.csv", ["c,x,t", ",1,", ",2,"])
    kinds = {"c": ("category",), "x": ("number",), "t": ("hour", "weekday")}

    with open_source(path, columns=["c", "x", "t"], kinds=kinds, missing="impute") as source:
        assert np.isnan(rows_of(source)).tolist() == [[True, False, True, True]] * 2


def test_a_column_whose_values_begin_late_is_what_they_are(tmp_path, small_blocks):
    path = write(tmp_path / "a.csv", ["a,b", *[f"{row}," for row in range(400)], "400,7"])

    with open_source(path, missing="impute") as source:
        assert rows_of(source)[-1].tolist() == [400, 7]


@pytest.mark.parametrize("missing", ["error", "impute"])
def test_cells_that_are_no_times_are_counted_and_named(tmp_path, missing):
    path = write(tmp_path / "a.csv", ["x,t", *["1,2026-11-22"] * 10, "2,yesterday", "3,"])

    with open_source(path, kinds={"t": ("weekday",)}, missing=missing) as source:
        assert source.facts["unreadable cells"] == "1 (a.csv, line 12, column t: 'yesterday')"


def test_times_are_no_unreadable_cells_although_they_are_no_numbers(tmp_path):
    path = write(tmp_path / "a.csv", ["x,t", *["1,2026-11-22 10:30:00"] * 10])

    with open_source(path) as source:
        assert source.schema.kinds == ("number", "hour", "weekday")
        assert "unreadable cells" not in source.facts


def test_a_column_whose_cells_are_mostly_no_times_is_refused_as_a_time(tmp_path):
    path = write(tmp_path / "a.csv", ["x,t", "1,2026-11-22", "2,yesterday"])

    with pytest.raises(SchemaError, match=r"'t' \(1 of 2 cells are not times, the first in a.csv"):
        open_source(path, kinds={"t": ("weekday",)}, missing="impute")


@pytest.mark.parametrize(("numbers", "is_said"), [(20, True), (5, False)])
def test_a_text_with_a_few_numbers_is_not_called_mixed(tmp_path, numbers, is_said):
    cells = [str(1984 + i) if i < numbers else f"title {i}" for i in range(100)]
    path = write(tmp_path / "a.csv", ["x,title", *(f"1,{cell}" for cell in cells)])
    with open_source(path) as source:
        assert ("columns of numbers and text" in source.facts) == is_said
