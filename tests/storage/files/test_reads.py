"""A refused read is told apart from a failed write and from damaged content."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage.errors import DamagedError, ReadError, SourceError
from storage.files.atomic import write_beside
from storage.files.reads import raise_refused
from storage.sources import open_source

ROWS = np.arange(4000.0).reshape(1000, 4)
HOLD = """
import h5py
with h5py.File({path!r}, "a"):
    print("held", flush=True)
    input()
"""


def write_source(path):
    if path.suffix == ".npy":
        np.save(path, ROWS)
    elif path.suffix == ".h5":
        with h5py.File(path, "w") as file:
            file["rows"] = ROWS
    elif path.suffix == ".csv":
        np.savetxt(path, ROWS, delimiter=",", header="a,b,c,d", comments="")
    else:
        pq.write_table(pa.table({"a": ROWS[:, 0]}), path)


@pytest.mark.parametrize("name", ["a.npy", "a.h5"])
def test_a_refused_read_while_writing_is_reported_as_a_read(tmp_path, name):
    path = tmp_path / name
    write_source(path)
    source = open_source(path)
    path.unlink()
    path.mkdir()  # every read of a folder is refused

    with (
        pytest.raises(ReadError, match=rf"{name}: cannot be read \(Is a directory\); check its"),
        write_beside(tmp_path / "out") as beside,
    ):
        beside.write_text(str(list(source.chunks(max_rows=10))))


@pytest.mark.parametrize(
    ("name", "reader"),
    [("a.csv", "pyarrow.csv.open_csv"), ("a.parquet", "pyarrow.parquet.ParquetFile")],
)
def test_a_table_that_the_disk_refuses_is_not_called_damaged(tmp_path, monkeypatch, name, reader):
    write_source(tmp_path / name)
    source = open_source(tmp_path / name)

    def refuse(*_, **__):
        raise OSError(errno.EIO, "Error reading bytes from file")

    monkeypatch.setattr(reader, refuse)

    with pytest.raises(ReadError, match=rf"{name}: cannot be read \(Input/output error\)"):
        list(source.chunks(max_rows=10))


def test_a_source_that_is_gone_is_a_refused_read(tmp_path):
    write_source(tmp_path / "a.npy")
    source = open_source(tmp_path / "a.npy")
    (tmp_path / "a.npy").unlink()

    with pytest.raises(ReadError, match=r"a\.npy: cannot be read .* restore it"):
        source.fingerprint()


def test_an_error_of_the_consumer_is_not_a_refused_read(tmp_path):
    write_source(tmp_path / "a.npy")

    def consume():
        for _ in open_source(tmp_path / "a.npy").chunks(max_rows=10):
            raise OSError(errno.ENOSPC, "full")

    with pytest.raises(OSError, match="full"):
        consume()


def test_a_file_that_is_locked_by_a_writer_is_not_called_truncated(tmp_path):
    path = tmp_path / "a.h5"
    write_source(path)
    code = HOLD.format(path=str(path))
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(ReadError, match=r"a\.h5: .* another program is writing to it"):
            open_source(path)
        holder.communicate("\n")


@pytest.mark.parametrize(("name", "words"), [("a.h5", "truncated"), ("a.parquet", "Parquet")])
def test_damaged_content_is_not_a_refused_read(tmp_path, name, words):
    (tmp_path / name).write_bytes(b"nonsense" * 9)

    with pytest.raises(SourceError, match=words) as raised:
        open_source(tmp_path / name)
    assert not isinstance(raised.value, ReadError)


def test_a_stored_file_that_is_missing_is_damage_and_one_that_the_disk_refuses_is_not(tmp_path):
    raise_refused(tmp_path, FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)))
    refused = KeyError("Unable to open object (file read failed: errno = 5, error message = '...'")

    with pytest.raises(ReadError, match=r"cannot be read \(Input/output error\)") as raised:
        raise_refused(tmp_path, refused)
    assert not isinstance(raised.value, DamagedError)
