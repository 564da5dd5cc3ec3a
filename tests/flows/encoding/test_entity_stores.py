"""Stores of tables whose rows are scaled by the level and spread of their entities."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from bench import JOB, Bench, decode, encode

from flows.jobs.inputs import open_rows
from flows.jobs.job_file import read_job
from flows.jobs.workspace import open_workspace
from flows.training.load_model import load_model
from storage.codecs.bounded import LATENTS
from storage.codecs.selection import hold_contest
from storage.latents.exact_columns import same_values

pytestmark = pytest.mark.slow

MACHINES = 6
LEVEL = np.random.default_rng(5).normal(0, 200, (MACHINES, 3))
SPREAD = np.exp(np.random.default_rng(6).normal(0, 0.7, (MACHINES, 3)))
NUMBERS = ("heat", "load", "count")
RULES = ("precision=float32", "precision=auto", "max_error=0.01", "max_rmse=0.5", "max_error=2")


def readings(n: int, seed: int) -> pa.Table:
    """Readings of machines near a line, with a place; some machines are unknown, or not named."""
    random = np.random.default_rng(seed)
    which = random.integers(0, MACHINES, n)
    hidden = random.normal(size=(n, 1)) + 0.05 * random.normal(size=(n, 3))
    values = LEVEL[which] + SPREAD[which] * hidden
    names = [f"M{each}" for each in which]
    if seed:
        names[:2] = ["M99", None]
    return pa.table(
        {
            "heat": values[:, 0],
            "machine": pa.array(names).dictionary_encode(),
            "load": values[:, 1].astype(np.float32),
            "place": random.choice(["hall", "yard"], n),
            "count": np.rint(values[:, 2]).astype(np.int32),
        }
    )


def trained(folder, write, suffix: str) -> Bench:
    write(readings(1200, 0), folder / f"clean{suffix}")
    job = JOB.replace(".npy", suffix).replace("[model]", 'entity = "machine"\n[model]')
    (folder / "small.toml").write_text(job)
    result = Bench(folder).run("train", folder / "small.toml")
    assert result.code == 0, result.err
    return Bench(folder)


@pytest.fixture(scope="module")
def plant(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("plant"), pq.write_table, ".parquet")


@pytest.fixture
def bench(plant, tmp_path):
    shutil.copytree(plant.folder, tmp_path / "job", copy_function=shutil.copy2)
    return Bench(tmp_path / "job")


def night_of(bench, table):
    pq.write_table(table, bench.folder / "night.parquet")
    return bench.folder / "night.parquet"


def numbers(table):
    return np.stack([table[name].cast(pa.float64()).to_numpy() for name in NUMBERS], axis=1)


@pytest.mark.parametrize("format", ["hdf5", "parquet"])
@pytest.mark.parametrize("setting", RULES)
def test_entities_come_back_exactly_and_numbers_within_what_the_report_says(bench, format, setting):
    table = readings(400, 3)
    store, report = encode(bench, night_of(bench, table), setting, f"format={format}")
    back = decode(bench, store)
    apart = np.abs(numbers(back) - numbers(table))

    assert back.schema.equals(table.schema)
    assert same_values(back.drop_columns([*NUMBERS]), table.drop_columns([*NUMBERS]))
    assert apart.max() == report["loss"]["largest"]
    assert setting != "max_error=0.01" or apart.max() <= 0.01
    assert setting != "max_error=2" or apart.max() <= 2
    assert bench.run("verify", store).code == 0


@pytest.mark.parametrize(
    ("setting", "codec"), [("max_error=2", "residual"), ("max_rmse=9", LATENTS)]
)
def test_codecs_that_start_from_the_decoder_use_scales_of_entities(
    bench, setting, codec, monkeypatch
):
    def decoder_first(sample, bound, *, fast):
        found = hold_contest(sample, bound, fast=fast)
        return sorted(found, key=lambda entry: not entry.decodes_latents)

    monkeypatch.setattr("flows.encoding.plan.hold_contest", decoder_first)
    table = readings(400, 0)
    store, report = encode(bench, night_of(bench, table), setting)
    apart = np.abs(numbers(decode(bench, store)) - numbers(table))

    assert report["bound"]["codecs"] == {codec: 400}
    assert apart.max() == report["loss"]["largest"]
    assert apart.max() <= 2 or codec == LATENTS


def test_decoded_numbers_are_the_reconstructions_of_the_model(bench):
    night = night_of(bench, readings(300, 4))
    store, _ = encode(bench, night, "precision=float32", "keep_exact=0")
    back = numbers(decode(bench, store))
    job = read_job(bench.job)
    _, model = load_model(open_workspace(job), device="cpu")
    with open_rows(job, night, model.layout) as source:
        (chunk,) = source.chunks(max_rows=300)
        rebuilt = model.reconstruct(chunk.rows)[:, source.stored_columns.places]

    assert np.abs(back - rebuilt)[:, :2].max() < 1e-3
    assert np.abs(back - rebuilt)[:, 2].max() <= 0.5 + 1e-3  # rounded
    assert np.abs(back - numbers(pq.read_table(night)))[2:].max() < 20  # levels differ by 200


def test_single_rows_and_packed_stores_equal_a_full_decode(bench):
    store, _ = encode(bench, night_of(bench, readings(400, 4)))
    whole, packed = decode(bench, store), bench.folder / "one.h5"
    assert bench.run("pack", store, "--out", packed).code == 0

    assert same_values(decode(bench, store, "--rows", "7,1,399,0"), whole.take([7, 1, 399, 0]))
    assert same_values(decode(bench, packed, "--rows", "100:200"), whole.slice(100, 100))


def test_the_scales_of_entities_are_part_of_the_decoder_and_counted(bench):
    store, report = encode(bench, night_of(bench, readings(400, 4)))
    manifest = json.loads((store / "manifest.json").read_text())

    assert manifest["source"]["exact"]["entity"] == "machine"
    held = sum(path.stat().st_size for path in store.glob("model/*"))
    assert report["bytes"]["store"] > held > 8 * MACHINES


def test_a_store_of_a_csv_file_decodes_by_the_entities_as_they_are_written(tmp_path):
    bench = trained(tmp_path, pa_csv.write_csv, ".csv")
    table = readings(300, 4)
    pa_csv.write_csv(table, tmp_path / "night.csv")
    store, _ = encode(bench, tmp_path / "night.csv", "keep_exact=0")
    back = decode(bench, store)

    assert back["machine"].to_pylist() == table["machine"].to_pylist()
    assert np.abs(numbers(back) - numbers(table))[2:].max() < 20
