"""Databases that are away, refuse, or break off: retries, messages, and no password anywhere."""

from __future__ import annotations

import os
import shutil
from datetime import date
from pathlib import Path

import pytest
from bench import DAY
from databases import INCOMING, VARIABLE, InPostgres, late, on_queries
from nights import promoted_on, run

import flows.engine.run_all
from storage.databases.session import Session

SECRET = "geheim%40"
ON_SQLITE = pytest.mark.parametrize("sales", ["sqlite"], indirect=True)


@pytest.fixture(autouse=True)
def no_delay(monkeypatch):
    monkeypatch.setattr(flows.engine.run_all, "FIRST_DELAY", 0.0)


def holds(folder: Path, text: str) -> list[Path]:
    """The files below a folder that hold a text."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if text.encode() in path.read_bytes()]


@ON_SQLITE
def test_a_database_that_is_away_fails_the_night_after_the_usual_retries(bench, monkeypatch):
    monkeypatch.setenv(VARIABLE, f"postgresql://user:{SECRET}@127.0.0.1:1/shop")
    scored = bench.score()

    assert scored.code == 1
    assert scored.err.count("retry ") == 3
    assert f"query of {DAY} (SELECT id, a, b" in scored.err
    assert f"check that the database runs and that {VARIABLE} holds its URI" in scored.err
    summary = bench.workspace / f"reports/small/{DAY}/rev=1/summary.json"
    assert '"verdict": "FAILED"' in summary.read_text()
    assert "geheim" not in scored.out + scored.err
    assert holds(bench.folder, "geheim") == []


@ON_SQLITE
def test_a_night_that_failed_is_scored_once_the_database_is_back(bench, sales, monkeypatch):
    monkeypatch.delenv(VARIABLE)
    failed = bench.score()
    monkeypatch.setenv(VARIABLE, sales.uri)

    assert (failed.code, "must hold the URI of a database" in failed.err) == (1, True)
    assert bench.score().facts["revision"] == 2


def test_a_table_that_was_dropped_is_named(bench, sales):
    sales.run("drop table sales")
    failed = bench.score()

    assert failed.code == 1
    assert "sales" in failed.err.split("database behind")[1]
    assert "fix the query, restore what it reads" in failed.err
    assert "retry" not in failed.err


def test_a_connection_that_breaks_in_the_middle_leaves_no_snapshot_and_is_retried(
    bench, monkeypatch
):
    next_batch, broken = Session._next_batch, []

    def break_once(session, batches):
        if len(broken) == 1:
            broken.append(True)
            with session.database.refusals(OSError):
                raise OSError("server closed the connection unexpectedly")
        broken.append(True)
        return next_batch(session, batches)

    monkeypatch.setattr(Session, "_next_batch", break_once)
    scored = bench.score()

    assert (scored.code, scored.facts["rows"]) == (0, 300)
    assert "server closed the connection unexpectedly" in scored.err
    assert list(bench.workspace.rglob("*.tmp")) == []


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ((), "data.connection must be the name of an environment variable"),
        (('connection = "postgresql://u:geheim@h/d"',), "data.connection must be the name of"),
        ((f'connection = "{VARIABLE}"',), "add ORDER BY with columns that tell all rows apart"),
        (
            (f'connection = "{VARIABLE}"', 'id = "id"', 'settle = "5 min"'),
            "data.settle must be 0 for a query",
        ),
    ],
)
def test_a_job_file_that_cannot_work_is_refused(tmp_path, keys, why):
    incoming = INCOMING.replace(" ORDER BY id", "")
    bench = on_queries(tmp_path, "SELECT 1 AS a ORDER BY a", incoming, *(keys or ('id = "id"',)))
    refused = bench.run("train", bench.job)

    assert (refused.code, why in refused.err) == (2, True)
    assert "geheim" not in refused.err


@pytest.mark.parametrize(
    ("incoming", "why"),
    [
        ("SELECT a FROM t ORDER BY a", "data.incoming must contain {date}"),
        ("SELECT a FROM t WHERE d = '{date}' ORDER BY a", "must have {date} without quotes"),
    ],
)
def test_a_query_for_nights_needs_the_date_as_a_parameter(tmp_path, incoming, why):
    bench = on_queries(tmp_path, incoming=incoming)

    assert why in bench.run("score", bench.job).err


@ON_SQLITE
def test_nights_that_are_done_stay_as_they_are_while_the_database_is_away(bench, monkeypatch):
    promoted_on(bench, "2026-11-21")
    run(bench, day=date(2026, 11, 21))
    monkeypatch.delenv(VARIABLE)
    nights = run(bench).results

    assert list(nights) == [DAY]
    assert "must hold the URI of a database" in str(nights[DAY])


@ON_SQLITE
def test_a_query_is_no_source_of_a_command(bench):
    refused = bench.score("--source", "sql: SELECT 1")

    assert (refused.code, "set data.incoming or data.clean to it" in refused.err) == (2, True)


@pytest.fixture
def guarded(postgres, monkeypatch):
    """A PostgreSQL database with a user whose password is in the URI of the environment."""
    url = postgres.url.replace("+asyncpg", "")
    sales = InPostgres(url)
    sales.fill()
    sales.run("drop role if exists reader")
    sales.run("create role reader login password 'geheim@'")
    sales.run("grant select on sales to reader")
    rules = postgres.folder / "data/pg_hba.conf"
    before = rules.read_text()
    rules.write_text(f"host all reader 127.0.0.1/32 scram-sha-256\n{before}")
    postgres._run("pg_ctl", "reload")
    monkeypatch.setenv(VARIABLE, url.replace("prefect@", f"reader:{SECRET}@"))
    yield sales
    rules.write_text(before)
    postgres._run("pg_ctl", "reload")
    sales.run("drop owned by reader")


@pytest.fixture
def on_guarded(guarded, trained_files, tmp_path):
    bench = on_queries(tmp_path / "job")
    shutil.copytree(trained_files.workspace / "models", bench.workspace / "models")
    return bench


@pytest.mark.postgres
def test_neither_files_nor_messages_hold_the_password(on_guarded, guarded, monkeypatch):
    bench = on_guarded
    done = [bench.score(), bench.run("train", bench.job), bench.run("encode", bench.job)]
    right = os.environ[VARIABLE]
    monkeypatch.setenv(VARIABLE, right.replace("geheim", "geheimer"))
    wrong = bench.score()
    monkeypatch.setenv(VARIABLE, f"{right}?options=-c%20statement_timeout%3D1ms")
    guarded.add(DAY, late(DAY, n=5_000))
    slow = bench.score(
        "--set",
        "data.incoming=sql: SELECT sales.*, pg_sleep(1) FROM sales WHERE day = {date} ORDER BY id",
    )

    assert [each.code for each in done] == [0, 0, 0]
    assert "check user and password in the URI" in wrong.err
    assert "retry" not in wrong.err
    assert "raise statement_timeout" in slow.err
    for each in (*done, wrong, slow):
        assert "geheim" not in each.out + each.err
    assert holds(bench.folder, "geheim") == []


@pytest.mark.postgres
def test_a_query_of_postgresql_cannot_write(on_guarded, guarded):
    text = "sql: WITH gone AS (DELETE FROM sales RETURNING *) SELECT * FROM gone WHERE day = {date}"
    refused = on_guarded.score("--set", f"data.incoming={text}")

    assert refused.code == 1
    assert "data-modifying" in refused.err


@pytest.mark.postgres
@pytest.mark.parametrize("sales", ["postgres"], indirect=True)
def test_a_backend_that_is_terminated_in_the_middle_is_asked_again(bench, sales, monkeypatch):
    sales.add(DAY, late(DAY, n=3_000))
    next_batch, calls = Session._next_batch, []

    def terminate_once(session, batches):
        calls.append(True)
        if len(calls) == 2:
            sales.run(
                "select pg_terminate_backend(pid) from pg_stat_activity where query like 'FETCH %'"
            )
        return next_batch(session, batches)

    monkeypatch.setattr(Session, "_next_batch", terminate_once)
    scored = bench.score()

    assert (scored.code, scored.facts["rows"]) == (0, 3_300)
    assert scored.err.count("retry ") == 1
    assert "terminating connection due to administrator command" in scored.err
