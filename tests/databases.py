"""Tables of sales in databases and in Parquet files, and jobs that read either."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import adbc_driver_postgresql.dbapi
import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from bench import DAY, JOB, Bench, rows_of

from storage.databases.connect import connect
from storage.databases.database import Database
from storage.databases.query import Query

VARIABLE = "SALES_DB"
CLEAN_DAY, NIGHTS = "2026-01-01", ("2026-11-20", "2026-11-21", DAY)
COLUMNS = tuple("abcdefgh")
CLEAN = "SELECT id, a, b, c, d, e, f, g, h FROM sales WHERE day = '2026-01-01' ORDER BY id"
INCOMING = "SELECT id, a, b, c, d, e, f, g, h FROM sales WHERE day = {date} ORDER BY id"


def sales_of(day: str, *, n: int = 300, first: int = 0) -> pa.Table:
    """Rows of one day, with ids that count up over the days."""
    seed = date.fromisoformat(day).toordinal()
    values = np.round(rows_of(n, seed), 6)
    columns = dict(zip(COLUMNS, values.T, strict=True))
    start = 10_000 * (seed - date(2026, 1, 1).toordinal())
    return pa.table({"id": np.arange(first, first + n) + start, **columns})


def sales_of_days() -> dict[str, pa.Table]:
    return {CLEAN_DAY: sales_of(CLEAN_DAY, n=900), **{day: sales_of(day) for day in NIGHTS}}


@dataclass
class Sales(ABC):
    """A database with the table `sales`: its URI, and statements to run in it."""

    uri: str

    @abstractmethod
    def run(self, statement: str) -> None: ...

    @abstractmethod
    def add(self, day: str, rows: pa.Table) -> None: ...

    def fill(self) -> None:
        columns = ", ".join(f"{name} double precision" for name in COLUMNS)
        self.run("drop table if exists sales")
        self.run(f"create table sales (day date, id bigint, {columns})")
        for day, rows in sales_of_days().items():
            self.add(day, rows)

    def rows(self, statement: str) -> list[dict[str, object]]:
        with connect(Database(VARIABLE, self.uri)) as session:
            batches = list(session.read(Query(f"sql: {statement}"), day=None, order_by=""))
        return pa.Table.from_batches(batches).to_pylist()

    @property
    def path(self) -> str:
        return self.uri.partition(":///")[2]


class InSqlite(Sales):
    def run(self, statement: str) -> None:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute(statement)

    def add(self, day: str, rows: pa.Table) -> None:
        inserted = [[day, *row.values()] for row in rows.to_pylist()]
        marks = ", ".join("?" * len(inserted[0]))
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.executemany(f"insert into sales values ({marks})", inserted)


class InDuckDB(Sales):
    def run(self, statement: str) -> None:
        with duckdb.connect(self.path) as connection:
            connection.execute(statement)

    def add(self, day: str, rows: pa.Table) -> None:
        with duckdb.connect(self.path) as connection:
            connection.register("added", rows)
            connection.execute(f"insert into sales select date '{day}', * from added")


class InPostgres(Sales):
    def run(self, statement: str) -> None:
        with adbc_driver_postgresql.dbapi.connect(self.uri) as connection:
            with connection.cursor() as cursor:
                cursor.execute(statement)
            connection.commit()

    def add(self, day: str, rows: pa.Table) -> None:
        days = pa.array([date.fromisoformat(day)] * rows.num_rows)
        with adbc_driver_postgresql.dbapi.connect(self.uri) as connection:
            with connection.cursor() as cursor:
                cursor.adbc_ingest("sales", rows.add_column(0, "day", days), mode="append")
            connection.commit()


def job_text(clean: str, incoming: str, *more: str) -> str:
    """The small job, on other inputs and with more keys of [data]."""
    keys = [f"clean = '''{clean}'''", f"incoming = '''{incoming}'''", *more]
    text = JOB.replace('clean = "clean.npy"', "\n".join(keys))
    return text.replace('incoming = "nights/{date}.npy"\n', "")


def on_files(folder: Path) -> Bench:
    """A job on Parquet files with the rows of `sales_of_days`."""
    (folder / "nights").mkdir(parents=True)
    days = sales_of_days()
    pq.write_table(days.pop(CLEAN_DAY), folder / "clean.parquet")
    for day, rows in days.items():
        pq.write_table(rows, folder / f"nights/{day}.parquet")
    text = job_text("clean.parquet", "nights/{date}.parquet", 'id = "id"')
    (folder / "small.toml").write_text(text)
    return Bench(folder)


def on_queries(folder: Path, clean: str = CLEAN, incoming: str = INCOMING, *more: str) -> Bench:
    """A job on queries of the database behind VARIABLE."""
    folder.mkdir(parents=True, exist_ok=True)
    keys = more or (f'connection = "{VARIABLE}"', 'id = "id"')
    (folder / "small.toml").write_text(job_text(f"sql: {clean}", f"sql: {incoming}", *keys))
    return Bench(folder)


def late(day: str, n: int = 10) -> pa.Table:
    """More rows of a day."""
    return sales_of(day, n=n, first=5_000)
