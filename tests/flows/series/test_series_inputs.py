"""What series are read from: files, arrays, times of numbers, queries; and the rest of a job."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pytest
from bench import DAY, Bench, decode, encode, tree
from kills import done, killed_until_done
from series_nights import (
    CLEAN_DAYS,
    DAY_ROWS,
    SENSORS,
    SERIES_JOB,
    clean_table,
    events_of,
    night_rows,
    night_table,
    pumps,
    readings,
    scores_of,
    summary_of,
    trained_series,
    write_night,
)

from flows.jobs.job_file import read_job
from flows.publishing.nights import unpublished_nights

CLEAN_ROWS = CLEAN_DAYS * DAY_ROWS


def trained(bench: Bench, text: str) -> Bench:
    bench.job.write_text(text)
    result = bench.run("train", bench.job)
    assert result.code == 0, result.err
    return bench


def with_planted(rows: np.ndarray) -> np.ndarray:
    rows = rows.copy()
    rows[100:130, 1] += 4
    return rows


def test_each_file_of_a_folder_can_be_a_series(tmp_path):
    first, stop = night_rows()
    for folder, span in (("clean", (0, CLEAN_ROWS)), (f"nights/{DAY}", (first, stop))):
        (tmp_path / folder).mkdir(parents=True)
        for number, rows in enumerate(pumps(*span)):
            found = with_planted(rows) if number and span[0] else rows
            columns = dict(zip(SENSORS, found.T, strict=True))
            table = pa.table({"at": np.arange(*span) * 300, **columns})
            pa_csv.write_csv(table, tmp_path / folder / f"p{number}.csv")
    text = SERIES_JOB.replace('entity = "pump"', 'entity = "file"').replace("1 h", "3600")
    text = text.replace("clean.parquet", "clean").replace("{date}.parquet", "{date}")
    bench = trained(Bench(tmp_path), text.replace("events 1/4d", "events 1/1152"))

    assert bench.score().code == 0
    [event] = events_of(bench)
    assert (event["entity"], event["file"]) == ("p1.csv", "p1.csv")
    assert event["start"] < (first + 130) * 300 <= event["end"]


def test_rows_of_an_array_are_steps(tmp_path):
    (tmp_path / "nights").mkdir()
    np.save(tmp_path / "clean.npy", readings(1, 0, CLEAN_ROWS))
    np.save(tmp_path / f"nights/{DAY}.npy", with_planted(readings(1, *night_rows())))
    text = SERIES_JOB.replace(".parquet", ".npy").replace("events 1/4d", "events 1/1152")
    text = text.replace('time = "at"\nentity = "pump"\n', "").replace('gap = "1 h"\n', "")
    bench = trained(Bench(tmp_path), text)

    assert bench.score().code == 0
    [event] = events_of(bench)
    assert (event["sensors"].split(",")[0], event["start"] < 130, event["end"] >= 100) == (
        "column 1",
        True,
        True,
    )


def test_a_rate_in_days_is_refused_without_times(tmp_path):
    np.save(tmp_path / "clean.npy", readings(1, 0, CLEAN_ROWS))
    text = SERIES_JOB.replace(".parquet", ".npy")
    text = text.replace('time = "at"\nentity = "pump"\n', "").replace('gap = "1 h"\n', "")
    bench = Bench(tmp_path)
    bench.job.write_text(text)
    trained = bench.run("train", bench.job).facts
    page = (bench.folder / trained["path"] / "training.html").read_text()

    assert "rows have no times" in page


def test_a_warm_up_judges_a_night_by_its_own_first_rows(tmp_path):
    text = SERIES_JOB.replace("gap", 'baseline = "warmup 80"\ngap').replace("1/4d", "1/2d")
    bench = trained_series(tmp_path, text)
    write_night(bench, night_table("2026-11-21"), "2026-11-21")
    table = night_table(planted=slice(200, 230))
    raised = pa.array(table["heat"].to_numpy() + 500)
    write_night(bench, table.set_column(2, "heat", raised))

    assert bench.score().code == 0
    [event] = events_of(bench)
    assert (event["entity"], event["sensors"].split(",")[0]) == ("p1", "speed")


def test_rows_on_a_grid_score_once_in_shards_of_any_size(tmp_path, monkeypatch):
    bench = trained_series(tmp_path, SERIES_JOB.replace("gap", 'resample = "10 min"\ngap'))
    every_third = pa.array(np.arange(2 * DAY_ROWS) // 2 % 40 != 5)
    write_night(bench, night_table().filter(every_third))
    assert bench.score().code == 0, bench.score().err
    before = scores_of(bench)
    for section in ("data", "results"):
        monkeypatch.setattr(f"flows.jobs.sections.{section}.require_size", lambda *_: None)
    monkeypatch.setattr("flows.scoring.series.shards.LEAST_ROWS", 1)
    assert bench.score("--force", "--set", "data.shard_bytes=200 B").code == 0

    assert scores_of(bench).equals(before)
    assert len(set(before["row"].to_pylist())) == before.num_rows


def test_a_store_holds_the_rows_once_and_decodes_to_the_sensors(series):
    path = write_night(series, night_table())
    store, report = encode(series, path, "max_error=1e-3")
    back = decode(series, store)
    table = night_table()

    assert report["rows"] == 2 * DAY_ROWS
    assert back.column_names == [*SENSORS]
    for name in SENSORS:
        assert np.abs(back[name].to_numpy() - table[name].to_numpy()).max() <= 1e-3


def test_everything_that_a_series_job_writes_verifies(series):
    assert series.score().code == 0
    store, _ = encode(series, write_night(series, night_table()))
    model = series.run("models", "list", series.job).facts["current"]
    written = (
        series.workspace / f"models/small/{model}",
        series.workspace / f"scores/small/date={DAY}",
        series.workspace / f"reports/small/{DAY}/rev=1",
        store,
    )

    assert [series.run("verify", folder).code for folder in written] == [0, 0, 0, 0]


def test_events_can_be_labeled(series):
    series.score()
    [event] = events_of(series)
    (series.folder / "checked.csv").write_text(f"date,id,label\n{DAY},{event['id']},outlier\n")
    facts = series.run("label", series.job, series.folder / "checked.csv").facts

    assert (facts["labelled"], facts["right"]) == (1, 1)


def test_a_night_is_copied_to_a_bucket(series, bucket):
    text = series.job.read_text()
    series.job.write_text(f'{text}[publish]\nbucket = "s3://rows/series"\n')

    assert series.score().code == 0
    assert not [*unpublished_nights(read_job(series.job))]


def test_events_are_published_to_a_table(series, monkeypatch, tmp_path):
    monkeypatch.setenv("NIGHTS_DB", f"sqlite:///{tmp_path}/nights.db")
    text = series.job.read_text()
    series.job.write_text(
        f'{text}[publish]\noutliers = "outliers"\nscores = "scores"\nconnection = "NIGHTS_DB"\n'
    )
    result = series.score()
    assert result.code == 0, result.err
    with closing(sqlite3.connect(tmp_path / "nights.db")) as connection:
        counts = [
            connection.execute(f"select count(*) from {name}").fetchone()[0]  # ours
            for name in ("outliers", "scores")
        ]

    assert counts == [1, 2 * DAY_ROWS]


@pytest.mark.slow
def test_a_query_gives_the_scores_of_the_same_rows_in_files(series, monkeypatch, tmp_path):
    series.score()
    monkeypatch.setenv("PUMPS_DB", f"sqlite:///{tmp_path}/pumps.db")
    with closing(sqlite3.connect(tmp_path / "pumps.db")) as connection, connection:
        columns = ", ".join(f"{name} double" for name in SENSORS)
        connection.execute(f"create table pumps (at text, pump text, {columns})")
        for table in (clean_table(), night_table(planted=slice(100, 130))):
            rows = [
                [str(row[0]), *row[1:]] for row in zip(*table.to_pydict().values(), strict=True)
            ]
            connection.executemany("insert into pumps values (?, ?, ?, ?, ?)", rows)
    where = "sql: SELECT * FROM pumps WHERE"
    text = SERIES_JOB.replace("clean.parquet", f"{where} at < '{DAY}' ORDER BY at")
    text = text.replace("nights/{date}.parquet", f"{where} date(at) = {{date}} ORDER BY at")
    (tmp_path / "sql").mkdir()
    bench = trained(
        Bench(tmp_path / "sql"), text.replace("[series]", 'connection = "PUMPS_DB"\n[series]')
    )

    assert bench.score().code == 0
    assert [event["entity"] for event in events_of(bench)] == ["p1"]
    assert summary_of(bench)["rows"] == summary_of(series)["rows"]


@pytest.mark.slow
def test_a_killed_night_resumes_to_the_same_bytes(series, tmp_path):
    rng = np.random.default_rng(3)
    columns = {name: rng.normal(size=300_000) for name in SENSORS}
    at = np.datetime64(DAY, "us") + np.arange(300_000) * np.timedelta64(250, "ms")
    write_night(series, pa.table({"at": at, "pump": ["p0"] * 300_000, **columns}))
    other = Bench(tmp_path / "other")
    shutil.copytree(series.folder, other.folder, copy_function=shutil.copy2)
    line = ["score", series.job, "--date", DAY, "--set", "data.shard_bytes=1 MB"]
    seconds = done(line)
    results = [other.workspace / part for part in ("scores", "reports", "superseded")]
    killed_until_done(["score", other.job, *line[2:]], longest=seconds, results=results, kills=5)

    for part in results:
        assert tree(part) == tree(series.workspace / part.name)
