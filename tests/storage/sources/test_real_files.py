"""Odd files that ship with pyarrow, h5py, and SciPy: read exactly, or refused with the reason."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from storage.errors import SourceError
from storage.sources import open_source


def shipped(name: str) -> Path:
    package, _, inner = name.partition("/")
    spec = find_spec(package)
    path = Path(spec.origin if spec and spec.origin else "").parent / inner
    if not path.exists():
        pytest.skip(f"{package} came without its test files")
    return path


def read(path, **how):
    with open_source(path, missing="impute", **how) as source:
        return np.concatenate([chunk.rows for chunk in source.chunks(max_rows=1_000)])


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("decimal", ["_col0"]),
        ("TestOrcFile.testDate1900", ["time", "date"]),
        ("TestOrcFile.test1", ["boolean1", "byte1", "short1", "int1", "float1", "string1"]),
    ],
)
def test_an_orc_file_of_java_holds_what_its_json_twin_says(tmp_path, name, columns):
    folder = "pyarrow/tests/data/orc"
    twin = tmp_path / "twin.jsonl.gz"
    shutil.copy(shipped(f"{folder}/{name}.jsn.gz"), twin)
    kinds = {"date": ("weekday",), "time": ("hour", "weekday")}
    how = {"columns": columns, "kinds": {name: kinds[name] for name in columns if name in kinds}}

    rows = read(shipped(f"{folder}/{name}.orc"), **how)
    np.testing.assert_allclose(rows, read(twin, **how), rtol=0, atol=1e-9)


def test_an_orc_file_without_rows_has_columns(tmp_path):
    with open_source(shipped("pyarrow/tests/data/orc/TestOrcFile.emptyFile.orc")) as source:
        assert source.n_rows == 0
        assert "string1" in source.schema.columns
        assert source.unread["middle"].startswith("struct<list: list<")


@pytest.mark.parametrize(
    ("name", "columns", "last"),
    [
        ("feather/v0.17.0.version.2-compression.lz4.feather", ("a",), [4.0]),
        ("parquet/v0.7.1.parquet", ("carat", "price", "z"), [0.23, 338.0, 2.39]),
        ("parquet/v0.7.1.column-metadata-handling.parquet", ("a", "b"), [3.0, 0.3]),
        ("parquet/v0.7.1.some-named-index.parquet", ("carat", "depth"), [0.24, 62.8]),
    ],
)
def test_a_file_of_an_old_writer_is_read(name, columns, last):
    assert read(shipped(f"pyarrow/tests/data/{name}"), columns=columns)[-1].tolist() == last


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("h5py/tests/data_files/vlen_string_dset.h5", r"\[DS1\]: expected numbers, got dtype obj"),
        ("h5py/tests/data_files/vlen_string_s390x.h5", "contains several fields: DSBEfloat, DSBE"),
        ("h5py/tests/data_files/compound-dtype-complex.h5", "contains several fields: <c16"),
        ("scipy/io/tests/data/example_1.nc", "netCDF 3; convert it to netCDF 4"),
        ("scipy/io/tests/data/example_3_maskedvals.nc", "netCDF 3; convert it to netCDF 4"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_its_name_and_the_reason(name, reason):
    path = shipped(name)
    with pytest.raises(SourceError, match=f"{path.name}.*{reason}"):
        open_source(path)
