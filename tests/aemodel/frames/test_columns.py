"""Columns of frames become the values that the commands read from a file of the same content."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aemodel.frames.columns import is_frame, read_frame
from aemodel.frames.levels import level_texts_in
from aemodel.frames.survey import choose_features
from aemodel.frames.values import clock_values, values_of_kind
from aemodel.frames.written_values import is_amount, is_unclear
from aemodel.rows import layout, levels
from storage.sources import named_features, open_surveyed
from storage.sources.columns import schema
from storage.sources.columns.kinds import level_key, level_texts, time_parts
from storage.sources.columns.written_values import are_amounts, are_unclear

N = 400
ZONES = ("UTC", "Europe/Berlin", "Asia/Kathmandu", "-03:30", "Nowhere/Town")


def with_gaps(values, kind=None):
    return pa.array([None if i % 20 == 3 else value for i, value in enumerate(values)], kind)


def many_types() -> pa.Table:
    random = np.random.default_rng(0)
    start, seconds = dt.datetime(2026, 2, 1), random.integers(0, 86_400 * 120, N)
    moments = [start + dt.timedelta(seconds=int(each)) for each in seconds]
    letters = random.choice(list("abcé"), N).tolist()
    return pa.table(
        {
            "whole": random.integers(0, 9, N),
            "whole gaps": with_gaps(random.integers(0, 9, N).tolist()),
            "float": random.normal(size=N).astype(np.float32),
            "decimal": with_gaps([Decimal(i).scaleb(-2) for i in range(0, 25 * N, 25)]),
            "duration": with_gaps(seconds.tolist(), pa.duration("ms")),
            "bool": random.random(N) < 0.5,
            "bool gaps": with_gaps((random.random(N) < 0.5).tolist()),
            "text": with_gaps(letters),
            "coded": with_gaps(letters).dictionary_encode(),
            "moment": with_gaps(moments, pa.timestamp("us")),
            "zoned": with_gaps(moments, pa.timestamp("ns", "Europe/Berlin")),
            "date": with_gaps([each.date() for each in moments], pa.date32()),
            "clock": with_gaps([each.time() for each in moments], pa.time64("us")),
            "ten days": [start + dt.timedelta(days=i % 10, hours=i % 7) for i in range(N)],
            "hours": [start + dt.timedelta(hours=i % 30) for i in range(N)],
            "three hours": [start + dt.timedelta(hours=i % 3) for i in range(N)],
            "constant": ["x"] * N,
            "sometimes": with_gaps(["x"] * N),
            "one day": ["2026-11-22"] * N,
            "sometimes one day": with_gaps(["2026-11-22"] * N),
            "never a time": ["2026-02-30"] * N,
            "written": with_gaps([f"{each:%d.%m.%Y %H:%M}" for each in moments]),
            "amount": [f"${each:,.2f}" for each in random.gamma(1, 1_000, N)],
            "unclear": with_gaps([f"{each:%m/%d/%Y}" for each in moments]),
            "id": [f"r{i}" for i in range(N)],
            "notes": with_gaps([f"r{i % 300}" for i in range(N)]),
            "few texts": [f"r{i % 50}" for i in range(N)],
            "empty": pa.nulls(N),
            "list": [[1]] * N,
        }
    )


def as_polars(table):
    return pytest.importorskip("polars", reason="polars is not installed").from_arrow(table)


def as_pandas(table):
    pytest.importorskip("pandas", reason="pandas is not installed")
    return table.to_pandas()


FRAMES = [lambda table: table, lambda table: table.to_batches()[0], as_polars, as_pandas]


@pytest.mark.parametrize("frame_of", FRAMES, ids=["arrow", "batch", "polars", "pandas"])
def test_a_frame_is_read_as_the_commands_read_the_same_file(tmp_path, frame_of):
    pq.write_table(many_types(), tmp_path / "rows.parquet")
    source = open_surveyed(tmp_path / "rows.parquet", missing="impute")
    stored = np.concatenate([chunk.rows for chunk in source.chunks(max_rows=150)])
    columns = read_frame(frame_of(many_types().combine_chunks()))
    features, ignored = choose_features(columns)
    rows = np.stack([values_of_kind(columns[name], kind) for name, kind in features], axis=1)

    assert features == [(feature.name, feature.kind) for feature in named_features(source.schema)]
    np.testing.assert_allclose(rows, stored, rtol=3e-16)  # decimals are rounded otherwise
    assert ignored.keys() == source.unread.keys()
    assert {**ignored, "list": ""} == {**source.unread, "list": ""}


def test_kinds_have_the_same_names_in_both_packages():
    for name in ("NUMBER", "CATEGORY", "HOUR", "WEEKDAY", "ENTITY"):
        assert getattr(layout, name) == getattr(schema, name)


@pytest.mark.parametrize("level", ["", "Oslo", "Zürich", "true", "1e+10", "x" * 1_000])
def test_levels_have_the_keys_that_files_give_them(level):
    assert levels.level_key(level) == level_key(level)


@pytest.mark.parametrize(
    "values",
    [
        np.array([True, False]),
        np.array([0, -7, 2**62]),
        np.array([0.0, -0.0, 1, 2.5, 0.1, 1e-6, 1e-7, 123456789.5, 1e9, 1e10, 1e22, np.inf]),
        np.array([0.1, 3, 16777216, 1e10], np.float32),
    ],
    ids=["bool", "int", "float", "float32"],
)
def test_numbers_as_levels_have_the_texts_that_files_give_them(values):
    stored = level_texts(pa.array(values)).to_pylist()
    places, texts = level_texts_in(values, str(values.dtype))

    assert [texts[place] for place in places][2:] == stored[2:]
    assert texts[0] == stored[0]


def test_whole_levels_stay_whole_where_there_are_gaps():
    codes = pa.table({"code": pa.array([10**16, None, 3], pa.int64())})
    column = read_frame(codes)["code"]

    assert list(column.levels[1].values()) == ["10000000000000000", "3"]


@pytest.mark.parametrize("kind", ["hour", "weekday"])
@pytest.mark.parametrize("zone", ZONES)
def test_times_count_on_the_clock_of_their_zone(zone, kind):
    moments = [dt.datetime(2026, 3, 28) + dt.timedelta(minutes=17 * i) for i in range(300)]
    times = pa.array(moments, pa.timestamp("ms", zone))

    found = clock_values(read_frame(pa.table({"t": times}))["t"], kind)

    np.testing.assert_array_equal(found, time_parts(times, kind))


@pytest.mark.parametrize("kind", ["hour", "weekday"])
def test_times_in_texts_are_parsed_as_in_files(kind):
    texts = ["2026-01-02 03:04", "2026-01-02T03:04:05.123456789Z", " 2026-02-28 ", "07:30:15"]
    texts += ["2026-02-30", "20260101", "soon", "", None, "2026-01-02 23:59:59 +05:30"]
    texts += ["2026/1/31 10:05", "31.1.2026", "31.02.2026", "1/31/2026", "31-Jan-2026 10:05:06"]
    texts += ["2026-1-5", "2026-13-5"]
    texts += ["[05/Jan/2026:07:30:00 +0100]", "5.1.2026 7:30", "2026-01-05 7:30:10.5 PM"]
    texts += ["7:30 PM", "12:00am", "12:05 p.m.", "13:05 PM", "0:30 AM", "7:30", "7:30p"]
    texts += ["january 5, 2026", "5 Sept 2026", "5 Septem 2026", "1.2.26", "2026.01.05T07:30"]
    column = pa.array(texts)

    found = clock_values(read_frame(pa.table({"t": column}))["t"], kind)

    np.testing.assert_array_equal(found, time_parts(column, kind))


@pytest.mark.parametrize(
    ("text", "unclear"),
    [
        ("1/2/2026", True),
        ("31-12-26", True),
        ("12/31/2026 10:05 PM", True),
        ("31.12.26", True),
        ("31.12.2026", False),
        ("20-45-67", False),
        ("3.1.10", False),
        ("1/2", False),
    ],
)
def test_a_day_is_unclear_if_its_month_may_come_first_or_second(text, unclear):
    assert are_unclear(pa.array([text])) == unclear
    assert is_unclear(text) == unclear


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("$1,234.50", True),
        ("-$5", True),
        ("€ 12", True),
        ("12.5 €", True),
        ("(1,234)", True),
        ("5%", True),
        ("1 234 567", True),
        ("1234", False),
        ("12,34", True),
        ("1.234,50 €", True),
        ("1.234.567,8", True),
        ("1.23.4,5", False),
        ("$", False),
        ("1,234 pcs", False),
        ("555-1234", False),
    ],
)
def test_an_amount_is_a_number_with_signs_or_separators(text, amount):
    assert are_amounts(pa.array([text])) == amount
    assert is_amount(text) == amount


def test_a_column_of_several_types_is_ignored_with_its_types():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    found = read_frame(
        pandas.DataFrame({"a": [1, "x", None], "b": [[1], [2], [3]], "c": [1, 2, 3]})
    )

    assert choose_features(found) == (
        [("c", "number")],
        {"a": "values of several types: int, str", "b": "list"},
    )


def test_categories_of_pandas_keep_whole_numbers():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pandas.DataFrame({"a": pandas.Categorical([3, None, 10**16]), "type": [1, 2, 3]})

    assert list(read_frame(frame)["a"].levels[1].values()) == ["3", "10000000000000000"]


def test_two_columns_of_one_name_are_refused():
    twice = pa.table([[1.0], [2.0], [3.0]], names=["a", "b", "a"])
    with pytest.raises(ValueError, match=r"columns of different names. Got 'a' more than once"):
        read_frame(twice)


def test_the_index_that_pandas_wrote_is_no_feature():
    index = {b"pandas": b'{"index_columns": ["when", {"kind": "range"}]}'}
    rows = pa.table({"a": [1.0, 2.0], "when": [1, 2]}).replace_schema_metadata(index)

    assert choose_features(read_frame(rows)) == ([("a", "number")], {"when": "pandas index"})


def test_a_lazy_frame_is_refused_with_what_to_do():
    polars = pytest.importorskip("polars", reason="polars is not installed")
    with pytest.raises(ValueError, match=r"in memory. Got LazyFrame instead; call X.collect\(\)"):
        is_frame(polars.LazyFrame({"a": [1.0, 2.0]}))
