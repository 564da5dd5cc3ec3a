"""Delta and Iceberg tables: the rows of the current version, and nothing else."""

from __future__ import annotations

import json
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lakes import DeltaTable, IcebergTable, numbers, rows_of

from storage.errors import NoDataError, SourceError
from storage.sources import CATEGORY, NUMBER, find_files, open_source
from storage.sources.columns.kinds import level_key
from storage.sources.partitions import A_DATE


class Delta(DeltaTable):
    """A Delta table in a folder."""

    def __init__(self, folder):
        super().__init__(folder / "orders")


class Iceberg(IcebergTable):
    """An Iceberg table in a folder."""

    def __init__(self, folder):
        super().__init__(folder / "shop/orders", f"file://{folder}")


@pytest.fixture(params=[Delta, Iceberg])
def lake(request, tmp_path):
    """A table with six rows of two days."""
    found = request.param(tmp_path)
    found.append(rows_of(0))
    found.append(rows_of(10, day=21))
    return found


def test_all_rows_are_read_and_partitions_are_columns(lake):
    with open_source(lake.root) as source:
        assert dict(zip(source.schema.columns, source.schema.kinds, strict=True)) == {
            "x": NUMBER,
            "region": CATEGORY,
        }
        assert source.unread == {"dt": A_DATE}
        assert source.facts["format"] == type(lake).__name__
        rows = np.concatenate([chunk.rows for chunk in source.chunks(max_rows=9)])
    found = {row[0]: row[1] for row in rows.tolist()}
    assert [*sorted(found)] == [0, 1, 2, 10, 11, 12]
    assert found[1] == level_key("us/1")
    assert np.isnan(found[2])


def test_rows_that_were_deleted_or_replaced_are_not_read(lake):
    before = open_source(lake.root).fingerprint()
    lake.delete("x = 10")
    lake.append(rows_of(20, 1))

    assert numbers(lake.root) == [0, 1, 2, 11, 12, 20]
    assert open_source(lake.root).fingerprint() != before


def test_what_is_appended_after_opening_is_not_read(lake):
    with open_source(lake.root) as source:
        lake.append(rows_of(30))
        assert sum(len(chunk.rows) for chunk in source.chunks(max_rows=9)) == 6


def test_the_folder_of_a_day_is_a_part_of_the_table(lake):
    lake.append(rows_of(20, 1, day=21))
    lake.delete("x = 11")
    inner = lake.root / "data" if isinstance(lake, Iceberg) else lake.root

    assert numbers(inner / "dt=2026-11-21") == [10, 12, 20]
    lake.delete("dt = '2026-11-21'")
    with pytest.raises(NoDataError, match=r"no file of the current version of .*orders"):
        find_files(inner / "dt=2026-11-21")


def test_a_column_that_is_added_later_is_a_gap_in_older_rows(lake):
    lake.append(rows_of(20, 1).append_column("new", pa.array([5.0])))

    with open_source(lake.root, columns=["new", "x"], missing="impute") as source:
        rows = np.concatenate([chunk.rows for chunk in source.chunks(max_rows=9)])
    assert sorted(rows[np.isnan(rows[:, 0]), 1]) == [0, 1, 2, 10, 11, 12]
    assert rows[~np.isnan(rows[:, 0])].tolist() == [[5, 20]]


def test_a_lost_data_file_is_refused_by_name(lake):
    lost = find_files(lake.root)[2]
    lost.unlink()

    with pytest.raises(SourceError, match=rf"{lost.name}: not found, but version \d+ of the table"):
        open_source(lake.root)


def test_a_damaged_log_is_refused(lake):
    for file in [*lake.root.glob("_delta_log/*.json"), *lake.root.glob("metadata/*.json")]:
        file.write_text("{")

    with pytest.raises(SourceError, match="orders: its log cannot be read"):
        open_source(lake.root)


@pytest.mark.parametrize(("kind", "library"), [(Delta, "deltalake"), (Iceberg, "pyiceberg")])
def test_without_the_extra_an_error_names_it(tmp_path, monkeypatch, kind, library):
    lake = kind(tmp_path)
    lake.append(rows_of(0))
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.setitem(sys.modules, f"{library}.table", None)

    with pytest.raises(SourceError, match=rf"table; reading .* needs the extra '{library}'"):
        open_source(lake.root)


def test_a_renamed_iceberg_column_is_refused(tmp_path):
    lake = Iceberg(tmp_path)
    lake.append(rows_of(0))
    with lake.table.update_schema() as schema:
        schema.rename_column("x", "y")

    with pytest.raises(SourceError, match="its column x is another one of the table now"):
        open_source(lake.root)


def test_delta_tables_that_need_more_are_refused(tmp_path):
    lake = Delta(tmp_path)
    lake.append(rows_of(0))
    [log] = lake.root.glob("_delta_log/*.json")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    protocol = next(line["protocol"] for line in lines if "protocol" in line)
    protocol |= {"minReaderVersion": 3, "minWriterVersion": 7}
    protocol |= {"readerFeatures": ["deletionVectors"], "writerFeatures": ["deletionVectors"]}
    log.write_text("\n".join(map(json.dumps, lines)))

    with pytest.raises(SourceError, match=r"its log cannot be read .*deletionVectors"):
        open_source(lake.root)


def test_a_table_that_was_partitioned_later_has_one_kind_of_files(tmp_path):
    lake = Iceberg(tmp_path)
    lake.append(rows_of(0))
    with lake.table.update_spec() as spec:
        spec.remove_field("region")
    lake.append(rows_of(10))

    with open_source(lake.root, columns=["x", "region"]) as source:
        rows = np.concatenate([chunk.rows for chunk in source.chunks(max_rows=9)])
    assert sorted(rows[rows[:, 1] == level_key("us/1"), 0]) == [1, 11]


def test_two_metadata_files_of_one_version_are_refused(tmp_path):
    lake = Iceberg(tmp_path)
    lake.append(rows_of(0))
    newest = max(lake.root.glob("metadata/*.json"))
    (newest.parent / f"{newest.name[:5]}-other.metadata.json").write_bytes(newest.read_bytes())

    with pytest.raises(SourceError, match=r"several metadata files of version \d+: "):
        open_source(lake.root)


def test_plain_files_beside_a_table_are_not_read(lake):
    folder = (lake.root / "data") if isinstance(lake, Iceberg) else lake.root
    pq.write_table(rows_of(99), folder / "stray.parquet")

    assert numbers(lake.root) == [0, 1, 2, 10, 11, 12]
