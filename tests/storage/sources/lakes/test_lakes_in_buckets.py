"""Delta and Iceberg tables and Zarr folders in a bucket: read and refused as local ones."""

from __future__ import annotations

import json
import os

import numpy as np
import pyarrow as pa
import pytest
from lakes import DeltaTable, IcebergTable, numbers, rows_of

from storage.errors import NoDataError, ReadError, SourceError
from storage.objects import systems
from storage.objects.lake_access import delta_options, iceberg_properties
from storage.objects.paths import located
from storage.sources import find_files, open_source
from storage.sources.columns.kinds import level_key
from storage.sources.partitions import A_DATE


class Delta(DeltaTable):
    """A Delta table below a prefix."""

    def __init__(self, prefix):
        root = self.data = located(f"s3://rows/{prefix}/orders")
        super().__init__(root, delta_options(root))


class Iceberg(IcebergTable):
    """An Iceberg table below a prefix."""

    def __init__(self, prefix):
        warehouse = f"s3://rows/{prefix}"
        root = located(f"{warehouse}/shop/orders")
        super().__init__(root, warehouse, **iceberg_properties(located(warehouse)))
        self.data = root / "data"


@pytest.fixture(params=[Delta, Iceberg])
def lake(request, bucket, tmp_path):
    """A table with six rows of two days."""
    found = request.param(f"{tmp_path.parent.name}-{tmp_path.name}")
    found.append(rows_of(0))
    found.append(rows_of(10, day=21))
    return found


def objects_of(lake, ending):
    return [file for file in lake.root.objects() if file.name.endswith(ending)]


def key(file):
    return file.key.removeprefix("rows/")


def test_all_rows_are_read_and_partitions_are_columns(lake):
    with open_source(lake.root) as source:
        assert source.schema.columns == ("x", "region")
        assert source.unread == {"dt": A_DATE}
        assert source.facts["format"] == type(lake).__name__
        rows = np.concatenate([chunk.rows for chunk in source.chunks(max_rows=9)])
    found = {row[0]: row[1] for row in rows.tolist()}
    assert [*sorted(found)] == [0, 1, 2, 10, 11, 12]
    assert found[1] == level_key("us/1")
    assert np.isnan(found[2])


def test_rows_that_were_deleted_or_replaced_are_not_read(lake):
    before = open_source(lake.root).fingerprint()
    assert open_source(lake.root).fingerprint() == before
    lake.delete("x = 10")
    lake.append(rows_of(20, 1))

    assert numbers(lake.root) == [0, 1, 2, 11, 12, 20]
    assert open_source(lake.root).fingerprint() != before


def test_the_prefix_and_the_glob_of_a_day_are_a_part_of_the_table(lake):
    lake.delete("x = 11")

    assert numbers(lake.data / "dt=2026-11-21") == [10, 12]
    assert numbers(lake.data / "dt=2026-11-2*") == [0, 1, 2, 10, 12]
    lake.delete("dt = '2026-11-21'")
    with pytest.raises(NoDataError, match=r"no file of the current version of s3://rows/.*orders"):
        find_files(lake.data / "dt=2026-11-21")


def test_a_column_that_is_added_later_is_a_gap_in_older_rows(lake):
    lake.append(rows_of(20, 1).append_column("new", pa.array([5.0])))

    with open_source(lake.root, columns=["new", "x"], missing="impute") as source:
        rows = np.concatenate([chunk.rows for chunk in source.chunks(max_rows=9)])
    assert sorted(rows[np.isnan(rows[:, 0]), 1]) == [0, 1, 2, 10, 11, 12]


def test_a_lost_data_file_is_refused_by_name(lake, bucket):
    lost = find_files(lake.root)[2]
    bucket.system.delete_file(lost.key)

    with pytest.raises(SourceError, match=rf"{lost.name}: not found, but version \d+ of the table"):
        open_source(lake.root)


def test_a_damaged_log_is_refused(lake, bucket):
    for file in objects_of(lake, ".json"):
        bucket.put(key(file), b"{")

    with pytest.raises(SourceError, match="orders: its log cannot be read"):
        open_source(lake.root)


@pytest.mark.parametrize("fault", [(403, "AccessDenied"), (503, "SlowDown")], ids=str)
def test_a_service_that_refuses_is_a_failed_read(lake, bucket, monkeypatch, fault):
    monkeypatch.setattr(systems, "MOST_ATTEMPTS", 1)
    systems.file_system.cache_clear()
    asked = "_delta_log/" if isinstance(lake, Delta) else ".metadata.json"

    def refused(request):
        return fault if request.startswith("GET") and asked in request else None

    with (
        bucket.failing(refused),
        pytest.raises(ReadError, match=r"cannot be read .*rerun"),
    ):
        open_source(lake.root)
    systems.file_system.cache_clear()


def change_log(lake, bucket, change):
    """Rewrite the lines of the first version of a Delta log."""
    log = objects_of(lake, "00000.json")[0]
    lines = [json.loads(line) for line in log.read_bytes().splitlines()]
    for line in lines:
        change(line)
    bucket.put(key(log), "\n".join(map(json.dumps, lines)).encode())


@pytest.mark.parametrize("lake", [Delta], indirect=True)
@pytest.mark.parametrize("feature", ["deletionVectors", "columnMapping"])
def test_delta_tables_that_need_more_are_refused(lake, bucket, feature):
    def demand(line):
        if "protocol" in line:
            line["protocol"] |= {"minReaderVersion": 3, "minWriterVersion": 7}
            line["protocol"] |= {"readerFeatures": [feature], "writerFeatures": [feature]}

    change_log(lake, bucket, demand)

    with pytest.raises(SourceError, match=rf"orders: its log cannot be read .*{feature}"):
        open_source(lake.root)


@pytest.mark.parametrize("lake", [Iceberg], indirect=True)
def test_a_renamed_iceberg_column_is_refused(lake):
    with lake.table.update_schema() as schema:
        schema.rename_column("x", "y")

    with pytest.raises(SourceError, match="its column x is another one of the table now"):
        open_source(lake.root)


@pytest.mark.parametrize("version", [2, 3])
def test_a_zarr_array_in_a_bucket_gives_the_rows_of_the_folder(bucket, tmp_path, version):
    zarr = pytest.importorskip("zarr")
    rows = np.random.default_rng(0).normal(size=(25, 4))
    for name in ("a", "b"):
        zarr.create_array(
            str(tmp_path / "g"), name=name, data=rows, chunks=(10, 4), zarr_format=version
        )
    uri = bucket.upload(tmp_path / "g", f"zarr-{version}")

    with open_source(uri, field="a") as source, open_source(tmp_path / "g", field="a") as local:
        found = [chunk.rows for chunk in source.chunks(9, 21, max_rows=7)]
        assert source.facts == local.facts
        assert {*source.borders} == {*local.borders}
    np.testing.assert_array_equal(np.concatenate(found), rows[9:21])
    assert open_source(f"{uri}/b").n_rows == 25
    with pytest.raises(SourceError, match=r"several fields: a, b; select one with data.field"):
        open_source(uri)


def test_a_zarr_array_that_changes_or_is_refused_is_noticed(bucket, tmp_path, monkeypatch):
    zarr = pytest.importorskip("zarr")
    zarr.create_array(str(tmp_path / "a"), data=np.arange(40.0).reshape(20, 2), chunks=(10, 2))
    uri = bucket.upload(tmp_path / "a", "changing")
    with open_source(uri) as source:
        before = source.fingerprint()
        bucket.put("changing/c/0/0", os.urandom(200))
        assert open_source(uri).fingerprint() != before
        monkeypatch.setattr(systems, "MOST_ATTEMPTS", 1)
        systems.file_system.cache_clear()
        with (
            bucket.failing(lambda _: (403, "AccessDenied")),
            pytest.raises(ReadError, match="check the credentials"),
        ):
            [*source.chunks(max_rows=5)]
    systems.file_system.cache_clear()
