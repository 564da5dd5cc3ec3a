"""Odd tables of Parquet and CSV: init, train and a night handle them, or say what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from bench import DAY, JOB, Bench, causes_by

from storage.sources import open_surveyed
from storage.sources.columns import survey

pytestmark = pytest.mark.slow

FORMATS = pytest.mark.parametrize("kind", ["parquet", "csv"])
LONG = "L" * 10_000


def job_for(folder, kind, *, data=""):
    text = JOB.replace(".npy", f".{kind}").replace("top_n = 5", 'top_n = 100\nby = "novelty"')
    (folder / "small.toml").write_text(text.replace("[model]", f"{data}\n[model]"))
    (folder / "nights").mkdir()
    return Bench(folder)


def save(path, columns):
    """Write a table; columns: a list of names and values, or a dict."""
    pairs = [*columns.items()] if isinstance(columns, dict) else columns
    arrays = [pa.array(values) for _, values in pairs]
    table = pa.Table.from_arrays(arrays, [name for name, _ in pairs])
    (pa_csv.write_csv if path.suffix == ".csv" else pq.write_table)(table, path)


def with_numbers(values, seed=0):
    level = np.random.default_rng(seed).normal(size=len(values))
    return {"x": level, "y": 2 * level, "t": values}


def run_all(bench, kind, clean, night):
    """Run init, train and score; return their results and the causes of the night by row."""
    save(bench.folder / f"clean.{kind}", with_numbers(clean))
    save(bench.folder / f"nights/{DAY}.{kind}", with_numbers(night, 1))
    steps = [bench.run("init", bench.folder / f"clean.{kind}"), bench.run("train", bench.job)]
    steps.append(bench.score())
    assert [step.code for step in steps] == [0, 0, 0], [step.err for step in steps]
    return steps, causes_by("row", Path(steps[-1].facts["path"]))


HANDLED = {
    "a level of 10 kB": (["p", "q", LONG], "M" * 10_000, "M…' never seen in fit rows (3 levels"),
    "emoji": (["a", "\U0001f4a1"], "\U0001f4a5", "t '\U0001f4a5' never seen in fit rows (2 levels"),
    "a mark from right to left": (["a", "\u202eb"], "\u202ec", "t '\\u202ec' never seen"),
    "numbers and text": (["1", "2.5", "three"], "9", "t '9' never seen in fit rows (3 levels"),
}


@FORMATS
@pytest.mark.parametrize("case", HANDLED)
def test_odd_levels_are_handled(tmp_path, kind, case):
    levels, new, cause = HANDLED[case]
    steps, causes = run_all(job_for(tmp_path, kind), kind, levels * 60, [new, *levels * 20])

    assert cause in causes["0"]
    assert all(len(words) < 1_000 for words in causes.values())
    mixed = "columns of numbers and text t (60 of 180 cells are not numbers, the first in"
    assert (mixed in steps[0].facts["job"]) == (case == "numbers and text" and kind == "csv")


@FORMATS
def test_an_empty_string_is_a_level_in_parquet_and_a_gap_in_csv_like_a_null(tmp_path, kind):
    _, causes = run_all(job_for(tmp_path, kind), kind, ["", "u", None] * 60, ["v", "u", "u"] * 10)

    known = {"parquet": 2, "csv": 1}[kind]
    assert f"t 'v' never seen in fit rows ({known} levels known)" in causes["0"]


@FORMATS
def test_a_category_without_values_is_said_and_a_night_with_some_too(tmp_path, kind):
    bench = job_for(tmp_path, kind, data='missing = "impute"')
    save(tmp_path / f"clean.{kind}", with_numbers(pa.nulls(200, pa.string())))
    save(tmp_path / f"nights/{DAY}.{kind}", with_numbers(["v"] * 20))
    proposed = bench.run("init", tmp_path / f"clean.{kind}").facts["job"]
    trained, scored = bench.run("train", bench.job), bench.score()

    if kind == "parquet":
        assert "columns not read: t (no values)" in proposed
        assert trained.facts["not_read"] == {"columns not read": "t (no values)"}
        assert scored.code == 0
    else:  # it might be a column of numbers
        assert "later values cannot be judged" in proposed
        assert (trained.code, scored.code) == (0, 1)
        assert "of another kind: 't' (text, not a number)" in scored.err


@FORMATS
def test_nan_inside_a_dictionary_is_a_gap(tmp_path, kind):
    bench = job_for(tmp_path, kind, data='categories = ["t"]')
    levels = [1.0, 2.0, float("nan")]
    values = levels * 60
    if kind == "parquet":
        values = pa.DictionaryArray.from_arrays(list(range(3)) * 60, levels)
    _, causes = run_all(bench, kind, values, [7.0, *levels * 20])

    known = {"parquet": 2, "csv": 3}[kind]  # in CSV, a named category is text as it was written
    assert f"never seen in fit rows ({known} levels known)" in causes["0"]


@FORMATS
def test_two_columns_of_one_name_are_refused_by_name_in_clean_rows_and_at_night(tmp_path, kind):
    bench, values = job_for(tmp_path, kind), np.random.default_rng(0).normal(size=60)
    twice = [("x", values), ("x", values), ("y", values)]
    save(tmp_path / f"twice.{kind}", twice)
    save(tmp_path / f"clean.{kind}", twice[1:])
    save(tmp_path / f"nights/{DAY}.{kind}", twice)
    found = [bench.run("init", tmp_path / f"twice.{kind}")]
    found.append(bench.run("train", bench.job, "--set", f"data.clean=twice.{kind}"))
    assert bench.run("train", bench.job).code == 0
    found.append(bench.score())

    assert [step.code for step in found] == [2, 2, 1]
    assert all("duplicate column names: 'x'" in step.err for step in found)


@FORMATS
def test_a_number_in_one_file_and_text_in_another_is_refused_by_name(tmp_path, kind):
    job_for(tmp_path, kind)
    text = (tmp_path / "small.toml").read_text()
    (tmp_path / "small.toml").write_text(text.replace(f".{kind}", ""))
    bench, numbers = Bench(tmp_path), np.random.default_rng(0).normal(size=60)
    for folder in ("clean", "both", f"nights/{DAY}"):
        (tmp_path / folder).mkdir()
        save(tmp_path / folder / f"1.{kind}", {"x": numbers, "y": numbers})
    for folder in ("both", f"nights/{DAY}"):
        save(tmp_path / folder / f"2.{kind}", {"x": numbers, "y": ["a"] * 60})
    found = [bench.run("init", tmp_path / "both")]
    found.append(bench.run("train", bench.job, "--set", "data.clean=both"))
    assert bench.run("train", bench.job).code == 0
    found.append(bench.score())

    assert [step.code for step in found] == [2, 2, 1]
    assert all(
        f"2.{kind}: columns do not match: of another kind: 'y'" in step.err for step in found
    )


@FORMATS
def test_more_levels_than_a_category_may_have_are_not_read_and_said(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(survey, "MOST_LEVELS", 100)
    save(tmp_path / f"rows.{kind}", with_numbers([f"v{index % 120}" for index in range(600)]))
    with open_surveyed(tmp_path / f"rows.{kind}") as source:
        assert source.unread == {"t": "more than 100 levels"}


@FORMATS
def test_text_that_is_no_time_is_a_gap_that_is_said(tmp_path, kind):
    bench = job_for(tmp_path, kind, data='missing = "impute"\ntimes = ["t"]')
    days = [f"2026-{1 + day % 12:02}-{1 + day % 28:02} {day % 24:02}:30" for day in range(400)]
    save(tmp_path / f"clean.{kind}", with_numbers([*days[:9], "soon", *days[10:]]))
    save(tmp_path / f"nights/{DAY}.{kind}", with_numbers([*days[:30], "late"]))
    trained, scored = bench.run("train", bench.job), bench.score()
    summary = json.loads((Path(scored.facts["path"]) / "summary.json").read_text())

    place = {"parquet": f"clean.{kind}, row 9", "csv": f"clean.{kind}, line 11"}[kind]
    expected = f"1 ({place}, column t: 'soon')"
    assert trained.facts["not_read"] == {"unreadable cells, read as gaps": expected}
    assert "column t: 'late'" in summary["checks"]["unreadable cells"]
