"""A job whose clean rows are JSON lines, and nights in every other format."""

from __future__ import annotations

import csv

import numpy as np
import pyarrow as pa
import pytest
from bench import JOB, Bench, rows_of
from tables import write_table

NIGHTS = {
    "2026-11-20": "parquet",
    "2026-11-21": "arrow",
    "2026-11-22": "orc",
    "2026-11-23": "jsonl.gz",
    "2026-11-24": "arrows",
}


def table_of(n, seed):
    random = np.random.default_rng(seed)
    numbers = {f"x{place}": column for place, column in enumerate(rows_of(n, seed).T)}
    return pa.table({**numbers, "site": random.choice(["a", "b"], n), "id": np.arange(n) + 2**53})


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    folder = tmp_path_factory.mktemp("formats")
    text = JOB.replace("clean.npy", "clean.jsonl").replace("epochs = 15", "epochs = 3")
    (folder / "small.toml").write_text(text.replace("[model]", 'id = "id"\n[model]'))
    write_table(folder / "clean.jsonl", table_of(600, 0))
    for day, suffix in NIGHTS.items():
        write_table(folder / f"nights/{day}.{suffix}", table_of(100, 1), rows_in_part=30)
    bench = Bench(folder)
    trained = bench.run("train", bench.job)
    assert trained.code == 0, trained.err
    return bench


def listed(bench, day):
    found = bench.score("--set", f"data.incoming=nights/{{date}}.{NIGHTS[day]}", day=day)
    assert found.code == 0, found.err
    report = bench.workspace / f"reports/small/{day}/rev=1/outliers.csv"
    with report.open(encoding="utf-8", newline="") as file:
        return [(row["id"], row["error"], row["cause"]) for row in csv.DictReader(file)]


def test_a_night_has_the_same_scores_in_every_format(bench):
    first, *others = [listed(bench, day) for day in NIGHTS]

    assert int(first[0][0]) >= 2**53
    assert others == [first] * len(others)


@pytest.mark.parametrize("day", NIGHTS)
def test_init_proposes_a_job_for_every_format(bench, day):
    found = bench.run("init", bench.folder / f"nights/{day}.{NIGHTS[day]}")

    assert found.code == 0, found.err
    assert f"{{date}}.{NIGHTS[day]}" in found.facts["job"]
