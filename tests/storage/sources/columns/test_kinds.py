"""Kinds of columns: numbers, categories and times in Parquet and CSV."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from aemodel.frames.columns import read_frame
from aemodel.frames.survey import choose_features
from storage.errors import SchemaError, SourceError
from storage.sources import (
    CATEGORY,
    DISTINCT,
    HOUR,
    NUMBER,
    WEEKDAY,
    find_levels,
    open_source,
    open_surveyed,
)
from storage.sources.columns.kinds import level_key, time_parts

THURSDAY = dt.datetime(2026, 11, 26, 10, 30)


def save(folder, table):
    path = folder / "rows.parquet"
    pq.write_table(table, path)
    return path


def read(source):
    with source:
        return np.concatenate([chunk.rows for chunk in source.chunks(max_rows=1_000)])


def test_every_arrow_type_has_a_kind_or_a_reason(tmp_path):
    columns = {
        "x": [1.5, None],
        "n": [1, 2],
        "price": [Decimal("1.25"), Decimal("2.50")],
        "country": ["DE", None],
        "code": pa.array(["a", "b"]).dictionary_encode(),
        "on": [True, False],
        "when": [THURSDAY, None],
        "day": [dt.date(2026, 11, 26)] * 2,
        "clock": [dt.time(12, 15)] * 2,
        "took": pa.array([5, 7], pa.duration("s")),
        "tags": [["a"], ["b"]],
        "none": pa.nulls(2),
        "raw": [b"\x00", b"\x01"],
    }
    with open_source(save(tmp_path, pa.table(columns)), missing="impute") as source:
        kinds = list(zip(source.schema.columns, source.schema.kinds, strict=True))
        assert kinds == [
            ("x", NUMBER),
            ("n", NUMBER),
            ("price", NUMBER),
            ("country", CATEGORY),
            ("code", CATEGORY),
            ("on", CATEGORY),
            ("when", HOUR),
            ("when", WEEKDAY),
            ("day", WEEKDAY),
            ("clock", HOUR),
            ("took", NUMBER),
        ]
        assert source.unread == {
            "tags": "list<element: string>",
            "none": "no values",
            "raw": "binary",
        }


def test_numbers_only_tables_have_no_kinds_and_keep_their_dtype(tmp_path):
    path = save(tmp_path, pa.table({"a": pa.array([1.0], pa.float32())}))
    with open_source(path) as source:
        assert (source.schema.kinds, source.schema.dtype) == ((), "float32")


def test_a_level_has_one_key_in_every_format_and_type(tmp_path):
    table = pa.table({"x": [1.0, 2.0, 3.0], "level": ["b", "a", "b"]})
    pa_csv.write_csv(table, tmp_path / "rows.csv")
    encoded = table.set_column(1, "level", table["level"].dictionary_encode())

    expected = [level_key("b"), level_key("a"), level_key("b")]
    for path in (save(tmp_path, encoded), tmp_path / "rows.csv"):
        assert read(open_source(path))[:, 1].tolist() == expected


def test_an_empty_string_is_a_level_and_a_null_is_a_gap(tmp_path):
    path = save(tmp_path, pa.table({"x": [1.0, 2.0], "level": ["", None]}))
    rows = read(open_source(path))
    assert rows[0, 1] == level_key("")
    assert np.isnan(rows[1, 1])


def test_booleans_are_the_same_levels_in_csv_and_parquet(tmp_path):
    table = pa.table({"x": [1.0, 2.0], "on": [True, False]})
    (tmp_path / "rows.csv").write_text("x,on\n1,True\n2,False\n", encoding="utf-8")
    for path in (save(tmp_path, table), tmp_path / "rows.csv"):
        assert read(open_source(path))[:, 1].tolist() == [level_key("true"), level_key("false")]


def test_a_nan_inside_a_dictionary_is_a_gap(tmp_path):
    codes = pa.DictionaryArray.from_arrays([0, 1, 0], pa.array([1.0, float("nan")]))
    path = save(tmp_path, pa.table({"x": [1.0, 2.0, 3.0], "code": codes}))
    rows = read(open_source(path, kinds={"code": (CATEGORY,)}))
    assert np.isnan(rows[:, 1]).tolist() == [False, True, False]
    assert rows[0, 1] == level_key("1")


def test_codes_named_as_categories_keep_their_leading_zeros(tmp_path):
    (tmp_path / "rows.csv").write_text("zip,x\n01067,1\n1067,2\n", encoding="utf-8")
    rows = read(open_source(tmp_path / "rows.csv", kinds={"zip": (CATEGORY,)}))
    assert rows[:, 0].tolist() == [level_key("01067"), level_key("1067")]


def test_times_count_on_the_clock_of_their_zone():
    night = dt.datetime(2026, 7, 1, 22, 30, tzinfo=dt.UTC)
    times = pa.array([night, None]).cast(pa.timestamp("ns", "Europe/Berlin"))
    assert time_parts(times, HOUR)[0] == 0.5
    assert time_parts(times, WEEKDAY)[0] == 3
    assert np.isnan(time_parts(times, HOUR)[1])


@pytest.mark.parametrize(
    ("text", "hour", "weekday"),
    [
        ("2026-11-26 10:30:00", 10.5, 3),
        ("2026-11-26T10:30", 10.5, 3),
        ("2026-11-26T10:30:00Z", 10.5, 3),
        ("2026-11-26T10:30:00.123456789+02:00", 10.50003, 3),
        ("2026-11-29", 0.0, 6),
        ("2026/11/26 10:30", 10.5, 3),
        ("26.11.2026 10:30:00", 10.5, 3),
        ("6.11.2026", 0.0, 4),
        ("26-Nov-2026", 0.0, 3),
        ("26 november 2026 10:30", 10.5, 3),
        ("November 26, 2026", 0.0, 3),
        ("26/Nov/2026:10:30:00 +0100", 10.5, 3),
        ("[26/Nov/2026:10:30:00 +0100]", 10.5, 3),
        ("26.11.2026 9:30", 9.5, 3),
        ("2026-11-26 10:30 PM", 22.5, 3),
        ("November 26, 2026 12:30:00 a.m.", 0.5, 3),
        ("2026-11-26 13:30 PM", np.nan, np.nan),
        ("2026-02-30 10:00:00", np.nan, np.nan),
        ("30.02.2026", np.nan, np.nan),
        ("26 Novel 2026", np.nan, np.nan),
        ("26.11.26", np.nan, np.nan),
        ("11/26/2026", np.nan, np.nan),
        ("yesterday", np.nan, np.nan),
    ],
)
def test_text_is_read_as_a_time_if_its_day_is_clear(text, hour, weekday):
    column = pa.array([text])
    np.testing.assert_allclose(time_parts(column, HOUR), [hour], atol=1e-5)
    np.testing.assert_allclose(time_parts(column, WEEKDAY), [weekday])


def test_a_csv_cell_that_is_no_time_is_named_with_its_line(tmp_path):
    lines = ["x,when", *["1,2026-11-26 10:30:00"] * 10, "2,soon"]
    (tmp_path / "rows.csv").write_text("\n".join(lines), encoding="utf-8")
    with (
        open_source(tmp_path / "rows.csv", kinds={"when": (HOUR,)}) as source,
        pytest.raises(SourceError, match=r"line 12\), column when: expected a time, got 'soon'"),
    ):
        list(source.chunks(max_rows=10))


@pytest.mark.parametrize(
    ("times", "got"),
    [
        (["2026-11-26 10:30", "soon"], "'soon'"),
        (["2026-11-26 10:30", None], "nothing"),
        (pa.array([THURSDAY, None]), "nothing"),
    ],
)
def test_a_parquet_cell_that_is_no_time_is_named(tmp_path, times, got):
    path = save(tmp_path, pa.table({"x": [1.0, 2.0], "when": times}))
    with (
        open_source(path, kinds={"when": (HOUR,)}) as source,
        pytest.raises(SourceError, match=f"row 1, column when: expected a time, got {got}; fix"),
    ):
        list(source.chunks(max_rows=10))


def test_a_csv_gap_among_times_is_named_as_one(tmp_path):
    (tmp_path / "rows.csv").write_text("x,when\n1,2026-11-26 10:30\n2,\n", encoding="utf-8")
    with (
        open_source(tmp_path / "rows.csv", kinds={"when": (HOUR,)}) as source,
        pytest.raises(SourceError, match="row 1, column when: expected a time, got nothing; fix"),
    ):
        list(source.chunks(max_rows=10))


def test_a_column_that_is_a_number_in_one_file_and_text_in_another_is_refused_by_name(tmp_path):
    pq.write_table(pa.table({"x": [1.0], "y": [1.0]}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"x": [1.0], "y": ["a"]}), tmp_path / "2.parquet")
    with pytest.raises(SchemaError, match=r"2.parquet: .*'y' \(string, not a number\)"):
        open_source(tmp_path)


def test_one_error_names_all_removed_and_rekinded_columns(tmp_path):
    path = save(tmp_path, pa.table({"x": ["a"], "when": [1.0]}))
    kinds = {"x": (NUMBER,), "when": (HOUR, WEEKDAY), "gone": (CATEGORY,)}
    message = r"missing: 'gone'.*'x' \(string, not a number\), 'when' \(double, not a time\)"
    with pytest.raises(SchemaError, match=message):
        open_source(path, columns=[*kinds], kinds=kinds)


def test_reordered_added_and_widened_columns_read_as_before(tmp_path):
    table = pa.table({"new": ["q"], "c": pa.array(["a"]).dictionary_encode(), "n": [2.0]})
    kinds = {"n": (NUMBER,), "c": (CATEGORY,)}
    rows = read(open_source(save(tmp_path, table), columns=["n", "c"], kinds=kinds))
    assert rows.tolist() == [[2.0, level_key("a")]]


def test_a_column_without_values_is_all_gaps_of_the_kind_that_is_asked_for(tmp_path):
    path = save(tmp_path, pa.table({"x": [1.0, 2.0], **dict.fromkeys("ncw", pa.nulls(2))}))
    kinds = {"n": (NUMBER,), "c": (CATEGORY,), "w": (HOUR, WEEKDAY)}
    rows = read(open_source(path, columns=["x", *kinds], kinds=kinds, missing="impute"))
    assert np.isnan(rows[:, 1:]).all()
    assert rows.shape == (2, 5)
    numbers = read(open_source(path, columns=["x", "n"], kinds={"n": (NUMBER,)}, missing="impute"))
    assert np.isnan(numbers[:, 1]).all()


def test_a_column_without_values_in_the_first_file_is_what_the_next_file_says(tmp_path):
    pq.write_table(pa.table({"x": [1.0], "c": pa.nulls(1)}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"x": [2.0], "c": ["DE"]}), tmp_path / "b.parquet")
    with open_source(tmp_path) as source:
        assert source.unread == {}
        assert read(source)[:, 1].tolist() == pytest.approx([np.nan, level_key("DE")], nan_ok=True)


def test_a_misspelled_column_to_ignore_is_refused(tmp_path):
    path = save(tmp_path, pa.table({"x": [1.0], "note": ["a"]}))
    with pytest.raises(SchemaError, match=r"missing: 'notes' \(did you mean 'note'\?\)"):
        open_source(path, kinds={"notes": ()})


@pytest.mark.parametrize("level", ["💡", "\u202eabc", "x" * 10_000, "a\nb", "\x1b[31m"])
def test_levels_may_be_any_text(tmp_path, level):
    path = save(tmp_path, pa.table({"x": [1.0], "level": [level]}))
    with open_source(path) as source:
        assert find_levels(source, {"level": [level_key(level)]}) == {
            "level": {level_key(level): level}
        }


def surveyed(folder, columns, **options):
    count = len(next(iter(columns.values())))
    table = pa.table({"x": np.arange(count, dtype=float), **columns})
    with open_surveyed(save(folder, table), missing="impute", **options) as source:
        return dict(source.unread), source.schema


def test_ids_texts_and_empty_columns_are_ignored_with_the_reason(tmp_path):
    columns = {
        "key": [f"k{index}" for index in range(400)],
        "note": [f"note {index % 300}" for index in range(400)],
        "currency": ["EUR"] * 400,
        "run": ["2026-11-22"] * 400,
        "empty": pa.array([None] * 400, pa.string()),
        "day": [f"{1 + index % 12}/{1 + index % 28}/2026" for index in range(400)],
        "price": [f"${index},{index % 1_000:03d}.50" for index in range(400)],
        "rate": ["5 %", "12.5 %"] * 200,
        "level": ["a", "b"] * 200,
    }
    unread, schema = surveyed(tmp_path, columns)
    assert unread == {
        "key": DISTINCT,
        "note": "text or ids: 300 levels in 400 rows",
        "run": "one time in all rows: '2026-11-22'",
        "empty": "no values",
        "day": "days such as '1/1/2026': month or day first? write them as 2026-01-31",
        "price": "numbers such as '$0,000.50': write them as 1234.56, in one unit",
    }
    assert schema.columns == ("x", "currency", "rate", "level")


def test_a_column_that_the_job_names_is_a_feature_whatever_its_values(tmp_path):
    columns = {"run": ["2026-11-22"] * 60, "level": ["a", "b"] * 30}
    unread, schema = surveyed(tmp_path, columns, kinds={"run": (CATEGORY,)})
    assert (unread, schema.columns) == ({}, ("x", "run", "level"))


def test_hours_and_weekdays_are_features_only_where_clean_rows_show_what_is_usual(tmp_path):
    def days(count, minutes):
        start = dt.datetime(2026, 1, 1, 8)
        return [start + dt.timedelta(days=i % count, minutes=i % minutes) for i in range(400)]

    unread, schema = surveyed(tmp_path, {"when": days(1, 200)})
    assert unread == {"when": "covers 0.1 days: too few to tell usual hours or weekdays"}
    assert surveyed(tmp_path, {"when": days(5, 200)})[1].kinds == (NUMBER, HOUR)
    assert surveyed(tmp_path, {"when": days(30, 200)})[1].kinds == (NUMBER, HOUR, WEEKDAY)
    assert schema.columns == ("x",)


@pytest.mark.parametrize("name", ["rows.parquet", "rows.csv"])
def test_levels_are_looked_up_without_reading_other_columns(tmp_path, monkeypatch, name):
    table = pa.table({"x": [1.5, 2.5], "city": ["a", "b"], "shop": ["c", "d"]})
    write = pq.write_table if name.endswith("parquet") else pa_csv.write_csv
    write(table, tmp_path / name)
    source, read_names = open_source(tmp_path / name), []
    batches = type(source)._stored_batches

    def recorded(self, file, span, max_rows, names):
        read_names.extend(names)
        yield from batches(self, file, span, max_rows, names)

    monkeypatch.setattr(type(source), "_stored_batches", recorded)
    found = find_levels(source, {"city": [level_key("b")], "shop": []})

    assert (found, read_names) == ({"city": {level_key("b"): "b"}, "shop": {}}, ["city"])


def test_texts_of_few_rows_that_all_differ_are_ids(tmp_path):
    path = save(tmp_path, pa.table({"x": range(12), "key": [f"k{each}" for each in range(12)]}))

    with open_surveyed(path) as source:
        assert source.unread == {"key": DISTINCT}


@pytest.mark.parametrize(
    ("last", "kinds"), [("2026-11-22T04:00", (HOUR, WEEKDAY)), ("soon", (CATEGORY,))]
)
def test_text_that_holds_only_times_is_a_time(tmp_path, last, kinds):
    days = [f"2026-11-{day:02d} {day:02d}:00:00" for day in range(1, 20)]
    path = save(tmp_path, pa.table({"x": range(40), "t": [*days, last] * 2}))

    with open_surveyed(path) as source:
        assert dict(zip(source.schema.columns, source.schema.kinds, strict=True))["x"] == NUMBER
        assert tuple(source.schema.kinds[1:]) == kinds
        assert source.dated == (("t",) if HOUR in kinds else ())


@pytest.mark.parametrize(("hours", "kind"), [((7, 15, 23), CATEGORY), (tuple(range(24)), HOUR)])
def test_a_few_times_of_day_are_levels_and_those_around_the_clock_are_hours(tmp_path, hours, kind):
    shifts = [f"{hour % 12 or 12}:00 {'PM' if hour > 11 else 'AM'}" for hour in hours]
    table = pa.table({"x": np.arange(480.0), "shift": shifts * (480 // len(hours))})
    with open_surveyed(save(tmp_path, table)) as source:
        assert source.schema.kinds == (NUMBER, kind)
    assert choose_features(read_frame(table))[0] == [("x", NUMBER), ("shift", kind)]
