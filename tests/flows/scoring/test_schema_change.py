"""The columns of the input change one night.

Nothing is scored; the error and the report name every column.
"""

from __future__ import annotations

import json
from datetime import timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bench import DAY, rows_of
from nights import TONIGHT, promoted_on, run

from flows.jobs.job_file import read_job
from flows.operations.status import status_of
from flows.scoring.catch_up import due_nights
from flows.scoring.result import NightsResult

CHANGED = (
    "columns do not match: missing: 'flow' (did you mean 'flows'?), 'level';"
    " of another kind: 'tank' (string, not a number); columns not read: 'flows'. Fix the file"
)


def write(path, **columns):
    names = ("flow", "level", "tank", "heat")
    path.parent.mkdir(exist_ok=True)
    table = {name: rows_of(400, 3, 4)[:, index] for index, name in enumerate(names)} | columns
    pq.write_table(
        pa.table({name: column for name, column in table.items() if column is not None}), path
    )


@pytest.fixture
def tables(bench):
    """A trained job on a table, with a night whose columns have changed."""
    text = (
        bench.job.read_text()
        .replace("clean.npy", "clean.parquet")
        .replace("{date}.npy", "{date}.parquet")
    )
    bench.job.write_text(text.replace("epochs = 15", "epochs = 2"))
    write(bench.folder / "clean.parquet")
    bench.run("train", bench.job)
    promoted_on(bench, DAY)
    write(night(bench), flow=None, level=None, tank=["low"] * 400, flows=[1.0] * 400)
    return bench


def night(bench):
    return bench.folder / f"nights/{DAY}.parquet"


def summary(bench, revision):
    return json.loads(
        (bench.workspace / f"reports/small/{DAY}/rev={revision}/summary.json").read_text()
    )


def test_it_stops_before_scoring_and_the_report_gives_the_reason(tables):
    result = tables.score()

    assert (result.code, CHANGED in result.err) == (1, True)
    assert not (tables.workspace / "scores").exists()
    record = summary(tables, 1)
    assert (record["verdict"], record["complete"], record["rows"]) == ("FAILED", False, 0)
    assert record["promise"].startswith(f"{DAY}.parquet: {CHANGED}"), "it contains no path"
    page = (tables.workspace / f"reports/small/{DAY}/rev=1/report.html").read_text()
    assert f"Nothing was scored for {DAY}" in page
    assert "&#39;level&#39;" in page
    assert "FAILED" in (tables.workspace / "reports/small/index.html").read_text()


def test_rechecks_add_no_revision_and_a_fixed_input_is_scored(tables):
    first, second = run(tables), run(tables)
    problems = status_of(tables.job).problems
    write(night(tables))
    fixed = run(tables)

    assert [CHANGED in str(each.results[DAY]) for each in (first, second)] == [True, True]
    assert any(
        problem.startswith(f"{DAY}: stopped before scoring: ") and CHANGED in problem
        for problem in problems
    )
    assert (fixed.results[DAY].revision, summary(tables, 2)["complete"]) == (2, True)


def test_an_earlier_night_is_scored_by_the_model_trained_on_the_new_columns(tables):
    run(tables)
    write(tables.folder / "clean.parquet", level=None, tank=None)
    write(night(tables), level=None, tank=None)
    assert tables.run("train", tables.job).facts["promoted"]
    job = read_job(tables.job)
    [due] = [each for each in due_nights(job, TONIGHT + timedelta(days=1)) if each.date == DAY]

    assert due.model == "", "the current champion; the one of that day cannot read the input"
    assert tables.score().code == 0


def test_a_scored_night_keeps_its_report(tables):
    write(night(tables))
    assert tables.score().code == 0
    write(night(tables), heat=None)
    late = run(tables)

    assert isinstance(late, NightsResult)
    assert "missing: 'heat'" in str(late.results[DAY])
    assert summary(tables, 1)["complete"]
    assert not (tables.workspace / f"reports/small/{DAY}/rev=2").exists()
