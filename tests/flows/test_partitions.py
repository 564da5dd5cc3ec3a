"""A job on a lake of daily folders: training, nights, markers, and files that arrive late."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bench import JOB, Bench, rows_of

CLEAN_DAYS = [f"2026-10-{day:02}" for day in range(1, 31)]


def write_day(folder, day, *, n, seed, regions=("eu", "us"), part=0):
    for region in regions:
        numbers = {f"x{i}": column for i, column in enumerate(rows_of(n, seed + len(region)).T)}
        path = folder / f"dt={day}/region={region}/part-{part}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(numbers), path)


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """A folder whose job is trained on thirty days, and one finished night."""
    folder = tmp_path_factory.mktemp("lake")
    text = JOB.replace("clean.npy", "clean").replace("nights/{date}.npy", "lake/dt={date}")
    ready = 'ready = "lake/dt={date}/_SUCCESS"\n[model]'
    (folder / "small.toml").write_text(text.replace("[model]", ready).replace("= 15", "= 4"))
    for seed, day in enumerate(CLEAN_DAYS):
        write_day(folder / "clean", day, n=10, seed=seed)
    bench = Bench(folder)
    trained = bench.run("train", bench.job)
    assert trained.code == 0, trained.err
    return bench, trained


def test_training_reads_the_folders_and_says_why_not_all(lake):
    facts = lake[1].facts

    assert facts["read_as"]["read as category"] == "region"
    assert facts["not_read"]["columns not read"].startswith("dt (a date in the path, which")


def test_a_night_waits_for_its_marker_and_a_later_date_is_no_drift(lake):
    bench, _ = lake
    write_day(bench.folder / "lake", "2026-11-22", n=100, seed=99)
    early = bench.score(day="2026-11-22")
    (bench.folder / "lake/dt=2026-11-22/_SUCCESS").touch()
    scored = bench.score(day="2026-11-22")

    assert (early.code, early.facts["verdict"]) == (3, "NO DATA")
    assert scored.facts["verdict"].split()[0] in ("OK", "REVIEW")
    assert scored.facts["rows"] == 200


def test_a_file_that_arrives_late_makes_a_new_revision(lake):
    bench, _ = lake
    write_day(bench.folder / "lake", "2026-11-23", n=100, seed=98)
    (bench.folder / "lake/dt=2026-11-23/_SUCCESS").touch()
    first = bench.score(day="2026-11-23")
    write_day(bench.folder / "lake", "2026-11-23", n=10, seed=97, regions=("us",), part=1)
    later = bench.score(day="2026-11-23")

    assert (first.facts["revision"], first.facts["rows"]) == (1, 200)
    assert (later.facts["revision"], later.facts["rows"]) == (2, 210)


def test_init_proposes_the_folder_of_a_night(lake):
    bench, _ = lake
    found = bench.run("init", bench.folder / "clean")

    assert f'"{bench.folder}/clean/dt={{date}}"' in found.facts["job"]
    assert "a date in the path" in found.facts["job"]


def test_rows_name_the_file_with_its_folders(lake):
    bench, _ = lake
    write_day(bench.folder / "lake", "2026-11-24", n=50, seed=96)
    (bench.folder / "lake/dt=2026-11-24/_SUCCESS").touch()
    assert bench.score(day="2026-11-24").code == 0

    part = bench.workspace / "scores/small/date=2026-11-24/part-00000.parquet"
    names = pq.read_table(part, partitioning=None)["file"].to_pylist()
    assert np.unique(names).tolist() == [f"region={each}/part-0.parquet" for each in ("eu", "us")]
