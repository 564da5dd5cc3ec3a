"""NPY and NPZ files: damaged ones are refused by name, and those in Fortran order are read."""

from __future__ import annotations

import io
import struct
import zipfile

import numpy as np
import pytest
from numpy.lib import format as npy

from storage.errors import SourceError, WorkspaceError
from storage.sources import open_source

ROWS = np.arange(60.0).reshape(5, 4, 3)


def read(path, max_rows=2, **how):
    with open_source(path, **how) as source:
        return np.concatenate([chunk.rows for chunk in source.chunks(max_rows=max_rows)])


def npy_bytes(rows=ROWS):
    stream = io.BytesIO()
    np.save(stream, rows)
    return stream.getvalue()


def npy_of_shape(shape):
    stream = io.BytesIO()
    npy.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return stream.getvalue() + ROWS.tobytes()


def npz_bytes():
    stream = io.BytesIO()
    np.savez(stream, rows=ROWS)
    return stream.getvalue()


def changed(content, local, central, value):
    """A ZIP archive with one byte changed in both headers of its member."""
    content = bytearray(content)
    content[content.find(b"PK\3\4") + local] = value
    content[content.find(b"PK\1\2") + central] = value
    return bytes(content)


def flipped(content, at):
    content = bytearray(content)
    content[content.find(at)] ^= 1
    return bytes(content)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.npy",
            npy.magic(1, 0) + struct.pack("<H", 20) + b"{'descr': __import__}",
            "a.npy: not an NPY file, or damaged",
        ),
        ("a.npy", npy_bytes().replace(b"(5, 4", b"(5, 4(", 1), "a.npy: not an NPY file"),
        ("a.npy", npy_bytes()[:20], "a.npy: not an NPY file"),
        ("a.npy", flipped(npy_bytes(), b"\x01\x00"), "a.npy: not an NPY file"),
        ("a.npy", npy_of_shape((-1, 3)), r"a.npy: not an NPY file.*impossible shape \(-1, 3\)"),
        ("a.npy", npy_of_shape((4, 2**62, 4)), "a.npy: not an NPY file.*impossible shape"),
        ("a.npy", npy_bytes() + b"more", "a.npy: damaged, or followed by other content"),
        ("a-ubyte", bytes([0, 0, 8, 1, 0, 0, 0, 1, 5, 5]), "a-ubyte: damaged, or followed"),
        ("a-ubyte", bytes([0, 0, 8, 40]) + bytes(160), "the header gives 40 axes"),
        ("a.npz", flipped(npz_bytes(), struct.pack("<d", 7.0)), "a.npz.*Bad CRC-32"),
        ("a.npz", flipped(npz_bytes(), b"PK\3\4"), "a.npz.*Bad magic number"),
        ("a.npz", changed(npz_bytes(), 8, 10, 93), "a.npz.*compression method is not supported"),
        ("a.npz", changed(npz_bytes(), 6, 8, 1), "a.npz.*is encrypted"),
    ],
)
def test_a_damaged_array_file_is_refused_by_name(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)

    with pytest.raises(SourceError, match=message):
        read(tmp_path / name)


def test_an_archive_without_arrays_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("rows.csv", "a,b\n1,2\n")

    with pytest.raises(SourceError, match=r"a\.npz: contains no array"):
        open_source(tmp_path / "a.npz")


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
@pytest.mark.parametrize("rows", [ROWS, ROWS[:, :, 0], ROWS[:0]])
def test_an_array_in_fortran_order_has_the_same_rows(tmp_path, name, rows):
    (np.save if name == "a.npy" else np.savez)(tmp_path / name, np.asfortranarray(rows))

    with open_source(tmp_path / name) as source:
        for start, stop in ((0, len(rows)), (1, 4)):
            chunks = list(source.chunks(start, stop, max_rows=2))
            assert all(len(chunk.rows) <= 2 for chunk in chunks)
            back = [row for chunk in chunks for row in chunk.rows]
            np.testing.assert_array_equal(back, list(rows[start:stop]))


def test_a_damaged_array_in_fortran_order_is_refused(tmp_path):
    np.savez(tmp_path / "good.npz", rows=np.asfortranarray(np.arange(40_000.0).reshape(-1, 2)))
    content = (tmp_path / "good.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(flipped(content, struct.pack("<d", 39_999.0)))

    with pytest.raises(SourceError, match=r"a.npz\[rows\]: truncated or damaged .*Bad CRC-32"):
        read(tmp_path / "a.npz")


def test_a_full_temporary_folder_is_named(tmp_path, monkeypatch):
    np.savez(tmp_path / "a.npz", rows=np.asfortranarray(ROWS))

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfileobj", refuse)
    with pytest.raises(WorkspaceError, match=r"a.npz\[rows\]: .*No space left.* set TMPDIR"):
        read(tmp_path / "a.npz")


@pytest.mark.parametrize("how", [{"columns": ["a"]}, {"id": "a"}, {"kinds": {"a": ("hour",)}}])
def test_an_array_has_no_columns_to_choose(tmp_path, how):
    np.save(tmp_path / "rows.npy", np.ones((4, 2)))
    with pytest.raises(SourceError, match=r"npy: expected Parquet, .* or CSV .*remove these keys"):
        open_source(tmp_path / "rows.npy", **how)
