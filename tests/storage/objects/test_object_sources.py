"""Rows of a bucket: the same as from local files, or a refusal that says what to do."""

from __future__ import annotations

import gzip
import pickle
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from PIL import Image
from tables import write_table

from storage.errors import NoDataError, ReadError, SourceError
from storage.objects import systems
from storage.objects.paths import located
from storage.sources import find_files, open_source

X = np.random.default_rng(0).normal(size=(500, 4))
TABLE = pa.table({f"c{index}": column for index, column in enumerate(X.T)})


def write(path: Path) -> Path:
    """Write the rows in the format that the name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = path.name.partition(".")[2]
    if kind == "parquet":
        pq.write_table(TABLE, path, row_group_size=100)
    elif kind.startswith("csv"):
        pa_csv.write_csv(TABLE, path.with_suffix(".plain"))
        text = path.with_suffix(".plain").read_bytes()
        path.write_bytes(gzip.compress(text) if kind.endswith("gz") else text)
    elif kind in ("arrow", "arrows", "orc", "jsonl", "jsonl.zst"):
        write_table(path, TABLE, rows_in_part=100)
    elif kind == "h5":
        with h5py.File(path, "w") as file:
            file["rows"] = X
    else:
        (np.save if kind == "npy" else np.savez_compressed)(path, X)
    return path


def rows_of(path: Path | str, start=0, stop=None) -> np.ndarray:
    with open_source(path) as source:
        return np.concatenate([each.rows for each in source.chunks(start, stop, max_rows=64)])


ARRAYS = ["a.npy", "a.npz", "a.h5"]
TABLES = [
    "a.parquet",
    "a.csv",
    "a.csv.gz",
    "a.arrow",
    "a.arrows",
    "a.orc",
    "a.jsonl",
    "a.jsonl.zst",
]


@pytest.mark.parametrize("name", [*TABLES, *ARRAYS])
def test_an_object_gives_the_rows_of_the_file(bucket, tmp_path, name):
    uri = bucket.put(f"formats/{name}", write(tmp_path / name))

    np.testing.assert_array_equal(rows_of(uri), rows_of(tmp_path / name))
    np.testing.assert_array_equal(rows_of(uri, 130, 270), rows_of(tmp_path / name, 130, 270))


def test_folders_of_a_prefix_are_columns(bucket, tmp_path):
    for name in ("region=eu", "region=us"):
        write(tmp_path / f"lake/{name}/a.parquet")

    with open_source(bucket.upload(tmp_path / "lake", "lake")) as source:
        assert source.schema.columns == ("c0", "c1", "c2", "c3", "region")
        assert next(source.chunks(max_rows=500)).file == "region=eu/a.parquet"


def test_images_of_a_prefix_are_rows(bucket, tmp_path):
    image = np.arange(12, dtype=np.uint8).reshape(3, 4)
    (tmp_path / "images").mkdir()
    Image.fromarray(image).save(tmp_path / "images/a.png")
    uri = bucket.upload(tmp_path / "images", "images")

    np.testing.assert_array_equal(rows_of(uri), [image])


def test_large_row_groups_are_read_column_by_column(bucket, tmp_path, monkeypatch):
    monkeypatch.setattr("storage.sources.typed.parquet_files.FETCHED_BYTES", 1_000)
    uri = bucket.put("large/a.parquet", write(tmp_path / "a.parquet"))

    np.testing.assert_array_equal(rows_of(uri), X)


@pytest.mark.parametrize("pattern", ["", "/day=*", "/*/a.parquet", "/**/*.parquet", "/day=[12]/*"])
def test_prefixes_and_globs_name_objects_as_they_name_files(bucket, tmp_path, pattern):
    for name in ("day=1/a.parquet", "day=2/a.parquet", "_tmp/a.parquet", "day=2/.b.parquet"):
        write(tmp_path / "table" / name)
    (tmp_path / "table/day=1/_SUCCESS").touch()
    uri = bucket.upload(tmp_path / "table", "table")

    found = [file.relative_to(located(uri)) for file in find_files(located(uri + pattern))]

    assert [str(each) for each in found] == ["day=1/a.parquet", "day=2/a.parquet"]


def test_a_uri_that_lost_a_slash_and_one_of_a_local_file_are_understood(bucket, tmp_path):
    file = write(tmp_path / "a.npy")
    bucket.put("slash/a.npy", file)

    np.testing.assert_array_equal(rows_of(Path("s3://rows/slash/a.npy")), X)
    np.testing.assert_array_equal(rows_of(f"file://{file}"), X)


@pytest.mark.parametrize("uri", ["s3://rows/none/", "s3://rows/none/*.csv", "s3://rows/a.csv"])
def test_nothing_below_a_prefix_is_no_data(bucket, uri):
    with pytest.raises(NoDataError, match=r"no files found"):
        open_source(uri)


@pytest.mark.parametrize("uri", ["s3://other/none/", "s3://other/*.csv", "s3://other/a.csv"])
def test_a_missing_bucket_is_not_a_lack_of_data(bucket, uri):
    with pytest.raises(ReadError, match="check the name of the bucket"):
        open_source(uri)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("ftp://host/a.csv", r"ftp://host/…: expected a path, or a URI .* got ftp://; copy"),
        ("s3://", "expected the name of a bucket"),
        ("s3://key:hidden@rows/a.csv", "s3://…@rows: a URI must not hold credentials"),
    ],
)
def test_other_uris_are_refused_without_their_secrets(uri, message):
    with pytest.raises(SourceError, match=message) as refused:
        open_source(uri)
    assert "hidden" not in str(refused.value)


def test_a_replaced_object_has_another_fingerprint(bucket, tmp_path):
    uri = bucket.put("new/a.npy", write(tmp_path / "a.npy"))
    source = open_source(uri)
    before = source.fingerprint()
    assert open_source(uri).fingerprint() == before

    np.save(tmp_path / "a.npy", X + 1)
    bucket.put("new/a.npy", tmp_path / "a.npy")

    assert source.fingerprint() != before


def test_a_server_that_is_away_is_a_read_to_retry(bucket, monkeypatch):
    monkeypatch.setattr(systems, "MOST_ATTEMPTS", 1)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    systems.file_system.cache_clear()

    with pytest.raises(ReadError, match=r"s3://rows/a: cannot be read .*check the network"):
        open_source("s3://rows/a")
    systems.file_system.cache_clear()


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("AWS Error ACCESS_DENIED during HeadObject operation: No response body.", "permissions"),
        ("AWS Error UNKNOWN (HTTP status 400) ... ExpiredToken", "credentials have expired; renew"),
        ("AWS Error NO_SUCH_BUCKET during ListObjectsV2 operation", "name of the bucket"),
        ("AWS Error UNKNOWN (HTTP status 400) during HeadObject: No response body.", "expired"),
        ("AWS Error UNKNOWN (HTTP status 301) during ListObjectsV2 operation", "set AWS_REGION"),
        ("AWS Error SLOW_DOWN during GetObject operation", "rerun later"),
        ("AWS Error NETWORK_CONNECTION during GetObject: curlCode: 7", "check the network"),
    ],
)
def test_what_a_service_refused_is_quoted_with_what_to_do(said, advice):
    assert advice in systems.service_error(OSError(said))


def test_paths_of_objects_behave_as_paths():
    path = located("s3://rows/a/b.csv")

    assert (str(path), path.name, path.suffix) == ("s3://rows/a/b.csv", "b.csv", ".csv")
    assert path.parent / "c" == located("s3://rows/a/c")
    assert located(path, below=Path("/job")) == path
    assert located("a.csv", below=Path("/job")) == Path("/job/a.csv")
    assert pickle.loads(pickle.dumps(path)) == path
