"""JSON lines: types that no header tells, absent keys, and rows that cannot be read."""

from __future__ import annotations

import numpy as np
import pytest

from storage.errors import SchemaError, SourceError
from storage.sources import CATEGORY, HOUR, NUMBER, WEEKDAY, open_source
from storage.sources.columns.kinds import level_key


def write(tmp_path, *lines, name="rows.jsonl"):
    path = tmp_path / name
    path.write_bytes("\n".join(lines).encode())
    return path


def read(path, **how):
    with open_source(path, **how) as source:
        return np.concatenate([chunk.rows for chunk in source.chunks(max_rows=100)])


@pytest.fixture
def small_blocks(monkeypatch):
    """A block for each line."""
    monkeypatch.setattr("storage.sources.typed.json_lines.BLOCK_BYTES", 1)


def test_each_key_has_the_kind_of_its_values(tmp_path):
    lines = [
        f'{{"x": {i}.5, "on": true, "city": "Bern", "at": "2026-11-2{i}T10:30:00+02:00", "l": []}}'
        for i in range(4)
    ]
    with open_source(write(tmp_path, *lines)) as source:
        assert source.schema.kinds == (NUMBER, CATEGORY, CATEGORY, HOUR, WEEKDAY)
        assert source.unread == {"l": "list<item: null>"}
        [chunk] = source.chunks(max_rows=9)
    assert chunk.rows[0].tolist() == [0.5, level_key("true"), level_key("Bern"), 10.5, 4.0]


@pytest.mark.parametrize("time", ["2026-11-26", "2026-11-26 10:30:00", "2026-11-26T10:30:00.123Z"])
def test_times_in_iso_8601_are_times_and_stored_as_they_are_written(tmp_path, time):
    path = write(tmp_path, f'{{"x": 1, "t": "{time}"}}', '{"x": 2, "t": null}')
    with open_source(path, missing="impute") as source:
        assert source.schema.kinds == (NUMBER, HOUR, WEEKDAY)
        source.exact = True
        assert next(source.chunks(max_rows=9)).beside.to_pydict() == {"t": [time, None]}


def test_text_among_times_makes_a_category(tmp_path, small_blocks):
    path = write(tmp_path, '{"t": "2026-11-26"}', '{"t": "soon"}')

    assert open_source(path).schema.kinds == (CATEGORY,)


def test_types_are_found_over_all_blocks(tmp_path, small_blocks):
    path = write(tmp_path, '{"a": null}', '{"a": 1}', '{"a": 2.5, "b": 3}', "", '{"b": 4}')

    rows = read(path, missing="impute")
    np.testing.assert_array_equal(rows, [[np.nan] * 2, [1, np.nan], [2.5, 3], [np.nan, 4]])


def test_a_key_that_one_of_several_files_lacks_is_a_gap(tmp_path):
    write(tmp_path, '{"a": 1}', name="a.jsonl")
    write(tmp_path, '{"a": 2, "b": 3}', name="b.jsonl")

    np.testing.assert_array_equal(read(tmp_path, missing="impute"), [[1, np.nan], [2, 3]])
    with pytest.raises(SourceError, match=r"a.jsonl: row 0 .*, column b: expected a number, got"):
        read(tmp_path)


def test_a_key_that_all_files_lack_is_a_missing_column(tmp_path):
    with pytest.raises(SchemaError, match="missing: 'b'"):
        open_source(write(tmp_path, '{"a": 1}'), columns=["b"])


def test_a_column_of_two_types_is_refused_with_its_row(tmp_path, small_blocks):
    path = write(tmp_path, '{"a": 1}', '{"a": 2}', '{"a": "x"}')
    with pytest.raises(SourceError, match=r"rows.jsonl: column a: int64 up to row 2, string from"):
        open_source(path)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('{"a": "x"}', r"Column\(/a\) changed from number to string in row 1"),
        ('{"a": 2', "JSON parse error: .* in row 1"),
        ("[1, 2]", "changed from object to array in row 1"),
        ('{"a": 1, "a": 2}', r"Column\(/a\) was specified twice in row 1"),
    ],
)
def test_a_line_that_is_no_such_object_is_refused_with_its_row(tmp_path, line, why):
    with pytest.raises(SourceError, match=rf"rows.jsonl: expected one JSON object a line, .*{why}"):
        open_source(write(tmp_path, '{"a": 1}', line))


def test_text_that_is_not_utf8_is_refused(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": "\xff\xfe"}\n')

    with pytest.raises(SourceError, match=r"rows.jsonl: .*UTF"):
        open_source(path)


def test_a_byte_order_mark_and_windows_lines_are_read(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n{"a": 2}\r\n')

    assert read(path).tolist() == [[1], [2]]


def test_ids_that_would_be_rounded_are_refused(tmp_path):
    path = write(tmp_path, f'{{"x": 1, "id": {2**64}}}')

    with pytest.raises(SourceError, match="column id: expected whole numbers of at most 64 bits"):
        open_source(path, id="id")


def test_a_line_without_end_is_refused(tmp_path, small_blocks, monkeypatch):
    monkeypatch.setattr("storage.sources.typed.json_lines.LONGEST_LINE", 50)

    with pytest.raises(SourceError, match="a line is longer than 50 bytes"):
        open_source(write(tmp_path, '{"a": "' + "x" * 100 + '"}'))


def test_a_file_of_blank_lines_has_no_rows(tmp_path):
    with pytest.raises(SourceError, match=r"rows.jsonl: no rows; expected a JSON object"):
        open_source(write(tmp_path, "", " ", ""))
