"""Lists of records that someone edited: a line that is no record is named, with what to do."""

from __future__ import annotations

import pytest
from night_pages import line_of

from storage.errors import DamagedError
from storage.labels import Label, read_labels, write_labels
from storage.nights.index.year_lists import add_night, nights_before, read_year, years_with_nights

LABEL = Label(date="2026-01-01", id="7", row=None, label="outlier", flagged="yes")
DAMAGE = {
    "{": "Expecting property name",
    "[1, 2]": "must be a mapping",
    '{"date": "2026-01-02", "id": "8"}': "missing 3 required positional arguments",
}


@pytest.mark.parametrize(("line", "why"), DAMAGE.items())
def test_a_label_that_cannot_be_read_is_named(tmp_path, line, why):
    path = tmp_path / "labels.jsonl"
    write_labels(path, [LABEL])
    path.write_text(f"{path.read_text()}\n{line}\n")

    with pytest.raises(DamagedError, match=rf"labels.jsonl, line 3: .*{why}.*delete the line"):
        read_labels(path)


def test_empty_lines_and_a_missing_last_line_break_are_no_damage(tmp_path):
    path = tmp_path / "labels.jsonl"
    write_labels(path, [LABEL])
    path.write_text("\n" + path.read_text().rstrip("\n"))

    assert list(read_labels(path).values()) == [LABEL]


@pytest.mark.parametrize(
    "read", [read_year, lambda folder, _: nights_before(folder, "2026-02-01", at_least=5)]
)
def test_a_night_that_lacks_figures_is_named(tmp_path, read):
    add_night(tmp_path, line_of("2026-01-01"))
    path = tmp_path / "nights-2026.jsonl"
    path.write_text(path.read_text() + '{"date": "2026-01-02", "revision": 1}\n')

    with pytest.raises(DamagedError, match=r"nights-2026.jsonl, line 2: .*lacks 'verdict'"):
        read(tmp_path, 2026)


def test_bytes_that_are_not_utf_8_are_said_to_be(tmp_path):
    path = tmp_path / "labels.jsonl"
    path.write_bytes(b'{"author": "J\xf6rg"}\n')

    with pytest.raises(DamagedError, match="not in UTF-8"):
        read_labels(path)


def test_a_copy_of_a_list_is_no_list_of_a_year(tmp_path):
    add_night(tmp_path, line_of("2026-01-01"))
    (tmp_path / "nights-old.jsonl").write_text("")

    assert years_with_nights(tmp_path) == [2026]
