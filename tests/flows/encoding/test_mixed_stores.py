"""Stores of tables with categories and times: numbers as always, all else exactly."""

from __future__ import annotations

import datetime
import json
import shutil
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from bench import JOB, Bench, decode, encode, tree

from flows.encoding.probe import original_rows
from flows.jobs.inputs import open_rows
from flows.jobs.job_file import read_job
from flows.jobs.workspace import open_workspace
from flows.training.load_model import load_model
from storage.errors import SourceError
from storage.latents import exact_columns
from storage.latents.exact_columns import same_values

pytestmark = pytest.mark.slow

FORMATS = ("hdf5", "parquet")
BOUNDS = ("max_error=0.01", "max_error_relative=1e-4", "max_rmse=0.05", "precision=int8")
LEVELS = ("de", "", None, "🙂", "né\u0301e", "a\nb")
NUMBERS = ("amount", "count", "size")


def mixed(n: int, seed: int, *, gaps: bool = False) -> pa.Table:
    """A table of every kind of column; `size` and `amount` follow one hidden value."""
    random = np.random.default_rng(seed)
    hidden = random.normal(size=n)
    some = random.random(n) < 0.1
    near = hidden + 0.1 * random.normal(size=n)
    days = [
        datetime.date(2024, 1, 1) + datetime.timedelta(int(d)) for d in random.integers(99, size=n)
    ]
    cents = random.integers(10**6, size=n).tolist()
    stamps = 1_700_000_000_000_000_000 + random.integers(10**15, size=n)
    texts = [LEVELS[i] for i in random.integers(len(LEVELS), size=n)]
    columns = {
        "country": pa.array(texts),
        "amount": pa.array(3 * hidden + 10),
        "color": pa.array(
            [("red", "green", None)[i] for i in (hidden > 0) + 0 + some]
        ).dictionary_encode(),
        "open": pa.array(hidden > 0, mask=some),
        "price": pa.array([Decimal(each) / 100 for each in cents], pa.decimal128(9, 2)),
        "day": pa.array(days, mask=some if gaps else None),
        "at": pa.array(stamps, pa.timestamp("ns", "Europe/Berlin"), mask=some if gaps else None),
        "count": pa.array(np.rint(100 * near).astype(np.int64), mask=some if gaps else None),
        "size": pa.array(near.astype(np.float32)),
    }
    return pa.table(columns)


def job_of(folder, clean, job):
    """A folder with a trained job."""
    pq.write_table(clean, folder / "clean.parquet")
    (folder / "small.toml").write_text(job.replace("clean.npy", "clean.parquet"))
    result = Bench(folder).run("train", folder / "small.toml")
    assert result.code == 0, result.err
    return folder


@pytest.fixture(scope="module")
def trained_on_kinds(tmp_path_factory):
    """A folder with a model of columns of all kinds, in which gaps are imputed."""
    job = JOB.replace("[model]", 'missing = "impute"\n[model]')
    return job_of(tmp_path_factory.mktemp("kinds"), mixed(1500, 0, gaps=True), job)


@pytest.fixture
def kinds_bench(trained_on_kinds, tmp_path):
    shutil.copytree(trained_on_kinds, tmp_path / "job", copy_function=shutil.copy2)
    return Bench(tmp_path / "job")


def night_of(bench, table, **options):
    pq.write_table(table, bench.folder / "night.parquet", **options)
    return bench.folder / "night.parquet"


def others(table):
    return table.drop_columns(list(NUMBERS))


def numbers(table):
    """Numbers (n, 3) with NaN for gaps."""
    return np.stack([table[name].cast(pa.float64()).to_numpy() for name in NUMBERS], axis=1)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("setting", BOUNDS)
def test_all_but_numbers_come_back_exactly_with_names_and_types(kinds_bench, format, setting):
    table = mixed(700, 3, gaps=True)
    night = night_of(kinds_bench, table, row_group_size=90)
    store, report = encode(kinds_bench, night, setting, f"format={format}")
    back = decode(kinds_bench, store)

    assert back.schema.equals(pq.read_schema(night).remove_metadata())
    assert same_values(others(back), others(table))
    apart = np.abs(numbers(back) - numbers(table))
    assert (np.isnan(numbers(back)) == np.isnan(numbers(table))).all()
    assert np.nanmax(apart) == report["loss"]["largest"]
    assert "bound" not in setting or report["bound"]["held"]
    assert setting != "max_error=0.01" or np.nanmax(apart) <= 0.01


def test_decoded_numbers_are_the_reconstructions_of_the_whole_model(kinds_bench):
    night = night_of(kinds_bench, mixed(300, 4, gaps=True))
    store, _ = encode(kinds_bench, night, "precision=float32", "keep_exact=0")
    back = numbers(decode(kinds_bench, store))
    job = read_job(kinds_bench.job)
    _, model = load_model(open_workspace(job), device="cpu")
    with open_rows(job, night, model.layout) as source:
        (chunk,) = source.chunks(max_rows=300)
        rebuilt = model.reconstruct(chunk.rows)[:, source.stored_columns.places]

    rebuilt[:, 1] = np.rint(rebuilt[:, 1])
    rebuilt[np.isnan(numbers(pq.read_table(night)))] = np.nan
    np.testing.assert_allclose(back, rebuilt, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("format", FORMATS)
def test_ranges_and_single_rows_equal_those_of_a_full_decode(kinds_bench, format, monkeypatch):
    monkeypatch.setattr("storage.latents.exact_columns.GROUP_ROWS", 64)
    night = night_of(kinds_bench, mixed(500, 4))
    store, _ = encode(kinds_bench, night, f"format={format}")
    whole = decode(kinds_bench, store)

    for rows, wanted in (
        ("7,499,7,0,130", [7, 499, 7, 0, 130]),
        ("3,60:200", [3, *range(60, 200)]),
    ):
        assert same_values(decode(kinds_bench, store, "--rows", rows), whole.take(wanted))


def test_a_packed_store_decodes_like_the_folder(kinds_bench):
    store, _ = encode(kinds_bench, night_of(kinds_bench, mixed(300, 4)))
    packed = kinds_bench.folder / "one.h5"
    assert kinds_bench.run("pack", store, "--out", packed).code == 0

    assert same_values(decode(kinds_bench, packed), decode(kinds_bench, store))


def test_the_report_counts_the_columns_that_are_no_numbers(kinds_bench):
    table = mixed(300, 4)
    store, report = encode(kinds_bench, night_of(kinds_bench, table))
    held = sum(path.stat().st_size for path in store.glob("columns-*"))
    shard = json.loads((store / "manifest.json").read_text())["shards"][0]

    assert report["bytes"]["columns"] == held > 0
    read = [*store.glob("columns-*"), *store.glob("shard-*"), *store.glob("model/*")]
    read += [store / "manifest.json"]
    assert report["bytes"]["store"] == sum(path.stat().st_size for path in read)
    texts = sum(len((each or "").encode()) for each in table["country"].to_pylist())
    assert report["bytes"]["source"] == shard["bytes_in"] > 300 * (3 * 8 + 16 + 4 + 8) + texts


@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_a_flipped_bit_in_the_exact_columns_is_found(kinds_bench, place):
    store, _ = encode(kinds_bench, night_of(kinds_bench, mixed(300, 4)))
    path = store / "columns-00000.parquet"
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 4
    path.write_bytes(content)

    result = kinds_bench.run("verify", store)
    assert result.code == 1
    assert [each["file"] for each in result.facts["problems"]] == [path.name]


def test_probe_takes_no_distances_between_the_rows_of_the_source(kinds_bench):
    store, _ = encode(kinds_bench, night_of(kinds_bench, mixed(50, 4)))

    with pytest.raises(
        SourceError, match="holds columns that are no numbers and have no distances"
    ):
        original_rows(store)


def test_only_parquet_can_hold_the_decoded_table(kinds_bench):
    store, _ = encode(kinds_bench, night_of(kinds_bench, mixed(50, 4)))
    for name in ("back.npy", "back.h5"):
        result = kinds_bench.run("decode", store, "--out", kinds_bench.folder / name)
        assert result.code == 2
        assert "columns that are no numbers; the name must end in .parquet" in result.err
        assert not (kinds_bench.folder / name).exists()


def test_a_shard_that_was_not_finished_is_written_again_to_the_same_bytes(kinds_bench, monkeypatch):
    night = night_of(kinds_bench, mixed(40_000, 4))
    whole = tree(encode(kinds_bench, night)[0])
    shutil.rmtree(kinds_bench.folder / "store")
    real, written = exact_columns.write_columns, []

    def stops(path, table):
        if written:
            raise OSError(28, "No space left on device")
        written.append(path)
        real(path, table)

    monkeypatch.setattr(exact_columns, "write_columns", stops)
    words = ("--source", night, "--out", kinds_bench.folder / "store")
    assert kinds_bench.run("encode", kinds_bench.job, *words).code != 0
    monkeypatch.undo()

    assert len([name for name in whole if name.startswith("columns-")]) > 1
    assert tree(encode(kinds_bench, night)[0]) == whole


def test_an_input_without_rows_keeps_names_and_types(kinds_bench):
    table = mixed(5, 4)[:0]
    store, _ = encode(kinds_bench, night_of(kinds_bench, table))
    back = decode(kinds_bench, store)

    assert back.num_rows == 0
    assert back.schema.types == table.schema.types


def test_files_of_different_types_come_back_in_one_that_holds_both(kinds_bench):
    first, second = mixed(60, 4), mixed(60, 5)
    plain = first["color"].cast(pa.string())
    folder = kinds_bench.folder / "night"
    folder.mkdir()
    pq.write_table(first.set_column(2, "color", plain), folder / "a.parquet")
    pq.write_table(second, folder / "b.parquet")
    back = decode(kinds_bench, encode(kinds_bench, folder)[0])

    assert back["color"].to_pylist() == [*plain.to_pylist(), *second["color"].to_pylist()]


def test_files_whose_types_have_none_in_common_are_refused_by_name(kinds_bench):
    first, second = mixed(60, 4), mixed(60, 5)
    other = second["at"].cast(pa.timestamp("ns", "UTC"))
    folder = kinds_bench.folder / "night"
    folder.mkdir()
    pq.write_table(first, folder / "a.parquet")
    pq.write_table(second.set_column(6, "at", other), folder / "b.parquet")
    result = kinds_bench.run("encode", kinds_bench.job, "--source", folder)

    assert result.code == 2
    assert "column at: expected one type in all files, got timestamp[ns, tz=Eur" in result.err


def test_cells_of_csv_come_back_as_they_are_written(tmp_path):
    job = JOB.replace("clean.npy", "clean.csv")
    (tmp_path / "small.toml").write_text(job)
    names = ["amount", "color", "day", "open", "size"]
    pa_csv.write_csv(mixed(900, 0).select(names), tmp_path / "clean.csv")
    bench = Bench(tmp_path)
    assert bench.run("train", bench.job).code == 0
    table = mixed(40_000, 1).select(names)
    pa_csv.write_csv(table, tmp_path / "night.csv")
    store, _ = encode(bench, tmp_path / "night.csv", "max_error=1e-9")
    back = decode(bench, store)

    assert len([*store.glob("columns-*")]) > 1
    assert back.column_names == table.column_names
    for name in ("color", "day", "open"):
        assert back[name].to_pylist() == table[name].cast(pa.string()).to_pylist()
    apart = back["amount"].to_numpy() - table["amount"].to_numpy()
    assert np.abs(apart).max() <= 1e-9


def test_a_table_without_numbers_is_refused(tmp_path):
    job = job_of(tmp_path, mixed(900, 0).select(["color", "open", "country"]), JOB)
    result = Bench(job).run("encode", job / "small.toml")

    assert result.code == 2
    assert "expected a column of integers or floats" in result.err
