"""Decoded rows as files: shape, types and chunks are those of the source."""

from __future__ import annotations

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage.latents import write_decoded
from storage.sources import Schema, open_source

FLAGS = Schema((4,), "uint8", types=("bool",))


@pytest.mark.parametrize(("width", "rows"), [(1 << 20, 1), (1 << 17, 4), (8, 64)])
def test_chunks_of_an_hdf5_file_are_bounded_by_their_bytes(tmp_path, width, rows):
    path = tmp_path / "back.h5"
    pieces = iter([np.ones((64, width // 8))])
    write_decoded(path, pieces, Schema((width // 8,), "float64"), n_rows=64)

    with h5py.File(path) as file:
        assert file["rows"].chunks[0] * width <= max(4 << 20, width)
        assert file["rows"].chunks[0] >= rows
        assert (file["rows"][:] == 1).all()


@pytest.mark.parametrize("name", ["back.npy", "back.h5"])
def test_a_one_dimensional_array_comes_back_as_one(tmp_path, name):
    np.save(tmp_path / "flat.npy", np.arange(5.0))
    with open_source(tmp_path / "flat.npy") as source:
        schema = source.schema
    write_decoded(tmp_path / name, iter([np.arange(5.0)[:, None]]), schema, n_rows=5)

    if name.endswith(".npy"):
        assert np.load(tmp_path / name).shape == (5,)
    else:
        with h5py.File(tmp_path / name) as file:
            assert file["rows"].shape == (5,)


def test_booleans_come_back_as_booleans(tmp_path):
    rows = np.eye(4, dtype=np.uint8)
    for name in ("back.npy", "back.h5", "back.parquet"):
        write_decoded(tmp_path / name, iter([rows]), FLAGS, n_rows=4)

    assert np.load(tmp_path / "back.npy").dtype == bool
    with h5py.File(tmp_path / "back.h5") as file:
        assert file["rows"].dtype == bool
    assert set(pq.read_table(tmp_path / "back.parquet").schema.types) == {pa.bool_()}
