"""Zarr arrays of both versions: values, fields, gaps, and damage."""

from __future__ import annotations

import base64
import struct
import sys

import numpy as np
import pytest

from storage.errors import NoDataError, SourceError
from storage.sources import open_source

zarr = pytest.importorskip("zarr")
ROWS = np.random.default_rng(0).normal(size=(25, 4))


def save(path, rows, version=3, name=None, attributes=None, **options):
    options = {"chunks": (10, *rows.shape[1:]), **options}
    array = zarr.create_array(
        str(path), name=name, data=np.asarray(rows), zarr_format=version, **options
    )
    array.attrs.update(attributes or {})
    return path


def read(path, start=0, stop=None, max_rows=1_000, **how):
    with open_source(path, **how) as source:
        chunks = [chunk.rows for chunk in source.chunks(start, stop, max_rows=max_rows)]
        return np.concatenate(chunks)


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "uint8", "int16", ">i2", "uint32", "int64", "float32", "float64"]
)
def test_values_and_types_come_back(tmp_path, version, dtype):
    rows = (ROWS * 50).astype(dtype)
    found = read(save(tmp_path / "a.zarr", rows, version))

    assert found.dtype == ("uint8" if dtype == "bool" else np.dtype(dtype).newbyteorder("="))
    np.testing.assert_array_equal(found, rows)


@pytest.mark.parametrize("version", [2, 3])
def test_any_range_of_rows_in_chunks_of_any_size(tmp_path, version):
    path = save(tmp_path / "a.zarr", ROWS, version)
    for start, stop, max_rows in [(0, 25, 7), (9, 11, 1), (10, 20, 50), (24, 25, 4)]:
        np.testing.assert_array_equal(read(path, start, stop, max_rows), ROWS[start:stop])
    assert [*open_source(path).borders] == [0, 10, 20]


def test_shards_and_images_and_single_values(tmp_path):
    images = np.arange(10 * 4 * 4, dtype=np.uint8).reshape(10, 4, 4)
    save(tmp_path / "images", images, chunks=(2, 4, 4), shards=(4, 4, 4))
    save(tmp_path / "flat", np.arange(5.0), chunks=(2,))

    np.testing.assert_array_equal(read(tmp_path / "images"), images)
    assert [*open_source(tmp_path / "images").facts] == ["format"]
    assert read(tmp_path / "flat").tolist() == [[0], [1], [2], [3], [4]]


@pytest.mark.parametrize("version", [2, 3])
def test_the_field_of_a_group_is_chosen_by_its_path(tmp_path, version):
    save(tmp_path / "g", ROWS, version, name="deep/a")
    save(tmp_path / "g", ROWS + 1, version, name="b")

    with pytest.raises(SourceError, match=r"several fields: b, deep/a; select one with data.field"):
        open_source(tmp_path / "g")
    np.testing.assert_array_equal(read(tmp_path / "g", field="deep/a"), ROWS)
    np.testing.assert_array_equal(read(tmp_path / "g/b"), ROWS + 1)


def test_netcdf_attributes_are_applied_as_xarray_writes_them(tmp_path):
    packed = np.array([[10, -999], [30, 40]], np.int16)
    scales = {"scale_factor": 0.5, "add_offset": 1.0, "_ARRAY_DIMENSIONS": ["t", "x"]}
    save(tmp_path / "2", packed, 2, attributes=scales, fill_value=-999)
    save(tmp_path / "3", packed, 3, attributes={**scales, "_FillValue": -999})
    nan = base64.b64encode(struct.pack("<d", 7.0)).decode()
    save(tmp_path / "f", np.array([[7.0, 1.0]]), 3, attributes={"_FillValue": nan})

    for name in "23":
        rows = read(tmp_path / name, missing="impute")
        np.testing.assert_array_equal(rows, [[6, np.nan], [16, 21]])
    np.testing.assert_array_equal(read(tmp_path / "f", missing="impute"), [[np.nan, 1]])


def test_chunks_without_a_file_are_counted(tmp_path):
    path = save(tmp_path / "a.zarr", ROWS)
    (path / "c/1/0").unlink()

    with open_source(path) as source:
        assert source.facts["chunks without a file, read as 0.0"] == "1"
    assert not read(path)[10:20].any()


def test_damage_is_refused_by_folder_and_rows(tmp_path):
    path = save(tmp_path / "a.zarr", ROWS)
    (path / "c/1/0").write_bytes(b"no such chunk")
    with pytest.raises(SourceError, match=r"a.zarr, rows 10 to 20: cannot be read .*restore"):
        read(path, max_rows=10)
    (path / "zarr.json").write_text("{")
    with pytest.raises(SourceError, match=r"a.zarr: cannot be read \(JSONDecodeError"):
        open_source(path)


def test_a_changed_chunk_changes_the_fingerprint(tmp_path):
    path = save(tmp_path / "a.zarr", ROWS)
    before = open_source(path).fingerprint()
    zarr.open_array(str(path))[3] = 5.0

    assert open_source(path).fingerprint() != before


def test_text_and_empty_groups_are_refused(tmp_path):
    save(tmp_path / "t", np.array([["a"]], "U1"), 2, chunks=(1, 1))
    zarr.create_group(str(tmp_path / "g"))

    with pytest.raises(SourceError, match="expected numbers, got dtype <U1"):
        open_source(tmp_path / "t")
    with pytest.raises(SourceError, match="g: contains no array"):
        open_source(tmp_path / "g")
    with pytest.raises(NoDataError, match=r"no files found; .*a Zarr folder"):
        open_source(tmp_path / "none.zarr")


def test_without_the_extra_an_error_names_it(tmp_path, monkeypatch):
    path = save(tmp_path / "a.zarr", ROWS)
    monkeypatch.setitem(sys.modules, "zarr", None)

    with pytest.raises(SourceError, match=r"Zarr needs the extra 'zarr'; run pip install"):
        open_source(path)


@pytest.mark.parametrize("version", [2, 3])
def test_what_labels_the_axes_of_another_array_is_no_field_of_its_own(tmp_path, version):
    def add(name, rows, axes):
        known = {"dimension_names": axes} if version == 3 else {}
        attributes = {"_ARRAY_DIMENSIONS": axes} if version == 2 else {}
        attributes |= {"coordinates": "lat"} if name == "heat" else {}
        save(tmp_path / "a", rows, version, name, attributes, **known)

    zarr.create_group(str(tmp_path / "a"), zarr_format=version)
    add("heat", ROWS, ["time", "x"])
    add("time", np.arange(1.0, 26), ["time"])
    add("lat", np.arange(4.0), ["x"])

    np.testing.assert_array_equal(read(tmp_path / "a"), ROWS)
    np.testing.assert_array_equal(read(tmp_path / "a", field="time")[:, 0], np.arange(1.0, 26))
