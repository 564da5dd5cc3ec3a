"""Nights as rows of tables: replaced as a whole, listed while missing, made good later."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest
from bench import DAY
from databases import VARIABLE, late
from nights import promoted_on, run

from flows.jobs.job_file import read_job
from flows.publishing.nights import unpublished_nights

PUBLISH = f"""
[publish]
connection = "{VARIABLE}"
scores = "night_scores"
outliers = "night_outliers"
"""
SCORES = "SELECT * FROM night_scores ORDER BY date, row"
OUTLIERS = "SELECT * FROM night_outliers ORDER BY rank"
ON_SQLITE = pytest.mark.parametrize("sales", ["sqlite"], indirect=True)


@pytest.fixture
def publishing(bench, sales):
    """A job on queries that writes its nights into the same database."""
    sales.run("drop table if exists night_scores")
    sales.run("drop table if exists night_outliers")
    bench.job.write_text(bench.job.read_text() + PUBLISH)
    return bench


def missing(bench) -> list[tuple[str, str]]:
    return [(each.night.date, each.why) for each in unpublished_nights(read_job(bench.job))]


def of_files(rows, names) -> list[tuple[object, ...]]:
    return [tuple(str(row[name]) for name in names) for row in rows]


def test_all_scores_and_the_listed_rows_of_a_night_are_in_the_tables(publishing, sales):
    scored = publishing.score()
    parts = pq.read_table(publishing.workspace / f"scores/small/date={DAY}/part-00000.parquet")
    listed = pq.read_table(publishing.workspace / f"reports/small/{DAY}/rev=1/outliers.parquet")
    scores, outliers = sales.rows(SCORES), sales.rows(OUTLIERS)

    assert scored.code == 0
    assert of_files(scores, parts.column_names) == of_files(parts.to_pylist(), parts.column_names)
    same = [name for name in listed.column_names if name != "flagged"]  # 0 and 1 in SQLite
    assert of_files(outliers, same) == of_files(listed.to_pylist(), same)
    assert [bool(row["flagged"]) for row in outliers] == listed.column("flagged").to_pylist()
    assert (scores[0]["job"], str(scores[0]["date"]), scores[0]["revision"]) == ("small", DAY, 1)


def test_a_new_revision_replaces_the_rows_of_its_night_only(publishing, sales):
    for day in ("2026-11-21", DAY):
        publishing.score(day=day)
    sales.run(f"delete from sales where day = '{DAY}'")
    sales.add(DAY, late(DAY, n=200))
    publishing.score()
    found = sales.rows(SCORES)

    assert [row["revision"] for row in found] == [1] * 300 + [2] * 200
    assert missing(publishing) == []


@ON_SQLITE
def test_a_night_that_is_out_is_not_written_again(publishing, sales):
    publishing.score()
    sales.run("delete from night_scores")
    publishing.score()

    assert sales.rows(SCORES) == []


def test_a_failed_table_leaves_the_others_unchanged_and_is_made_good(publishing, sales):
    promoted_on(publishing, DAY)
    sales.run("create table night_outliers (job text, date date)")
    failed = publishing.score()
    why = missing(publishing)
    sales.run("drop table night_outliers")
    run(publishing)

    assert (failed.code, failed.facts["verdict"]) == (0, "OK")
    assert "not written to the database: the database behind SALES_DB" in failed.err
    assert why[0][0] == DAY
    assert missing(publishing) == []
    assert len(sales.rows(SCORES)) == 300


@ON_SQLITE
def test_a_database_that_is_away_spoils_no_night_and_is_listed(publishing, sales, monkeypatch):
    job = publishing.job.read_text()
    publishing.job.write_text(
        job.replace(f'connection = "{VARIABLE}"\nscores', 'connection = "OUT"\nscores')
    )
    monkeypatch.setenv("OUT", "postgresql://writer:geheim@127.0.0.1:1/shop")
    scored = publishing.score()
    problems = publishing.run("status", publishing.job).facts["problems"]
    record = (publishing.workspace / f"published/small/{DAY}.database.json").read_text()

    assert scored.code == 0
    assert any(f"{DAY}: not in the database: the database behind OUT" in each for each in problems)
    assert "geheim" not in f"{record} {problems} {scored.err}"
    monkeypatch.setenv("OUT", sales.uri)
    run(publishing)
    assert len(sales.rows(SCORES)) == 300


@ON_SQLITE
def test_rows_with_one_id_are_all_in_the_table(publishing, sales):
    sales.run(f"update sales set id = 7 where day = '{DAY}' and a > 0")
    publishing.score()

    assert len(sales.rows(SCORES)) == 300
    assert len(sales.rows("SELECT DISTINCT id FROM night_scores")) < 200


@ON_SQLITE
def test_nights_scored_before_publishing_was_set_up_are_written_if_recent(bench, sales):
    for day in ("2026-11-20", "2026-11-21", DAY):
        bench.score(day=day)
    bench.job.write_text(bench.job.read_text() + PUBLISH + "[schedule]\nmax_catch_up_days = 1\n")

    assert [day for day, _ in missing(bench)] == ["2026-11-21", DAY]
    bench.score(day="2026-11-20")
    assert len(sales.rows(SCORES)) == 900


@ON_SQLITE
@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ('scores = "a b"', "publish.scores must be the name of a table"),
        ('scores = "x"', "publish.connection must be the name of an environment variable"),
        ('connection = "OUT"\nscores = "x"\noutliers = "x"', "must be two tables"),
    ],
)
def test_a_publish_section_that_cannot_work_is_refused(bench, keys, why):
    bench.job.write_text(f"{bench.job.read_text()}\n[publish]\n{keys}\n")

    assert why in bench.score().err
