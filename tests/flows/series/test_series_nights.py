"""Nights of series, from the input to events, scores, and report."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from bench import DAY
from series_nights import (
    DAY_ROWS,
    events_of,
    night_table,
    scores_of,
    summary_of,
    write_night,
)
from typer.testing import CliRunner

from flows.cli.app import app

RULE_WORDS = "At most 1 false event in 4 days of clean data"


@pytest.fixture
def scored(series):
    result = series.score()
    assert result.code == 0, result.err
    return series


def test_an_event_names_its_entity_times_sensors_and_cause(scored):
    [event] = events_of(scored)
    start = np.datetime64(DAY) + np.timedelta64(100 * 5, "m")

    assert event["entity"] == "p1"
    assert event["start"].replace(tzinfo=None) <= start.astype(object)
    assert event["end"] > event["peak"] > event["start"]
    assert event["sensors"].startswith("speed")
    assert "speed" in event["cause"]


def test_the_table_of_events_is_the_same_as_csv(scored):
    folder = scored.workspace / f"reports/small/{DAY}/rev=1"
    table = pq.read_table(folder / "outliers.parquet")
    csv = pa_csv.read_csv(folder / "outliers.csv")

    assert csv.column_names == table.column_names
    assert csv["cause"].to_pylist() == table["cause"].to_pylist()


def test_the_summary_counts_rows_events_and_what_is_promised(scored):
    summary = summary_of(scored)

    assert (summary["verdict"], summary["rows"], summary["flagged"]) == ("REVIEW 1", 576, 1)
    assert summary["promise"].startswith(RULE_WORDS)
    assert (summary["promises"], summary["score"]) == (True, "windows")
    assert summary["checks"]["series"] == "2 entities, 2 segments"
    assert summary["checks"]["rows of the night before"] == "512, of 2 of the entities"


def test_the_report_shows_the_event(scored):
    page = (scored.workspace / f"reports/small/{DAY}/rev=1/report.html").read_text()

    assert "p1" in page
    assert events_of(scored)[0]["cause"] in page
    assert RULE_WORDS in page


def test_status_counts_events(scored):
    printed = CliRunner().invoke(app, ["status", str(scored.job)]).stdout

    assert f"{DAY}: REVIEW 1, 1 event in 576 rows" in printed


def test_every_row_has_a_score_by_entity_and_time(scored):
    scores = scores_of(scored)
    names, times = scores["entity"].to_pylist(), scores["time"].to_pylist()

    assert (scores.num_rows, scores["score"].null_count) == (2 * DAY_ROWS, 0)
    assert names == ["p0"] * DAY_ROWS + ["p1"] * DAY_ROWS
    assert times[:DAY_ROWS] == sorted(times[:DAY_ROWS])
    assert scores["row"].to_pylist()[:3] == [0, 2, 4], "pumps take turns in the input"


@pytest.mark.parametrize(
    ("shard", "memory"),
    [(3_000, 10**9), pytest.param(111, 10**9, marks=pytest.mark.slow), (10**6, 3_000)],
)
def test_scores_do_not_depend_on_shards_or_memory(scored, monkeypatch, shard, memory):
    for section in ("data", "results"):
        monkeypatch.setattr(f"flows.jobs.sections.{section}.require_size", lambda *_: None)
    monkeypatch.setattr("flows.scoring.series.shards.LEAST_ROWS", 1)
    before = scores_of(scored)
    settings = [f"data.shard_bytes={shard} B", f"score.memory={memory} B"]
    again = scored.score("--force", "--set", settings[0], "--set", settings[1])

    assert again.code == 0, again.err
    assert scores_of(scored).equals(before)
    assert events_of(scored, rev=2) == events_of(scored)


def test_nothing_is_written_if_nothing_has_changed(scored):
    assert scored.score().facts["written"] is False


def test_the_first_rows_of_a_night_score_as_in_one_long_file(scored):
    nights = night_table("2026-11-21"), night_table(planted=slice(100, 130))
    pq.write_table(pa.concat_tables(nights), scored.folder / "both.parquet")
    assert scored.score("--source", scored.folder / "both.parquet", day="2026-11-25").code == 0
    whole, tonight = scores_of(scored, "2026-11-25"), scores_of(scored)
    same = whole.filter(pc.greater_equal(whole["time"], tonight["time"][0]))

    assert same["score"].to_pylist() == tonight["score"].to_pylist()


def test_an_anomaly_that_spans_midnight_is_found_on_both_nights(series):
    write_night(series, night_table("2026-11-21", planted=slice(-20, None)), "2026-11-21")
    write_night(series, night_table(planted=slice(0, 12)))
    for day in ("2026-11-21", DAY):
        assert series.score(day=day).code == 0
        assert [event["entity"] for event in events_of(series, day)] == ["p1"]

    assert events_of(series)[0]["start"].replace(tzinfo=None).isoformat() == f"{DAY}T00:00:00"


def test_late_rows_make_a_new_revision(scored):
    write_night(scored, night_table(planted=slice(90, 130)))

    assert scored.score().facts["revision"] == 2


def test_times_that_were_put_right_make_a_new_revision(scored):
    table = night_table(planted=slice(100, 130))
    later = pc.add(table["at"], pa.scalar(timedelta(seconds=1)))
    write_night(scored, table.set_column(0, "at", later))

    assert scored.score().facts["revision"] == 2


def test_rows_of_the_night_before_that_come_late_make_a_new_revision(scored):
    write_night(scored, night_table("2026-11-21", planted=slice(-40, -35)), "2026-11-21")

    assert scored.score().facts["revision"] == 2


def test_another_gap_makes_a_new_revision(scored):
    assert scored.score("--set", "series.gap=2 min").facts["revision"] == 2
    assert summary_of(scored, rev=2)["rows"] == 0


def test_a_night_without_input_has_no_data(series):
    result = series.score(day="2026-11-24")

    assert (result.code, result.facts["verdict"]) == (3, "NO DATA")


def test_a_late_night_replaces_no_data(series):
    series.score(day="2026-11-23")
    write_night(series, night_table("2026-11-23"), "2026-11-23")

    assert series.score(day="2026-11-23").facts["revision"] == 2
