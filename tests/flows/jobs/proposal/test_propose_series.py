"""init on rows that form series: [series], a small network, and a rule that the rows honor."""

from __future__ import annotations

import tomllib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from bench import DAY, Bench
from series_nights import DAY_ROWS, clean_table, night_table, write_night

from flows.jobs.proposal.propose import propose_job

STEP = 300


def proposed(path, table: pa.Table) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return propose_job(str(path), field="").text


def table_of_days(days: float, *, numbers: bool = False) -> pa.Table:
    count = int(days * DAY_ROWS)
    seconds = np.arange(count) * STEP
    times = seconds if numbers else np.datetime64("2026-10-01", "s") + seconds
    return pa.table({"time": times, "heat": np.random.default_rng(1).normal(size=count)})


def test_time_entity_and_gap_are_proposed_with_reasons(tmp_path):
    text = proposed(tmp_path / "pumps.parquet", clean_table())
    job = tomllib.loads(text)

    assert job["series"] == {"time": "at", "entity": "pump", "window": "auto", "gap": "1 h"}
    assert "at increases within each of 2 values of pump in steps of about 5 min" in text
    assert "by" not in job["score"]


@pytest.mark.parametrize(
    ("days", "rule"),
    [(10, "events 1/7d"), (5, "events 1/1d"), (0.8, "events 1/12h"), (0.4, "events 1/6h")],
)
def test_the_rule_is_the_strictest_that_the_clean_rows_honor(tmp_path, days, rule):
    text = proposed(tmp_path / "a.parquet", table_of_days(days))

    assert tomllib.loads(text)["score"]["rule"] == rule


@pytest.mark.parametrize(
    ("hours", "rows", "rule"),
    [
        (1, 5_000, "events 1/30d"),
        (1, 400, "events 1/7d"),
        (24, 1_500, "events 1/1000d"),
        (24, 800, "events 1/365d"),
        (24 * 30, 240, "events 1/3650d"),
    ],
)
def test_the_rate_of_rows_that_are_far_apart_covers_many_of_them(tmp_path, hours, rows, rule):
    times = np.datetime64("2020-01-01T00", "s") + hours * 3_600 * np.arange(rows)
    random = np.random.default_rng(0)
    table = pa.table({"at": times, "x": random.normal(size=rows), "y": random.normal(size=rows)})
    text = proposed(tmp_path / "a.parquet", table)

    assert tomllib.loads(text)["score"]["rule"] == rule


def test_times_of_numbers_have_a_rate_in_rows(tmp_path):
    text = proposed(tmp_path / "a.parquet", table_of_days(5, numbers=True))

    assert tomllib.loads(text)["score"]["rule"] == "events 1/1000"
    assert tomllib.loads(text)["series"]["gap"] == 10 * STEP


def test_columns_that_windows_do_not_see_are_listed(tmp_path):
    kinds = pa.array(np.random.default_rng(1).choice(["a", "b"], 10 * DAY_ROWS))
    text = proposed(tmp_path / "a.parquet", table_of_days(10).append_column("state", kinds))

    assert "# no number; with [series], windows see numbers only: 'state'" in text


def test_irregular_steps_lead_to_a_grid_as_a_comment(tmp_path):
    keep = np.random.default_rng(1).random(10 * DAY_ROWS) > 0.1
    text = proposed(tmp_path / "a.parquet", table_of_days(10).filter(pa.array(keep)))

    assert '# resample = "5 min"' in text
    assert "resample" not in tomllib.loads(text)["series"]


def test_working_days_lead_to_no_grid(tmp_path):
    days = [day for day in range(700) if day % 7 < 5]
    times = pa.array([86_400 * day for day in days], pa.timestamp("s"))
    text = proposed(tmp_path / "a.parquet", pa.table({"day": times, "sold": days}))

    assert tomllib.loads(text)["series"]["time"] == "day"
    assert "resample" not in text


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kolkata"])
def test_parts_of_the_time_are_no_sensors(tmp_path, zone):
    hours = pa.array(range(0, 3_600 * 24 * 300, 3_600), pa.timestamp("s", "UTC"))
    local = hours.cast(pa.timestamp("s", zone))
    columns = {
        "at": hours,
        "year": pc.year(local),
        "month": pc.month(local),
        "hour": pc.hour(local).cast(pa.float64()),
        "day_of_week": pc.day_of_week(local, count_from_zero=False),
        "dow": pc.day_of_week(local, count_from_zero=False, week_start=7),  # as in SQL
        "week": pc.iso_week(local),
        "shift": pc.divide(pc.hour(local), 8),
        "load": np.random.default_rng(1).normal(size=len(hours)),
    }
    job = tomllib.loads(proposed(tmp_path / "a.parquet", pa.table(columns)))

    assert job["data"]["ignore"] == ["year", "month", "hour", "day_of_week", "dow", "week"]
    assert job["series"]["time"] == "at"


def test_numbers_that_equal_a_part_of_the_time_by_chance_are_sensors(tmp_path):
    hours = pa.array(range(0, 3_600 * 24 * 20, 3_600), pa.timestamp("s"))
    columns = {"at": hours, "running": np.ones(len(hours), int), "year": np.full(len(hours), 1970)}
    sensors = {"load": np.random.default_rng(1).normal(size=len(hours))}
    job = tomllib.loads(proposed(tmp_path / "a.parquet", pa.table(columns | sensors)))

    assert job["data"]["ignore"] == ["year"]


def test_parts_of_the_time_may_have_another_type_in_each_file(tmp_path):
    for day, kind in enumerate([pa.int64(), pa.float64()]):
        rows = np.arange(day * 240, day * 240 + 240)
        columns = {
            "at": pa.array(3_600 * rows, pa.timestamp("s")),
            "hour": pa.array(rows % 24).cast(kind),
            "load": np.random.default_rng(day).normal(size=len(rows)),
        }
        pq.write_table(pa.table(columns), tmp_path / f"{day}.parquet")

    job = tomllib.loads(propose_job(str(tmp_path), field="").text)
    assert job["data"]["ignore"] == ["hour"]


def test_files_of_a_folder_are_series_where_their_times_overlap(tmp_path):
    (tmp_path / "rigs").mkdir()
    for number in range(3):
        options = pa_csv.WriteOptions(delimiter=";")
        pa_csv.write_csv(table_of_days(2), tmp_path / f"rigs/{number}.csv", options)
    job = tomllib.loads(propose_job(str(tmp_path / "rigs"), field="").text)

    assert (job["series"]["entity"], job["data"]["incoming"]) == ("file", "nights/{date}")


def test_short_series_are_judged_by_rows(tmp_path):
    assert "[series]" not in proposed(tmp_path / "a.parquet", table_of_days(0.2))


def test_a_proposed_job_trains_and_scores_as_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = proposed(tmp_path / "pumps.parquet", clean_table())
    (tmp_path / "small.toml").write_text(text)
    bench = Bench(tmp_path)
    write_night(bench, night_table(planted=slice(100, 130)))

    assert bench.run("train", bench.job).code == 0
    assert bench.score().facts["flagged"] >= 1
    assert (tmp_path / f"workspace/reports/pumps/{DAY}/rev=1/report.html").exists()


@pytest.mark.parametrize("days", [2, 20])
def test_booleans_are_seen_as_windows_see_them(tmp_path, days):
    table, random = table_of_days(days), np.random.default_rng(2)
    states = random.random(table.num_rows) < 0.1
    pa_csv.write_csv(table.append_column("open", pa.array(states)), tmp_path / "valves.csv")
    text = propose_job(str(tmp_path / "valves.csv"), field="").text

    assert "2 features" in text
    assert "'open'" not in text  # neither unseen nor a code for gaps
