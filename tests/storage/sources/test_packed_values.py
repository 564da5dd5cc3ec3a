"""netCDF attributes: gaps become NaN, packed values are unpacked, or the file is refused."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from storage.errors import SourceError
from storage.sources import open_source

NAN = np.nan


def write(path, stored, **attributes):
    with h5py.File(path, "w") as file:
        file["rows"] = stored
        file["rows"].attrs.update(attributes)


def read(path):
    with open_source(path, missing="impute") as source:
        return np.concatenate([chunk.rows for chunk in source.chunks(max_rows=2)]), source


@pytest.mark.parametrize(
    ("stored", "attributes", "values"),
    [
        (np.float32([[1, -9999]]), {"_FillValue": np.float32(-9999)}, np.float32([[1, NAN]])),
        (np.float32([[1, -999.9]]), {"missing_value": -999.9}, np.float32([[1, NAN]])),
        (np.float64([[1, -1], [-2, 3]]), {"missing_value": [-1.0, -2.0]}, [[1, NAN], [NAN, 3]]),
        (np.int16([[7, -32768]]), {"_FillValue": np.int16([-32768])}, np.float32([[7, NAN]])),
        (np.int32([[7, -1]]), {"_FillValue": np.int32(-1)}, np.float64([[7, NAN]])),
        (
            np.array([[10, -1]], ">i2"),
            {"scale_factor": 0.5, "add_offset": 100.0, "_FillValue": np.int16(-1)},
            np.float64([[105, NAN]]),
        ),
        (
            np.int8([[-1, -2, 3]]),
            {"_Unsigned": "true", "_FillValue": np.int8(-1)},
            np.float32([[NAN, 254, 3]]),
        ),
        (np.int8([[-2, 3]]), {"_Unsigned": np.bytes_("true")}, np.uint8([[254, 3]])),
        (np.int8([[-2, 3]]), {"_Unsigned": "false"}, np.int8([[-2, 3]])),
        (np.int64([[2**60, 1]]), {"scale_factor": 1.0}, np.int64([[2**60, 1]])),
        (np.float16([[1, 2]]), {"_FillValue": np.float16(NAN)}, np.float16([[1, 2]])),
    ],
)
def test_netcdf_attributes_are_applied(tmp_path, stored, attributes, values):
    write(tmp_path / "a.nc4", stored, **attributes)

    back, source = read(tmp_path / "a.nc4")

    np.testing.assert_array_equal(back, values)
    assert back.dtype == np.asarray(values).dtype == source.schema.dtype
    assert set(source.facts["attributes applied"].split(", ")) == set(attributes)


def test_a_fill_value_is_an_error_unless_gaps_are_imputed(tmp_path):
    write(tmp_path / "a.nc", np.int16([[1, 2], [3, -1]]), _FillValue=np.int16(-1))

    with pytest.raises(SourceError, match=r"row 1, column 1: expected a number, got nan"):
        list(open_source(tmp_path / "a.nc").chunks(max_rows=9))


@pytest.mark.parametrize(
    ("stored", "attributes", "message"),
    [
        (np.int16([[1]]), {"_FillValue": "none"}, "its attribute _FillValue must be a number"),
        (np.int16([[1]]), {"scale_factor": [1.0, 2.0]}, "scale_factor must be one finite number"),
        (np.int16([[1]]), {"add_offset": NAN}, "add_offset must be one finite number"),
        (np.int8([[1]]), {"_Unsigned": "maybe"}, "_Unsigned must be 'true' or 'false'"),
        (
            np.int64([[1], [2**60]]),
            {"_FillValue": np.int64(-1)},
            r"row 1: an integer of 2\^53 or more in a dataset with _FillValue",
        ),
    ],
)
def test_attributes_that_cannot_be_applied_are_refused_by_name(
    tmp_path, stored, attributes, message
):
    write(tmp_path / "a.nc", stored, **attributes)

    with pytest.raises(SourceError, match=message):
        read(tmp_path / "a.nc")


def test_an_unpacked_value_beyond_floats_is_refused_by_name(tmp_path):
    write(tmp_path / "a.nc", np.float32([[1], [3e38]]), scale_factor=np.float32(10))

    with pytest.raises(SourceError, match="row 1, column 0: expected a number, got inf"):
        read(tmp_path / "a.nc")
