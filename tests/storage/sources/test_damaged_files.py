"""Files with flipped bits or a missing end: a value or a refusal that names the file."""

from __future__ import annotations

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from tables import write_table

from storage.errors import SourceError
from storage.sources import open_source

ROWS = np.random.default_rng(0).normal(size=(103, 4))
N_FILES = 200
HEADER = 400  # bytes at the start that are hit more often


def write_npy(path):
    np.save(path, ROWS)


def write_npz(path):
    np.savez_compressed(path, rows=ROWS)


def write_hdf5(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("deep/rows", data=ROWS, chunks=(10, 4), compression="gzip")


def write_parquet(path):
    table = pa.table({name: ROWS[:, index] for index, name in enumerate("abcd")})
    pq.write_table(table, path, row_group_size=30, write_page_checksum=True)


def write_other(path):
    table = pa.table({name: ROWS[:, index] for index, name in enumerate("abcd")})
    write_table(path, table.append_column("e", pa.array([f"t{i}" for i in range(103)])))


def write_csv(path):
    pa_csv.write_csv(pa.table({name: ROWS[:, index] for index, name in enumerate("abcd")}), path)


def write_idx(path):
    sizes = np.array(ROWS.shape, ">u4").tobytes()
    path.write_bytes(bytes([0, 0, 14, 2]) + sizes + ROWS.astype(">f8").tobytes())


FORMATS = {
    "rows.npy": write_npy,
    "rows.npz": write_npz,
    "rows.h5": write_hdf5,
    "rows.parquet": write_parquet,
    "rows.csv": write_csv,
    "rows.arrow": write_other,
    "rows.arrows": write_other,
    "rows.feather": write_other,
    "rows.orc": write_other,
    "rows.jsonl": write_other,
    "rows-ubyte": write_idx,
}
CHECKED = ("rows.npz",)  # a checksum covers all values


def damaged(content, random):
    """The content with its end cut off, or up to three bits flipped."""
    if random.random() < 0.25:
        return content[: random.integers(1, len(content))]
    harmed = bytearray(content)
    for _ in range(random.integers(1, 4)):
        most = len(content) if random.random() < 0.5 else min(HEADER, len(content))
        harmed[random.integers(most)] ^= 1 << random.integers(8)
    return bytes(harmed)


def outcome(path):
    """The rows of a file, or the refusal."""
    try:
        with open_source(path, missing="impute") as source:
            chunks = [chunk.rows for chunk in source.chunks(max_rows=50)]
            assert sum(map(len, chunks)) == source.n_rows
    except SourceError as error:
        return str(error)
    return np.concatenate(chunks) if chunks else None


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_a_damaged_file_gives_a_value_or_is_refused_by_name(tmp_path, name):
    FORMATS[name](tmp_path / name)
    content = (tmp_path / name).read_bytes()
    random = np.random.default_rng(7)
    path = tmp_path / f"damaged-{name}"
    for _ in range(N_FILES):
        path.write_bytes(damaged(content, random))
        found = outcome(path)
        if isinstance(found, str):
            assert path.name in found
        else:
            assert name not in CHECKED or found.tobytes() == ROWS.tobytes()
