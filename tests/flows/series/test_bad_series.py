"""Nights of series with gaps, repeats, and rows that cannot be judged."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from bench import DAY, Bench
from series_nights import (
    DAY_ROWS,
    PUMPS,
    SERIES_JOB,
    clean_table,
    events_of,
    night_rows,
    night_table,
    pumps,
    readings,
    scores_of,
    summary_of,
    table_of,
    trained_series,
    write_night,
)

from aemodel.series.causes import event

IMPUTE = 'missing = "impute"\n\n[series]'


@pytest.fixture
def night(series):
    """Score a night; return result and summary."""

    def night(table, *settings, code=0):
        write_night(series, table)
        words = [word for each in settings for word in ("--set", each)]
        result = series.score(*words)
        assert result.code == code, result.err
        return summary_of(series)

    night.bench = series
    return night


def with_values(table: pa.Table, name: str, values: dict[int, float | None]) -> pa.Table:
    """The table with other values in some rows of a column."""
    column = table[name].to_pylist()
    for row, value in values.items():
        column[row] = value
    return table.set_column(table.column_names.index(name), name, pa.array(column))


def test_a_new_entity_is_judged_by_the_level_of_all_and_named(night):
    first, stop = night_rows()
    summary = night(table_of(pumps(first, stop), first, names=("p0", "p7")))

    assert "1 of 2 values of pump are not in the clean data" in summary["notes"][0]
    assert summary["notes"][0].endswith("p7")


def test_a_sensor_that_is_missing_tonight_is_refused_by_name(night):
    write_night(night.bench, night_table().drop(["speed"]))
    result = night.bench.score()

    assert result.code == 1
    assert "speed" in result.err
    assert summary_of(night.bench)["verdict"] == "FAILED"


@pytest.mark.parametrize("column", ["at", "pump"])
def test_a_column_of_the_order_that_is_missing_is_refused_by_name(night, column):
    write_night(night.bench, night_table().drop([column]))
    result = night.bench.score()

    assert result.code == 1
    assert column in result.err


def test_a_sensor_that_stands_still_is_an_event(night):
    flat = dict.fromkeys(range(1, 2 * DAY_ROWS, 2), 10.0)
    night(with_values(night_table(), "speed", flat))

    assert [found["entity"] for found in events_of(night.bench)] == ["p1"]


def test_a_long_event_is_explained_around_its_peak(night, monkeypatch):
    shifted = with_values(night_table(), "speed", dict.fromkeys(range(1, 2 * DAY_ROWS, 2), 90.0))
    night(shifted)
    [whole] = events_of(night.bench)
    monkeypatch.setattr(event, "MOST_VALUES", 3 * 100)
    night.bench.score("--force")
    [part] = events_of(night.bench, rev=2)

    assert (part["start"], part["end"], part["rows"]) == (
        *(whole["start"], whole["end"]),
        DAY_ROWS,
    )
    assert part["cause"].startswith("speed ")
    assert part["cause"].endswith("(seen in 100 of 288 rows, around the peak)")
    report = night.bench.workspace / f"reports/small/{DAY}/rev=2/report.html"
    assert "(seen in 100 of 288 rows, around the peak)" in report.read_text()


def test_no_window_crosses_a_gap_of_hours(night):
    table = night_table()
    at = table["at"]
    cut = [pa.scalar(at[0].as_py() + timedelta(hours=hours)) for hours in (8, 11)]
    summary = night(table.filter(pc.or_(pc.less(at, cut[0]), pc.greater_equal(at, cut[1]))))

    assert summary["checks"]["series"] == "2 entities, 4 segments"
    assert (summary["verdict"], summary["rows"]) == ("OK", 2 * (DAY_ROWS - 36))


def test_rows_between_two_pauses_that_no_window_covers_are_counted(night):
    step = np.arange(2 * DAY_ROWS) // 2
    island = (step >= 40) & (step < 50)
    summary = night(night_table().filter(pa.array(island | (step >= 100))), code=4)

    assert "20 rows are not judged" in " ".join(summary["notes"])
    assert summary["rows"] == 2 * (DAY_ROWS - 100)


def test_a_night_of_three_rows_is_judged_with_the_night_before(night):
    assert night(night_table().slice(0, 6))["rows"] == 6


def test_an_entity_of_three_rows_is_not_judged(night):
    first, stop = night_rows()
    values = [*pumps(first, stop), readings(0, first, first + 3)]
    summary = night(table_of(values, first, names=("p0", "p1", "p2")))
    scores = scores_of(night.bench)

    assert summary["verdict"] == "OK"  # few rows: a night is PARTIAL beyond 1 % of them
    assert "3 rows are not judged" in " ".join(summary["notes"])
    assert scores["score"].null_count == 3
    assert summary["rows"] == 2 * DAY_ROWS


def test_series_shorter_than_a_window_have_no_data(night):
    table = night_table().slice(0, 40)
    later = pc.add(table["at"], pa.scalar(timedelta(hours=5)))
    summary = night(table.set_column(0, "at", later).slice(0, 40), code=3)

    assert summary["verdict"] == "NO DATA"
    assert "no series is as long as a window of 32 rows (40 rows)" in summary["promise"]


def test_rows_out_of_order_score_as_in_order(night):
    night(night_table(planted=slice(100, 130)))
    shuffled = np.random.default_rng(1).permutation(2 * DAY_ROWS)
    before = scores_of(night.bench)["score"].to_pylist()
    write_night(night.bench, night_table(planted=slice(100, 130)).take(shuffled))
    assert night.bench.score("--force").code == 0

    assert scores_of(night.bench)["score"].to_pylist() == before
    assert "rows out of order" in summary_of(night.bench, rev=2)["checks"]


def test_rows_of_one_time_are_kept_and_counted(night):
    table = night_table()
    summary = night(pa.concat_tables([table.slice(0, 200), table.slice(198, None)]))

    assert summary["rows"] == 2 * DAY_ROWS + 2
    assert summary["checks"]["rows of one time"].startswith("2 ")


@pytest.mark.parametrize("value", [np.nan, None, np.inf, -np.inf])
def test_a_gap_or_infinity_makes_the_night_partial(night, value):
    summary = night(with_values(night_table(), "speed", {301: value}), code=4)
    scores = scores_of(night.bench)

    assert summary["verdict"] == "PARTIAL 575 of 576 rows"
    assert scores["score"].null_count == 1
    assert "row 301, column speed: expected a number" in summary["failed_shards"][0]["why"]


def test_gaps_hold_the_last_value_if_the_job_says_so(night):
    gaps = dict.fromkeys((301, 303))
    summary = night(with_values(night_table(), "speed", gaps), "data.missing=impute")

    assert (summary["verdict"], summary["rows"]) == ("OK", 2 * DAY_ROWS)


def test_a_sensor_without_values_makes_the_night_partial_even_if_imputed(night, caplog):
    gaps = dict.fromkeys(range(1, 2 * DAY_ROWS, 2))
    summary = night(with_values(night_table(), "speed", gaps), "data.missing=impute", code=4)

    assert summary["verdict"] == "PARTIAL 5 of 6 sensors"
    assert summary["notes"][-1].endswith("'speed' in 288 of 288 rows (p1)")
    assert summary["notes"][-1] in caplog.text


def test_a_sensor_that_often_lacks_values_in_clean_rows_may_lack_them(tmp_path):
    rows = range(2 * DAY_ROWS)
    clean = with_values(clean_table(), "speed", dict.fromkeys(rows))  # one day of four
    bench = trained_series(tmp_path, SERIES_JOB.replace("[series]", IMPUTE), clean)
    write_night(bench, with_values(night_table(), "speed", dict.fromkeys(rows[: DAY_ROWS // 2])))
    bench.score()

    assert "sensors" not in summary_of(bench)["verdict"]


def test_an_entity_without_rows_is_named(night):
    first, stop = night_rows()
    summary = night(table_of(pumps(first, stop)[:1], first, names=("p0",)))

    assert summary["notes"] == ["1 of 2 values of pump in the clean data have no rows tonight: p1"]


def test_a_file_without_rows_counts_as_gone(tmp_path):
    def write(folder, table, **rows):
        (tmp_path / folder).mkdir(parents=True)
        for pump in PUMPS:
            found = table.filter(pc.equal(table["pump"], pump)).slice(0, rows.get(pump))
            pq.write_table(found, tmp_path / folder / f"{pump}.parquet")

    write("clean", clean_table())
    write(f"nights/{DAY}", night_table(), p1=0)
    text = SERIES_JOB.replace(".parquet", "").replace('entity = "pump"', 'entity = "file"')
    bench = Bench(tmp_path)
    bench.job.write_text(text)
    assert bench.run("train", bench.job).code == 0
    bench.score()

    assert summary_of(bench)["notes"] == [
        "1 of 2 files in the clean data have no rows tonight: p1.parquet"
    ]


def test_an_infinity_is_not_judged_even_if_gaps_are(night):
    table = with_values(night_table(), "speed", {301: np.inf})

    assert night(table, "data.missing=impute", code=4)["rows"] == 2 * DAY_ROWS - 1


@pytest.mark.parametrize("column", ["at", "pump"])
def test_a_row_without_time_or_entity_is_not_judged(night, column):
    summary = night(with_values(night_table(), column, {301: None}), code=4)

    assert summary["rows"] == 2 * DAY_ROWS - 1
    assert f"row 301, column {column}: expected" in summary["failed_shards"][0]["why"]


def test_other_steps_than_those_of_clean_rows_are_noted(night):
    summary = night(night_table().filter(pa.array(np.arange(2 * DAY_ROWS) % 4 < 2)))

    assert "rows are 600 apart, clean ones 300" in " ".join(summary["notes"])


def test_a_table_without_the_columns_of_a_model_of_rows_is_refused(night):
    text = night.bench.job.read_text()
    start, stop = text.index("[series]"), text.index("[model]")
    night.bench.job.write_text(text[:start] + text[stop:].replace("events 1/4d", "quantile 0.9"))
    result = night.bench.score()

    assert result.code == 2
    assert "the job has no section [series], but model" in result.err


def test_clean_series_have_no_in_sample_scores(night):
    result = night.bench.run("score", night.bench.job, "--in-sample")

    assert result.code == 2
    assert "--in-sample judges rows one by one" in result.err


def test_a_night_that_is_given_by_name_has_no_night_before(night):
    night(night_table())
    path = night.bench.folder / f"nights/{DAY}.parquet"
    night.bench.score("--source", path, day="2026-11-25")

    assert "rows of the night before" not in summary_of(night.bench, "2026-11-25")["checks"]
