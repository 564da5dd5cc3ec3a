"""One suite that every format must pass, and one error for each kind of bad input."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.errors import NoDataError, SchemaError, SourceError
from storage.sources import RowsDigest, Schema, check_schema, open_source, plan_shards

ROWS = np.random.default_rng(0).normal(size=(103, 4)).astype(np.float64)
ROWS[3] = [-0.0, 0.0, 1e-300, 1e300]


def write_idx(path, rows=None):
    rows = np.arange(103 * 6, dtype=np.uint8).reshape(103, 2, 3) if rows is None else rows
    content = (
        bytes([0, 0, 8, rows.ndim]) + struct.pack(f">{rows.ndim}I", *rows.shape) + rows.tobytes()
    )
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
    return rows


def write_npy(path):
    np.save(path, ROWS)
    return ROWS


def write_npz(path):
    np.savez_compressed(path, rows=ROWS)
    return ROWS


def write_hdf5(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("deep/rows", data=ROWS, chunks=(10, 4))
    return ROWS


def write_parquet(path):
    pq.write_table(
        pa.table({name: ROWS[:, index] for index, name in enumerate("abcd")}),
        path,
        row_group_size=30,
    )
    return ROWS


def write_parquet_folder(path):
    path.mkdir()
    for index, part in enumerate(np.array_split(ROWS, 3)):
        pq.write_table(
            pa.table({name: part[:, i] for i, name in enumerate("abcd")}), path / f"{index}.parquet"
        )
    return ROWS


def write_csv(path):
    pa_csv.write_csv(pa.table({name: ROWS[:, index] for index, name in enumerate("abcd")}), path)
    return ROWS


FORMATS = {
    "rows-ubyte": write_idx,
    "rows-ubyte.gz": write_idx,
    "rows.npy": write_npy,
    "rows.npz": write_npz,
    "rows.h5": write_hdf5,
    "rows.parquet": write_parquet,
    "folder": write_parquet_folder,
    "rows.csv": write_csv,
}


@pytest.fixture(params=FORMATS)
def written(request, tmp_path):
    path = tmp_path / request.param
    return path, FORMATS[request.param](path)


def read(source, start=0, stop=None, max_rows=1000):
    chunks = list(source.chunks(start, stop, max_rows=max_rows))
    return (
        np.concatenate([chunk.rows for chunk in chunks])
        if chunks
        else np.empty((0, *source.schema.row_shape))
    )


def test_rows_come_back_bit_for_bit(written):
    path, rows = written
    with open_source(path) as source:
        back = read(source)

    assert back.dtype == rows.dtype == np.dtype(source.schema.dtype)
    assert back.tobytes() == np.ascontiguousarray(rows).tobytes()
    assert (source.n_rows, source.n_bytes) == (len(rows), rows.nbytes)


@pytest.mark.parametrize(
    ("start", "stop", "max_rows"),
    [(0, 103, 7), (0, 1, 1), (35, 36, 5), (29, 71, 1000), (102, 103, 3), (50, 50, 9), (90, 400, 6)],
)
def test_any_range_in_chunks_of_any_size_equals_that_range(written, start, stop, max_rows):
    path, rows = written
    with open_source(path) as source:
        chunks = list(source.chunks(start, stop, max_rows=max_rows))

        assert all(len(chunk.rows) <= max_rows for chunk in chunks)
        assert [chunk.start for chunk in chunks] == list(
            np.cumsum([start] + [len(chunk.rows) for chunk in chunks])[:-1]
        )
        np.testing.assert_array_equal(read(source, start, stop, max_rows), rows[start:stop])


def test_the_digest_does_not_depend_on_chunk_size(written):
    digests = set()
    with open_source(written[0]) as source:
        for max_rows in (1, 10, 1000):
            digest = RowsDigest()
            for chunk in source.chunks(max_rows=max_rows):
                digest.update(chunk.rows, chunk.ids)
            digests.add(digest.hexdigest())

    assert len(digests) == 1


def digest_of(ids, *pieces):
    digest = RowsDigest()
    for piece in pieces:
        digest.update(np.zeros((piece.stop - piece.start, 2)), ids[piece])
    return digest.hexdigest()


def test_the_digest_tells_ids_apart_however_they_are_cut():
    cuts = [slice(0, 2)], [slice(0, 1), slice(1, 1), slice(1, 2)]
    texts = np.array(["ab", "c"], object), np.array(["a", "bc"], object)
    numbers = np.array([1, 2]), np.array([2, 1])

    assert len({digest_of(ids, *cuts[0]) for ids in (*texts, *numbers)}) == 4
    for ids in (*texts, *numbers):
        assert digest_of(ids, *cuts[0]) == digest_of(ids, *cuts[1])


@pytest.mark.parametrize("shard_bytes", [1, 100, 1000, 10**9])
def test_shards_cover_every_row_once_in_order(written, shard_bytes):
    with open_source(written[0]) as source:
        shards = plan_shards(source, shard_bytes)

    assert [shard.index for shard in shards] == list(range(len(shards)))
    assert [shard.start for shard in shards] == [0, *(shard.stop for shard in shards[:-1])]
    assert shards[-1].stop == 103
    assert all(shard.stop > shard.start for shard in shards)


def test_the_fingerprint_changes_with_the_file(written):
    path, _ = written
    before = open_source(path).fingerprint()

    assert open_source(path).fingerprint() == before
    file = next(path.iterdir()) if path.is_dir() else path
    file.touch()
    assert open_source(path).fingerprint() != before


def test_shards_are_cut_at_row_groups_and_chunks(tmp_path):
    for name, borders in (("rows.parquet", 30), ("rows.h5", 10)):
        FORMATS[name](tmp_path / name)
        with open_source(tmp_path / name) as source:
            assert {shard.stop % borders for shard in plan_shards(source, 45 * 32)[:-1]} == {0}


@pytest.mark.parametrize(("group", "first"), [(45, 45), (100, 40)])
def test_a_shard_ends_with_a_row_group_that_is_a_little_larger(tmp_path, group, first):
    table = pa.table({"a": np.arange(300.0)})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=group)

    with open_source(tmp_path / "a.parquet") as source:
        assert plan_shards(source, 40 * 8)[0].stop == first


@settings(max_examples=25)
@given(
    st.lists(
        st.lists(
            st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=2, max_size=2
        ),
        max_size=20,
    ),
    st.integers(1, 9),
)
def test_hdf5_npy_and_parquet_agree_on_any_floats(tmp_path_factory, values, max_rows):
    folder = tmp_path_factory.mktemp("agree")
    rows = np.array(values, np.float32).reshape(-1, 2)
    np.save(folder / "rows.npy", rows)
    with h5py.File(folder / "rows.h5", "w") as file:
        file["rows"] = rows
    pq.write_table(pa.table({"a": rows[:, 0], "b": rows[:, 1]}), folder / "rows.parquet")

    for name in ("rows.npy", "rows.h5", "rows.parquet"):
        with open_source(folder / name) as source:
            assert read(source, max_rows=max_rows).astype(np.float32).tobytes() == rows.tobytes()


def test_the_id_column_is_returned_as_ids_and_is_not_a_feature(tmp_path):
    path = tmp_path / "rows.parquet"
    pq.write_table(
        pa.table({"name": ["a", "b", "c"], "x": [1.0, 2.0, 3.0], "note": ["p", "q", "r"]}), path
    )

    with open_source(path, id="name") as source:
        [chunk] = source.chunks(max_rows=10)

        assert chunk.ids.tolist() == ["a", "b", "c"]
        assert (source.schema.columns, source.unread) == (("x", "note"), {})


def test_the_csv_delimiter_is_detected_and_shown(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("when;x;y\n2020-01-01;1,5;2\n", encoding="utf-8")

    with open_source(path) as source:
        assert source.facts["delimiter"] == "semicolon"
        assert source.schema.columns == ("when", "x", "y")


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet"])
def test_booleans_are_read_as_0_and_1_if_asked_for_and_their_gaps_as_nan(tmp_path, name):
    table = pa.table({"x": [1.5, 2.5, 3.5], "on": [True, None, False]})
    (pa_csv.write_csv if name.endswith("csv") else pq.write_table)(table, tmp_path / name)

    with open_source(tmp_path / name, missing="impute", kinds={"on": ("number",)}) as source:
        np.testing.assert_array_equal(read(source), [[1.5, 1.0], [2.5, np.nan], [3.5, 0.0]])


def test_a_one_dimensional_array_has_rows_of_one_value(tmp_path):
    np.save(tmp_path / "labels.npy", np.arange(5, dtype=np.uint8))

    with open_source(tmp_path / "labels.npy") as source:
        assert source.schema == Schema((1,), "uint8", flat=True)


def test_nan_passes_if_missing_values_are_imputed(tmp_path):
    np.save(tmp_path / "rows.npy", np.array([[1.0, np.nan]]))

    with open_source(tmp_path / "rows.npy", missing="impute") as source:
        assert np.isnan(read(source)).sum() == 1


def test_an_empty_array_has_no_rows(tmp_path):
    np.save(tmp_path / "rows.npy", np.empty((0, 3)))

    with open_source(tmp_path / "rows.npy") as source:
        assert (source.n_rows, plan_shards(source, 1000), list(source.chunks(max_rows=5))) == (
            0,
            (),
            [],
        )


def save(path, content):
    if isinstance(content, bytes | str):
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    else:
        np.save(path, content)
    return path


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.npy",
            np.array([[1.0, 2.0], [3.0, np.nan]]),
            r'a.npy: row 1, column 1: expected a number, got nan; .*data.missing = "impute"',
        ),
        (
            "a.npy",
            np.array([[np.inf, 2.0]]),
            "row 0, column 0: expected a number, got inf; fix the row$",
        ),
        ("a.npy", np.array(["x", "y"]), "expected numbers, got dtype <U1"),
        ("a.npy", np.array([[1j]]), "expected numbers, got dtype complex128"),
        ("a.npy", np.empty((5, 0)), "rows must hold at least one value"),
        (
            "a.npy",
            np.ones((3, 2), np.longdouble),
            "values must have at most 64 bits. Got float128 instead",
        ),
        ("a.npy", np.array(3.0), "expected an array of rows, got a single value"),
        ("a.npy", b"nonsense", "not an NPY file"),
        ("a.npy", b"", "empty; expected a file with rows"),
        ("a.npz", b"nonsense", "not an NPZ archive"),
        ("a.h5", b"nonsense", "not an HDF5 file"),
        ("a.parquet", b"nonsense", "not a Parquet file"),
        ("a-ubyte", b"nonsense", "not an IDX file"),
        ("a-ubyte.gz", b"nonsense", "not a gzipped IDX file"),
        ("a.csv", "a,b\n1,2\n3\n", "Expected 2 columns, got 1"),
        ("a.csv", "a,a\n1,2\n", "duplicate column names: 'a'; give each"),
        ("a.csv", "0.5,2,1\n1,2,3\n", "the first line holds numbers; expected a header line"),
        ("a.csv", "a,b\n1,\n", r'row 0, column b: .*data.missing = "impute"'),
        ("a.csv", "\n\n", "empty; expected a header line and rows"),
        ("a.csv", b"\x81\x00", "not UTF-8 text"),
        ("a.docx", b"text", "unsupported file type; supported: .npy"),
        ("a.json", b"[]", "unsupported file type; write one object on each line, as .jsonl"),
        ("a.xlsx", b"PK", "unsupported file type; save the sheet as CSV"),
    ],
)
def test_a_bad_input_is_named_with_a_fix(tmp_path, name, content, message):
    path = save(tmp_path / name, content)

    with pytest.raises(SourceError, match=message), open_source(path) as source:
        list(source.chunks(max_rows=10))


def test_text_in_a_numeric_column_is_named_by_line(tmp_path):
    path = save(tmp_path / "a.csv", "a,b\n" + "1,2\n" * 1_200_000 + "3,oops\n")

    message = r"a.csv: row 1200000 \(line 1200002\), column b: expected a number, got 'oops'"
    with pytest.raises(SourceError, match=message), open_source(path) as source:
        list(source.chunks(1_199_000, max_rows=10_000))


@pytest.mark.parametrize(
    "name", ["rows-ubyte", "rows-ubyte.gz", "rows.npy", "rows.h5", "rows.parquet"]
)
def test_a_truncated_file_is_refused(tmp_path, name):
    path = tmp_path / name
    FORMATS[name](path)
    path.write_bytes(path.read_bytes()[:-40])

    with pytest.raises(SourceError, match="truncated"), open_source(path) as source:
        list(source.chunks(max_rows=50))


def test_a_flipped_bit_in_a_gzipped_file_is_detected(tmp_path):
    path = tmp_path / "rows-ubyte.gz"
    write_idx(path)
    content = bytearray(path.read_bytes())
    content[-6] ^= 1  # in the checksum at the end of a gzip file
    path.write_bytes(bytes(content))

    with pytest.raises(SourceError, match="damaged"), open_source(path) as source:
        list(source.chunks(max_rows=50))


def test_one_of_several_fields_must_be_selected(tmp_path):
    np.savez(tmp_path / "a.npz", X=ROWS, y=ROWS)

    with pytest.raises(SourceError, match=r"several fields: X, y; select one with data.field"):
        open_source(tmp_path / "a.npz")
    with pytest.raises(SourceError, match="no field 'Z'; fields: X, y"):
        open_source(tmp_path / "a.npz", field="Z")


def test_columns_that_only_stand_beside_a_wrong_one_are_not_named(tmp_path):
    names = [f"note{index}" for index in range(50)]
    values = ["text"] * 50
    path = save(tmp_path / "rows.csv", f"{','.join(names)},flow,tank\n{','.join(values)},1,low\n")

    with pytest.raises(
        SchemaError, match=r"do not match: of another kind: 'tank' \(text, not a number\)\. Fix"
    ):
        open_source(path, columns=["flow", "tank"], kinds={"tank": ("number",)})
    with pytest.raises(SchemaError, match=r"missing: 'x'; columns not read: 'flow', .* 41 more"):
        open_source(path, columns=["x"], id="tank")


def test_a_uri_of_another_service_is_refused(tmp_path):
    for path in (Path("https://host/a/*.csv"), "https://host/a/*.csv"):
        with pytest.raises(SourceError, match=r"^https://host/…: expected a path, or a URI .*copy"):
            open_source(path)


def test_one_error_names_all_missing_and_non_numeric_columns_and_their_candidates(tmp_path):
    path = save(tmp_path / "rows.csv", "pressure,flow,tank,when\n1,2,low,3\n")
    message = (
        r"rows.csv: columns do not match: "
        r"missing: 'presure' \(did you mean 'pressure'\?\), 'x', 'name'; "
        r"of another kind: 'tank' \(text, not a number\); columns not read: 'pressure', 'when'\. "
        "Fix the file"
    )

    with pytest.raises(SchemaError, match=message):
        open_source(
            path, columns=["presure", "flow", "x", "tank"], id="name", kinds={"tank": ("number",)}
        )


def test_a_parquet_file_with_duplicate_column_names_is_refused(tmp_path):
    pq.write_table(
        pa.Table.from_arrays([pa.array([1.0])] * 2, names=["a", "a"]), tmp_path / "rows.parquet"
    )

    with pytest.raises(
        SourceError, match="duplicate column names: 'a'; give each column a unique name"
    ):
        open_source(tmp_path / "rows.parquet")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_bad_value_is_named_by_its_file_and_its_row_there_and_over_all_files(tmp_path, kind):
    (tmp_path / "rows/deep").mkdir(parents=True)
    for name, values in (("1", [1.0, 2.0]), ("deep/2", [3.0, np.inf])):
        (pa_csv.write_csv if kind == "csv" else pq.write_table)(
            pa.table({"a": values}), tmp_path / f"rows/{name}.{kind}"
        )

    with pytest.raises(
        SourceError,
        match=rf"rows/deep/2.{kind}: row 1 \(row 3 over all files\), column a: expected a number,",
    ):
        list(open_source(tmp_path / "rows").chunks(max_rows=10))


def test_a_folder_of_two_formats_is_refused(tmp_path):
    write_parquet_folder(tmp_path / "folder")
    write_csv(tmp_path / "folder/notes.txt")

    message = (
        r"folder: contains files of several formats: CSV, Parquet; "
        r"select one with a glob such as '.*folder/\*.parquet'"
    )
    with pytest.raises(SourceError, match=message):
        open_source(tmp_path / "folder")


def test_an_unreadable_path_is_refused_with_the_reason(tmp_path):
    with pytest.raises(SourceError, match=r"cannot be read .*too long"):
        open_source(tmp_path / ("a" * 300 + ".npy"))


def test_every_file_of_a_table_is_checked(tmp_path):
    write_parquet_folder(tmp_path / "folder")
    pq.write_table(pa.table({"a": [1.0], "b": ["x"], "d": [2.0]}), tmp_path / "folder/9.parquet")

    with pytest.raises(
        SchemaError,
        match=r"9.parquet: .* missing: 'c'; of another kind: 'b' \(string, not a number\)",
    ):
        open_source(tmp_path / "folder")


def test_a_path_without_files_is_no_data(tmp_path):
    for path in (tmp_path / "none.npy", tmp_path / "*.parquet", tmp_path):
        with pytest.raises(NoDataError, match="no files found"):
            open_source(path)


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        (Schema((5,), "float64"), r"shape \(5,\), as in training. Got \(4,\) instead"),
        (Schema((4,), "uint8"), "must be uint8, as in training"),
        (Schema((5,), "uint8"), r"Got \(4,\) instead. Also, values must be uint8"),
    ],
)
def test_rows_that_differ_from_the_training_data_are_refused(tmp_path, expected, message):
    write_npy(tmp_path / "rows.npy")

    with pytest.raises(SchemaError, match=message), open_source(tmp_path / "rows.npy") as source:
        check_schema(source.path, source.schema, expected)
