"""Types of columns in a database, as the network reads them, and ids that come back exactly."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from databases import VARIABLE, InPostgres

from flows.jobs.job_file import read_job
from flows.jobs.queries import read_query
from storage.databases.query import Query
from storage.databases.snapshot import write_rows
from storage.sources import open_source

IDS = {
    "bigint": "9223372036854775807",
    "numeric(30, 5)": "1234567890123456789012345.12345",
    "text": " a'b\n",
    "uuid": "550e8400-e29b-41d4-a716-446655440000",
    "date": "2026-11-22",
    "timestamp": "2026-11-22 03:04:05.678901",
}


@pytest.fixture
def table(postgres, monkeypatch):
    found = InPostgres(postgres.url.replace("+asyncpg", ""))
    found.run("drop table if exists kinds")
    monkeypatch.setenv(VARIABLE, found.uri)
    return found


def snapshot(folder, statement, **ids):
    path = folder / "rows.parquet"
    write_rows(
        path, read_query(Query(f"sql: {statement}"), variable=VARIABLE, folder=folder, **ids)
    )
    return path


@pytest.mark.postgres
@pytest.mark.parametrize("kind", IDS)
def test_ids_come_back_exactly(table, tmp_path, kind):
    text = IDS[kind].replace("'", "''")
    table.run(f"create table kinds as select '{text}'::{kind} as id, 1.5::float8 as x")
    path = snapshot(tmp_path, "select id, x from kinds", id_column="id")
    with open_source(path, id="id") as source:
        [chunk] = source.chunks(max_rows=10)

    assert [str(each) for each in chunk.ids] == [IDS[kind]]


@pytest.mark.postgres
def test_columns_of_postgresql_are_read_by_their_types(table, tmp_path):
    table.run(
        "create table kinds as select i as whole, i / 3::numeric as price, i > 1 as sold, "
        "'s' || i as item, date '2026-11-22' + i as day, now() + i * interval '1 h' as at, "
        "gen_random_uuid() as key, '{}'::json as note, array[i] as list, "
        "nullif(i, 2) as gap from generate_series(1, 3) as i"
    )
    with open_source(snapshot(tmp_path, "select * from kinds"), missing="impute") as source:
        kinds = source.read_as
        unread = source.unread

    assert kinds == {
        "read as number": "whole, price, gap",
        "read as category": "sold, item, key, note",
        "read as hour and weekday": "at",
        "read as weekday": "day",
    }
    assert unread == {"list": "list<element: int32>"}


def test_the_job_file_in_the_documentation_is_valid(tmp_path):
    page = (Path(__file__).parents[3] / "docs/databases.md").read_text()
    (tmp_path / "sales.toml").write_text(re.search(r"```toml\n(.*?)```", page, re.DOTALL)[1])

    assert read_job(tmp_path / "sales.toml").data.queries.keys() == {"clean", "incoming"}
