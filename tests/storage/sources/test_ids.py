"""Ids of every type: shown in full, never invented, never a traceback."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta, timezone

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage.errors import SourceError
from storage.sources import open_source
from storage.sources.ids import id_texts

SECONDS = 1_700_000_000


def ids_of(path) -> list[object]:
    with open_source(path, id="id") as source:
        return [each for chunk in source.chunks(max_rows=100) for each in chunk.ids.tolist()]


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        (pa.timestamp("ns"), SECONDS * 10**9 + 1, "2023-11-14 22:13:20.000000001"),
        (pa.timestamp("ns"), SECONDS * 10**9 + 5_000, "2023-11-14 22:13:20.000005"),
        (pa.timestamp("ns"), -1, "1969-12-31 23:59:59.999999999"),
        (pa.timestamp("ns", "+01:30"), 1, "1970-01-01 01:30:00.000000001+01:30"),
        (pa.timestamp("us", "Mars/Base"), 1, "1970-01-01 00:00:00.000001+00:00"),
        (pa.timestamp("s"), 2**62, f"1970-01-01 +{2**62} s"),
        (pa.duration("ns"), 10**9 + 1, "0:00:01.000000001"),
        (pa.duration("ns"), 1_000_001, "0:00:00.001000001"),
        (pa.duration("s"), 2**62, f"{2**62} s"),
        (pa.time64("ns"), 1, "00:00:00.000000001"),
        (pa.binary(), b"pump 7", "pump 7"),
        (pa.binary(), b"\xff\x00", "0xff00"),
        (pa.binary(), b"0xff00", "0x307866663030"),
        (pa.binary(2), b"\x01\x02", "0x0102"),
        (pa.dictionary(pa.int8(), pa.string()), "a", "a"),
    ],
)
def test_an_id_is_shown_in_full(kind, value, text):
    assert id_texts(pa.array([value], kind)) == [text]


@pytest.mark.parametrize("kind", [pa.timestamp("ns"), pa.timestamp("us", "UTC"), pa.duration("ns")])
def test_ids_in_time_are_read_from_a_file(tmp_path, kind):
    ids = pa.array([SECONDS * 10**6 + row for row in range(3)], kind)
    pq.write_table(pa.table({"id": ids, "x": [1.0] * 3}), tmp_path / "a.parquet")

    assert len(set(ids_of(tmp_path / "a.parquet"))) == 3


@pytest.mark.parametrize(
    "value",
    [
        datetime(2026, 1, 2, 3, 4, 5),  # without a zone, as in many files
        datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
        datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=2))),
        timedelta(days=-1, microseconds=7),
        uuid.uuid5(uuid.NAMESPACE_DNS, "a"),
        1.5,
        "é",
    ],
)
def test_other_ids_are_shown_as_python_shows_them(value):
    kind = pa.uuid() if isinstance(value, uuid.UUID) else None
    stored = value.bytes if isinstance(value, uuid.UUID) else value

    assert id_texts(pa.array([stored], kind)) == [str(value)]


@pytest.mark.parametrize(
    "ids", [["a", None], [b"a", None], [1.5, float("nan")], [1, None], ["a", ""]]
)
def test_a_row_without_an_id_is_refused_by_its_number(tmp_path, ids):
    pq.write_table(pa.table({"id": ids, "x": [1.0, 2.0]}), tmp_path / "a.parquet")

    with pytest.raises(
        SourceError, match=r"a.parquet: row 1, column id: expected an id, got nothing"
    ):
        ids_of(tmp_path)


def test_an_empty_id_in_a_csv_file_is_refused_and_na_is_a_name(tmp_path):
    (tmp_path / "a.csv").write_text("id,x\nNA,1\n,2\n")

    with pytest.raises(SourceError, match=r"a.csv: row 1, column id: expected an id, got nothing"):
        ids_of(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_text("id,x\nNA,1\nNone,2\n")
    assert ids_of(tmp_path / "a.csv") == ["NA", "None"]


def test_ids_without_a_text_are_refused_by_their_type(tmp_path):
    table = pa.table({"id": pa.array([2**30], pa.date32()), "x": [1.0]})
    pq.write_table(table, tmp_path / "a.parquet")

    with pytest.raises(SourceError, match=r"a.parquet: column id: .* got date32\[day\]: .*data.id"):
        ids_of(tmp_path / "a.parquet")
