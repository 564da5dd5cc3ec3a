"""Tables that look like series are recognized, and others are not."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from series_sources import seconds, write

from storage.sources import open_source
from storage.sources.series.order import FILE
from storage.sources.series.recognize import recognize_series

N = 120


def recognized(path):
    with open_source(path) as source:
        return recognize_series(source)


def test_regular_times_are_one_series(tmp_path):
    columns = {"at": seconds(*range(0, 300 * N, 300)), "value": np.arange(N) * 1.0}
    found = recognized(write(tmp_path / "a.parquet", columns))

    assert (found.order.time, found.order.entity) == ("at", "")
    assert (found.step, found.order.gap) == (300, 3_600)
    assert found.reason == "at increases in steps of about 5 min (all of the rows read)"


def test_a_column_with_increasing_times_for_each_value_is_the_entity(tmp_path):
    columns = {
        "site": ["north", "south"] * N,
        "machine": [f"m{row % 4}" for row in range(2 * N)],
        "at": seconds(*(row // 4 for row in range(2 * N))),
        "state": np.arange(2 * N) // 7 % 3,
        "value": np.arange(2 * N) * 1.0,
    }
    found = recognized(write(tmp_path / "a.parquet", columns))

    assert (found.order.entity, found.step) == ("machine", 1)
    assert "within each of 4 values of machine" in found.reason


def test_files_that_start_anew_are_series(tmp_path):
    for name in "abc":
        columns = {"at": seconds(*range(N)), "value": np.arange(N) * 1.0}
        write(tmp_path / f"{name}.parquet", columns)

    assert recognized(tmp_path).order.entity == FILE


def test_files_that_follow_each_other_are_one_series(tmp_path):
    for day in range(3):
        columns = {"at": seconds(*range(day * N, day * N + N)), "value": np.arange(N) * 1.0}
        write(tmp_path / f"{day}.parquet", columns)

    assert recognized(tmp_path).order.entity == ""


@pytest.mark.parametrize("name", ["t", "epoch_ms", "Timestamp"])
def test_numbers_are_times_by_their_name(tmp_path, name):
    columns = {"id": np.arange(N), name: np.arange(N) * 20, "value": np.ones(N)}
    found = recognized(write(tmp_path / "a.parquet", columns))

    assert (found.order.time, found.order.gap, found.in_seconds) == (name, 200, False)


def test_times_of_text_are_recognized(tmp_path):
    lines = [f"2026-11-22 00:{row // 60:02d}:{row % 60:02d};{row}" for row in range(N)]
    (tmp_path / "a.csv").write_text("\n".join(["datetime;value", *lines]))

    assert recognized(tmp_path / "a.csv").order.time == "datetime"


@pytest.mark.parametrize("second", [np.arange(N) + 0.5, [None] * N])
def test_a_column_may_have_another_type_in_another_file(tmp_path, second):
    for day, values in enumerate([range(N), second]):
        columns = {"at": seconds(*range(day * N, day * N + N)), "value": values}
        write(tmp_path / f"{day}.parquet", columns)

    assert recognized(tmp_path).order.time == "at"


def test_times_may_be_dates_in_another_file(tmp_path):
    days = np.arange(2 * N)
    times = [seconds(*(86_400 * days[:N])), pa.array(days[N:].astype(np.int32), pa.date32())]
    for place, column in enumerate(times):
        write(tmp_path / f"{place}.parquet", {"at": column, "value": np.arange(N) * 1.0})

    assert recognized(tmp_path).order.time == "at"


def test_rows_at_irregular_times_are_no_series(tmp_path, random):
    times = np.cumsum(random.exponential(60, N))
    columns = {"at": seconds(*times), "amount": random.normal(size=N)}

    assert recognized(write(tmp_path / "a.parquet", columns)) is None


def test_working_days_are_a_series_whose_weekends_are_no_pauses(tmp_path):
    days = [day for day in range(700) if day % 7 < 5 and day % 60]  # a holiday in two months
    columns = {"day": seconds(*(86_400 * day for day in days)), "sold": np.arange(len(days)) * 1.0}
    found = recognized(write(tmp_path / "a.parquet", columns))

    assert (found.order.time, found.step, found.order.gap) == ("day", 86_400, 864_000)


def test_rows_in_no_order_of_time_are_no_series(tmp_path, random):
    columns = {"born": seconds(*random.permutation(N)), "height": random.normal(size=N)}

    assert recognized(write(tmp_path / "a.parquet", columns)) is None


def test_tables_without_times_and_arrays_are_no_series(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((N, 2)))
    path = write(tmp_path / "a.parquet", {"id": np.arange(N), "value": np.zeros(N)})

    assert recognized(path) is None
    assert recognized(tmp_path / "a.npy") is None


def test_a_table_of_few_or_no_rows_is_no_series(tmp_path):
    columns = {"at": seconds(), "value": pa.array([], pa.float64())}

    assert recognized(write(tmp_path / "a.parquet", columns)) is None


def test_measured_files_are_recognized(real_data):
    nab, skab = recognized(real_data / "nab"), recognized(real_data / "skab" / "valve1")

    assert (nab.order.entity, nab.step) == (FILE, 300)
    assert (skab.order.time, skab.order.entity, skab.step) == ("datetime", FILE, 1)
