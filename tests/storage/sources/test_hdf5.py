"""HDF5: odd types, names and links, values that are elsewhere or were never written, filters."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from h5py import h5d, h5s, h5t

from storage.errors import SourceError
from storage.sources import open_source
from storage.sources.arrays.hdf5 import Hdf5Source

ROWS = np.arange(24.0).reshape(8, 3)


def read(path, max_rows=3, **how):
    with open_source(path, **how) as source:
        return np.concatenate([chunk.rows for chunk in source.chunks(max_rows=max_rows)])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.h5"


def integers(bits):
    kind = h5t.NATIVE_INT64.copy()
    kind.set_size(bits // 8)
    kind.set_precision(bits)
    return kind


def quadruple():
    kind = h5t.IEEE_F64LE.copy()
    kind.set_size(16)
    kind.set_precision(128)
    kind.set_fields(127, 112, 15, 0, 112)
    kind.set_ebias(16383)
    return kind


TYPES_NUMPY_LACKS = {
    "24-bit integers": lambda: integers(24),
    "128-bit integers": lambda: integers(128),
    "128-bit floats": quadruple,
    "times": h5t.UNIX_D32LE.copy,
}


@pytest.mark.parametrize("kind", TYPES_NUMPY_LACKS)
def test_a_type_that_numpy_lacks_is_refused_and_other_datasets_are_read(path, kind):
    with h5py.File(path, "w") as file:
        h5d.create(file.id, b"odd", TYPES_NUMPY_LACKS[kind](), h5s.create_simple((3, 2)))
        file["rows"] = ROWS

    np.testing.assert_array_equal(read(path, field="rows"), ROWS)
    with pytest.raises(SourceError, match=r"a.h5\[odd\]: cannot be read"):
        open_source(path, field="odd")
    with pytest.raises(SourceError, match="several fields: odd, rows"):
        open_source(path)


def test_a_name_that_is_not_utf8_is_shown_and_selected_by_its_escaped_form(path):
    with h5py.File(path, "w") as file:
        space = h5s.create_simple((8, 3))
        odd = h5d.create(file.id, b"temp\xe9", h5t.IEEE_F64LE, space)
        odd.write(space, space, ROWS)
    np.testing.assert_array_equal(read(path), ROWS)

    with h5py.File(path, "a") as file:
        file["rows"] = ROWS
    with pytest.raises(SourceError, match=r"several fields: rows, temp\\xe9"):
        open_source(path)
    np.testing.assert_array_equal(read(path, field="temp\\xe9"), ROWS)


def test_a_damaged_tree_of_groups_is_refused(path):
    with h5py.File(path, "w") as file:
        file["g/rows"] = ROWS
    content = bytearray(path.read_bytes())
    content[content.find(b"TREE")] ^= 1
    path.write_bytes(bytes(content))

    with pytest.raises(SourceError, match=r"a\.h5: cannot be read .*wrong B-tree signature"):
        open_source(path)


def test_soft_external_and_second_hard_links_are_fields(path, tmp_path):
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["there"] = ROWS + 1
    with h5py.File(path, "w") as file:
        file["g/rows"] = ROWS
        file["hard"] = file["g/rows"]
        file["soft"] = h5py.SoftLink("/g/rows")
        file["again"] = file["g"]
    for field in ("g/rows", "hard", "soft", "again/rows"):
        np.testing.assert_array_equal(read(path, field=field), ROWS)
    np.testing.assert_array_equal(read(path), ROWS)  # one dataset, whatever its names

    with h5py.File(path, "a") as file:
        file["outside"] = h5py.ExternalLink("b.h5", "/there")
    np.testing.assert_array_equal(read(path, field="outside"), ROWS + 1)
    (tmp_path / "b.h5").unlink()
    with pytest.raises(SourceError, match=r"a.h5\[outside\]: cannot be read"):
        open_source(path, field="outside")


def virtual(path, names=("p1.h5", "p2.h5")):
    layout = h5py.VirtualLayout((16, 3), "f8")
    for index, name in enumerate(names):
        with h5py.File(path.parent / name, "w") as file:
            file["rows"] = ROWS
        layout[8 * index : 8 * index + 8] = h5py.VirtualSource(name, "rows", (8, 3))
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("rows", layout)


def test_a_virtual_dataset_is_read_from_its_sources(path):
    virtual(path)

    np.testing.assert_array_equal(read(path), np.concatenate([ROWS, ROWS]))
    before = open_source(path).fingerprint()
    (path.parent / "p2.h5").touch()
    assert open_source(path).fingerprint() != before


def truncate(source):
    source.write_bytes(source.read_bytes()[:500])


def shrink(source):
    with h5py.File(source, "w") as file:
        file["rows"] = ROWS[:5]


def rename(source):
    with h5py.File(source, "w") as file:
        file["other"] = ROWS


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda source: source.unlink(), r"its source p2.h5\[rows\] does not exist"),
        (truncate, "p2.h5: not an HDF5 file, or truncated"),
        (shrink, r"p2.h5\[rows\] has the shape \(5, 3\), which is smaller"),
        (rename, r"its source p2.h5\[rows\] cannot be read"),
    ],
)
def test_a_virtual_dataset_whose_source_is_gone_is_refused(path, harm, message):
    virtual(path)
    harm(path.parent / "p2.h5")

    with pytest.raises(SourceError, match=message):
        open_source(path)


def test_a_virtual_dataset_with_a_part_without_source_is_refused(path):
    virtual(path, ["p1.h5"])

    with pytest.raises(SourceError, match="a virtual dataset with unmapped parts"):
        open_source(path)


def test_a_short_external_file_is_refused(path, tmp_path):
    raw = tmp_path / "raw.bin"
    raw.write_bytes(ROWS.tobytes())
    with h5py.File(path, "w") as file:
        file.create_dataset("rows", (8, 3), "f8", external=[(str(raw), 0, ROWS.nbytes)])
    np.testing.assert_array_equal(read(path), ROWS)

    raw.write_bytes(ROWS.tobytes()[:-8])
    with pytest.raises(SourceError, match=r"raw\.bin, which has 184 bytes, expected 192"):
        open_source(path)


@pytest.mark.parametrize(
    ("chunks", "written", "message"),
    [
        ((2, 3), 5, r"only written up to \(6, 3\); the rest would read as 0.0"),
        ((2, 3), 0, "values were never written"),
        (None, 0, "values were never written"),
    ],
)
def test_rows_that_were_never_written_are_refused(path, chunks, written, message):
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("rows", (8, 3), "f8", chunks=chunks)
        dataset[:written] = ROWS[:written]

    with pytest.raises(SourceError, match=message):
        open_source(path)


@pytest.mark.parametrize(("chunks", "stored"), [(None, "192 bytes"), ((2, 3), "4 chunks")])
def test_a_shape_that_was_damaged_to_fewer_rows_is_refused(path, chunks, stored):
    with h5py.File(path, "w") as file:
        file.create_dataset("rows", data=ROWS, chunks=chunks)
    content = path.read_bytes()
    shape = np.array([8, 3], "<u8").tobytes()
    fewer = np.array([4, 3], "<u8").tobytes()
    path.write_bytes(content.replace(shape, fewer))

    with pytest.raises(SourceError, match=rf"damaged: .* shape \(4, 3\), but {stored} are stored"):
        open_source(path)


@pytest.mark.parametrize("name", ["Blosc", "Bitshuffle"])
def test_filters_of_the_extra_are_loaded(path, name):
    filters = pytest.importorskip("hdf5plugin", reason="needs the extra 'sz3'")
    with h5py.File(path, "w") as file:
        file.create_dataset("rows", data=ROWS, chunks=(4, 3), **getattr(filters, name)())

    np.testing.assert_array_equal(read(path), ROWS)


def test_a_filter_that_is_not_installed_is_named(path, monkeypatch):
    with h5py.File(path, "w") as file:
        file.create_dataset("rows", data=ROWS, chunks=(4, 3), compression="gzip")
    monkeypatch.setattr("h5py.h5z.filter_avail", lambda code: False)

    with pytest.raises(
        SourceError, match=r"compressed with filter 1 \(deflate\).*pip install 'nightglass\[sz3\]'"
    ):
        open_source(path)


@pytest.mark.parametrize("chunks", [(40, 1, 2), (7, 3, 1), (40, 3, 2), (1, 3, 2)])
@pytest.mark.parametrize("block_bytes", [10**6, 200])
def test_chunks_across_the_rows_give_the_same_rows(path, monkeypatch, chunks, block_bytes):
    rows = np.arange(240.0).reshape(40, 3, 2)
    with h5py.File(path, "w") as file:
        file.create_dataset("rows", data=rows, chunks=chunks)
    monkeypatch.setattr(Hdf5Source, "block_bytes", block_bytes)

    np.testing.assert_array_equal(read(path), rows)
    with open_source(path) as source:
        parts = [chunk.rows for chunk in source.chunks(5, 38, max_rows=4)]
    assert max(map(len, parts)) <= 4
    np.testing.assert_array_equal(np.concatenate(parts), rows[5:38])


@pytest.mark.parametrize("block_bytes", [10**7, 10**5])
def test_a_pass_unpacks_each_chunk_across_the_rows_once(path, monkeypatch, block_bytes):
    with h5py.File(path, "w") as file:
        file.create_dataset("rows", data=np.ones((20_000, 10)), chunks=(20_000, 1))
    monkeypatch.setattr(Hdf5Source, "block_bytes", block_bytes)
    reads = []
    get = h5py.Dataset.__getitem__
    monkeypatch.setattr(
        h5py.Dataset, "__getitem__", lambda self, at: reads.append(at) or get(self, at)
    )

    assert len(read(path, max_rows=100)) == 20_000
    assert len(reads) <= 10, "one read for all columns, or one for each"


def test_netcdf_3_is_named_with_the_conversion(tmp_path):
    (tmp_path / "a.nc").write_bytes(b"CDF\x01" + bytes(100))

    with pytest.raises(SourceError, match=r"a.nc: netCDF 3; .* 'nccopy -k nc4'"):
        open_source(tmp_path / "a.nc")


def test_a_file_that_is_being_written_is_called_locked(path, monkeypatch):
    path.write_bytes(b"any")

    def locked(*_):
        raise BlockingIOError(11, "unable to lock file")

    monkeypatch.setattr(h5py, "File", locked)
    with pytest.raises(
        SourceError, match=r"a.h5: cannot be read .*another program is writing to it; rerun"
    ):
        open_source(path)


def test_what_labels_the_axes_of_another_dataset_is_no_field_of_its_own(tmp_path):
    with h5py.File(tmp_path / "a.nc", "w") as file:
        heat = file.create_dataset("soil/heat", data=np.ones((5, 2)))
        heat.attrs["coordinates"] = "lat lon"
        time = file.create_dataset("soil/time", data=np.arange(5.0))
        time.make_scale("time")
        time.attrs["bounds"] = np.bytes_("time_bnds")
        heat.dims[0].attach_scale(time)
        for name, shape in {"lat": 2, "lon": 2, "time_bnds": (5, 2)}.items():
            file.create_dataset(f"soil/{name}", data=np.zeros(shape))

    with open_source(tmp_path / "a.nc") as source:
        assert source.facts["field"] == "soil/heat"
    with open_source(tmp_path / "a.nc", field="soil/time") as source:
        assert source.n_rows == 5
