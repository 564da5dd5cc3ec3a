"""One suite for both formats of a latent store, and for the readers of other libraries."""

from __future__ import annotations

import json
from contextlib import suppress

import duckdb
import h5py
import numpy as np
import polars
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.errors import DamagedError, FormatVersionError
from storage.files.atomic import publish_folder, sha256_file
from storage.files.manifest import verify_folder
from storage.latents import EncodedShard, Scale, ShardRows, StorePlan, open_store, write_decoded
from storage.latents.archive import Files
from storage.latents.loss import Loss
from storage.latents.plan import STORE, finish_files, note_done, shard_done, store_manifest
from storage.latents.shard import rows_as_read
from storage.latents.size_report import write_size_report
from storage.latents.sizes import SizeReport
from storage.latents.store import write_decoder, write_store_manifest
from storage.lossless import lossless_bytes, narrowest
from storage.pco import pack_numbers
from storage.sources import Schema, Shard, StoredColumns

FORMATS = ("hdf5", "parquet")
PRECISIONS = ("float32", "float16", "int8")
SCHEMA = Schema((2, 2), "float64")


def scale_of(precision, k=3):
    return Scale(precision, np.full(k, -1, np.float32), np.full(k, 1, np.float32))


def plan_of(format, precision="int8", k=3, schema=SCHEMA):
    scale, columns = scale_of(precision, k), StoredColumns(schema)
    return StorePlan(format=format, scale=scale, columns=columns, latent_dim=k)


def shard_of(scale, latents, exact=()):
    exact = np.array(exact, np.int64)
    return ShardRows.of(scale, latents, exact, np.full((len(exact), 2, 2), -0.0))


def write_shard(plan, folder, index, rows, ids=None):
    plan.write(folder, index, rows)
    plan.write_rows(folder, index, np.linspace(0, 1, len(rows.codes)).astype(np.float32), ids)


def facts_of(plan, folder, index, start, rows):
    path = plan.path(folder, index)
    n = len(rows.codes)
    return EncodedShard(
        index=index,
        start=start,
        stop=start + n,
        bytes_in=32 * n,
        bytes_out=path.stat().st_size,
        largest_error=0.5,
        mean_error=0.1,
        norm=1.0,
        values=4 * n,
        low=-1.0,
        high=1.0,
        exact_rows=len(rows.exact_rows),
        exact_bytes=rows.exact_values.nbytes,
        outside_values=len(rows.outside_values),
        lossless_sample_in=32,
        lossless_sample_out=16,
        codecs={"latents": n},
        digest="d",
        files={each.name: sha256_file(each) for each in plan.files(folder, index)},
        loss=Loss.of(4).to_json(),
    )


def build_store(folder, plan, shards):
    """Write a store of ShardRows the way the encode flow does."""
    work = folder.with_name(folder.name + ".work")
    facts, start = [], 0
    for index, rows in enumerate(shards):
        write_shard(plan, work, index, rows)
        facts.append(facts_of(plan, work, index, start, rows))
        start += len(rows.codes)
    finish_files(work, plan, facts)
    write_decoder(work, {"decoder.json": b"{}", "decoder.safetensors": b"weights"})
    manifest = store_manifest(plan, facts, model_id="abc", digest="d", settings={})
    write_size_report(work, manifest, facts, plan)
    write_store_manifest(work, manifest)
    publish_folder(work, folder)
    return folder


class Sevens:
    """A decoder of rows of sevens."""

    size = 64

    def decode_exactly(self, latents, keys=None):
        return np.full((len(latents), 2, 2), 7.0)

    def decode_rounded(self, latents, dtype, keys=None):
        return self.decode_exactly(latents, keys).astype(dtype)


class Beyond:
    """A decoder of rows slightly beyond the range of float32."""

    size = 64

    def decode_exactly(self, latents, keys=None):
        return np.full((len(latents), 2), 3.5e38)

    def decode_rounded(self, latents, dtype, keys=None):
        return np.full((len(latents), 2), np.inf, dtype)


def test_a_value_slightly_beyond_float32_is_read_as_its_largest():
    rows = rows_as_read(Beyond(), np.zeros((3, 1), np.float32), Schema((2,), "float32"))

    assert (rows.dtype, (rows == np.finfo(np.float32).max).all()) == (np.float32, True)


latent_arrays = st.lists(st.lists(st.floats(width=32), min_size=3, max_size=3), max_size=12).map(
    lambda rows: np.array(rows, np.float32).reshape(-1, 3)
)


@settings(max_examples=40)
@given(
    latents=latent_arrays,
    start=st.integers(0, 12),
    length=st.integers(0, 12),
    format=st.sampled_from(FORMATS),
    precision=st.sampled_from(PRECISIONS),
)
def test_any_part_of_a_shard_round_trips(
    tmp_path_factory, latents, start, length, format, precision
):
    folder = tmp_path_factory.mktemp("shard")
    plan = plan_of(format, precision)
    rows = shard_of(plan.scale, latents, exact=range(0, len(latents), 3))
    plan.write(folder, 0, rows)
    stop = min(start + length, len(latents))
    if start >= stop:
        return

    back, expected = plan.read(Files(folder), 0, start, stop), rows.part(start, stop)

    for name in ("codes", "outside_rows", "outside_values", "exact_rows", "exact_values"):
        assert getattr(back, name).tobytes() == getattr(expected, name).tobytes(), name
    assert back.latents(plan.scale).tobytes() == rows.latents(plan.scale)[start:stop].tobytes()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_latents_that_no_code_can_hold_are_exact(precision):
    scale = scale_of(precision)
    latents = np.array([[np.nan, np.inf, -np.inf], [1e9, -5.0, 0.5]], np.float32)
    rows = shard_of(scale, latents)

    back = rows.latents(scale)

    assert back[0].tobytes() == latents[0].tobytes() or precision == "float32"
    assert back[1, 0] == np.float32(1e9)


def test_codes_are_within_half_a_step(random):
    scale = scale_of("int8", 8)
    latents = random.uniform(-1, 1, (1000, 8)).astype(np.float32)

    assert np.abs(shard_of(scale, latents).latents(scale) - latents).max() <= 2 / 254 / 2 * 1.0001


def test_a_constant_latent_round_trips():
    scale = Scale("int8", np.array([2.5], np.float32), np.array([2.5], np.float32))
    rows = shard_of(scale, np.array([[2.5], [2.6]], np.float32))

    assert rows.latents(scale).ravel().tolist() == [2.5, np.float32(2.6)]
    assert len(rows.outside_values) == 1


@pytest.mark.parametrize("format", FORMATS)
def test_the_same_rows_give_the_same_bytes(tmp_path, random, format):
    plan = plan_of(format)
    latents = random.normal(size=(5000, 3)).astype(np.float32)
    rows = shard_of(plan.scale, latents, exact=[1, 7])
    ids = np.array([f"é{n}" for n in range(5000)], object)
    write_shard(plan, tmp_path, 0, rows, ids)
    first = [path.read_bytes() for path in plan.files(tmp_path, 0)]
    write_shard(plan, tmp_path, 0, rows, ids)

    assert [path.read_bytes() for path in plan.files(tmp_path, 0)] == first
    errors, back = plan.read_rows(Files(tmp_path), 0, 10, 12)
    assert back.tolist() == ["é10", "é11"]
    assert errors.tolist() == np.linspace(0, 1, 5000).astype(np.float32)[10:12].tolist()


@pytest.mark.parametrize("format", FORMATS)
def test_a_store_reads_rows_across_shards(tmp_path, random, format):
    plan = plan_of(format)
    latents = random.uniform(-1, 1, (90, 3)).astype(np.float32)
    shards = [shard_of(plan.scale, part, exact=[0]) for part in np.array_split(latents, 4)]
    store = open_store(build_store(tmp_path / "store", plan, shards))

    assert store.n_rows == 90
    np.testing.assert_array_equal(
        store.latents(20, 50), np.concatenate([s.latents(plan.scale) for s in shards])[20:50]
    )
    decoded = store.decode(0, 90, Sevens())
    assert (decoded[0] == 0).all()
    assert (decoded[1] == 7).all()
    assert verify_folder(store.folder) == []


def test_plain_h5py_reads_the_shards_and_the_virtual_file(tmp_path, random):
    plan = plan_of("hdf5")
    shards = [
        shard_of(plan.scale, random.uniform(-1, 1, (50, 3)).astype(np.float32)) for _ in range(3)
    ]
    folder = build_store(tmp_path / "store", plan, shards)

    with h5py.File(folder / "latents.h5") as file:
        np.testing.assert_array_equal(file["latents"][:], np.concatenate([s.codes for s in shards]))
        assert file["latents"].attrs["precision"] == b"int8"
    (folder / "shard-00001.h5").rename(tmp_path / "gone.h5")
    with h5py.File(folder / "latents.h5") as file:
        assert (file["latents"][50:100] == -128).all()


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_plain_pyarrow_duckdb_and_polars_read_parquet(tmp_path, random, precision):
    plan = plan_of("parquet", precision)
    rows = shard_of(plan.scale, random.uniform(-1, 1, (50, 3)).astype(np.float32), exact=[3])
    path = build_store(tmp_path / "store", plan, [rows]) / "shard-00000.parquet"
    expected = rows.codes[:, 1].tolist()

    assert pq.read_table(path).column("latent_1").to_pylist() == expected
    assert [row[0] for row in duckdb.sql(f"select latent_1 from '{path}'").fetchall()] == expected
    assert polars.read_parquet(path)["latent_1"].to_list() == expected


@pytest.mark.parametrize("format", FORMATS)
def test_a_damaged_shard_never_returns_other_values(tmp_path, random, format):
    plan = plan_of(format)
    rows = shard_of(plan.scale, random.uniform(-1, 1, (5000, 3)).astype(np.float32))
    folder = build_store(tmp_path / "store", plan, [rows])
    path = plan.path(folder, 0)
    content, expected = path.read_bytes(), rows.latents(plan.scale).tobytes()
    for _ in range(30):
        damaged = bytearray(content)
        place = int(random.integers(len(content)))
        damaged[place] ^= 1 << int(random.integers(8))
        path.write_bytes(damaged)
        assert [problem.file for problem in verify_folder(folder)] == [path.name]
        with suppress(DamagedError):
            assert open_store(folder).latents(0, 5000).tobytes() == expected


@pytest.mark.parametrize("format", FORMATS)
def test_only_an_unchanged_finished_shard_is_reused(tmp_path, random, format):
    plan, shard = plan_of(format), Shard(0, 0, 20)
    rows = shard_of(plan.scale, random.uniform(-1, 1, (20, 3)).astype(np.float32))
    write_shard(plan, tmp_path / STORE, 0, rows)
    assert shard_done(plan, tmp_path, shard) is None
    facts = facts_of(plan, tmp_path / STORE, 0, 0, rows)
    note_done(tmp_path, facts)

    assert shard_done(plan, tmp_path, shard) == facts
    assert shard_done(plan, tmp_path, Shard(0, 0, 21)) is None
    plan.path(tmp_path / STORE, 0).write_bytes(b"cut off")
    assert shard_done(plan, tmp_path, shard) is None


def test_the_size_report_counts_everything_that_decoding_reads(tmp_path, random):
    plan = plan_of("hdf5")
    rows = shard_of(plan.scale, random.uniform(-1, 1, (500, 3)).astype(np.float32))
    folder = build_store(tmp_path / "store", plan, [rows])
    report = json.loads((folder / "size_report.json").read_text())
    parts = [
        folder / "shard-00000.h5",
        folder / "manifest.json",
        folder / "model/decoder.json",
        folder / "model/decoder.safetensors",
    ]

    assert report["bytes"]["store"] == sum(path.stat().st_size for path in parts)
    assert report["ratio"]["source"] == pytest.approx(500 * 32 / report["bytes"]["store"], abs=1e-3)
    assert report["extras"] == {
        "errors and ids": (folder / "rows-00000.h5").stat().st_size,
        "latents.h5": (folder / "latents.h5").stat().st_size,
    }


def test_a_size_report_round_trips_through_json(tmp_path, random):
    plan = plan_of("hdf5")
    rows = shard_of(plan.scale, random.uniform(-1, 1, (50, 3)).astype(np.float32), exact=[3])
    folder = build_store(tmp_path / "store", plan, [rows])
    content = json.loads((folder / "size_report.json").read_text())

    assert SizeReport.from_json(content).to_json() == content


@pytest.mark.parametrize(
    ("version", "message"), [(3, "3 is newer than 2"), (1, "1 is older than 2")]
)
def test_a_store_of_another_version_is_refused_by_name(tmp_path, random, version, message):
    plan = plan_of("hdf5")
    rows = shard_of(plan.scale, random.uniform(-1, 1, (5, 3)).astype(np.float32))
    folder = build_store(tmp_path / "store", plan, [rows])
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["manifest_sha256"]
    write_store_manifest(folder, {**manifest, "format_version": version})

    with pytest.raises(FormatVersionError, match=f"manifest.json: format_version {message}"):
        open_store(folder)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 255], "uint8"),
        ([-3, 4], "int8"),
        ([0.5, 0.25], "float16"),
        ([1 / 3, 1], "float64"),
        ([-0.0, 1], "float16"),
    ],
)
def test_the_lossless_form_uses_the_narrowest_exact_dtype(values, expected):
    assert narrowest(np.array(values, np.float64)).dtype == expected


def test_the_lossless_form_is_that_of_the_better_coder():
    rows = np.random.default_rng(0).normal(size=(5000, 3)).cumsum(axis=0).astype(np.float32)
    by_pcodec = sum(len(pack_numbers(column)) for column in rows.T)

    assert lossless_bytes(rows) == by_pcodec


def test_the_lossless_form_is_measured_in_bytes():
    assert lossless_bytes(np.zeros((1000, 4), np.float32)) < 50


@pytest.mark.parametrize("suffix", [".npy", ".h5", ".parquet"])
def test_decoded_rows_are_written_in_pieces(tmp_path, random, suffix):
    rows = random.integers(0, 255, (50, 2, 2)).astype(np.uint8)
    path = tmp_path / f"back{suffix}"
    write_decoded(path, iter([rows[:20], rows[20:]]), Schema((2, 2), "uint8"), n_rows=50)

    from storage.sources import open_source

    with open_source(path) as source:
        back = np.concatenate([chunk.rows for chunk in source.chunks(max_rows=7)])
    assert back.tobytes() == rows.tobytes()
    assert back.dtype == np.uint8
