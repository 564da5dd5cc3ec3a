"""PostgreSQL and SQLite through ADBC."""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from datetime import date
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import pyarrow as pa

from storage.databases.database import Database
from storage.databases.session import Batches, NightRows, Session
from storage.errors import DatabaseError

FIRST_ROWS = 1_000  # fetched before the width of a row is known
MOST_ROWS = 50_000  # fetched at once
FETCH_BYTES = 16_000_000
CONNECT_SECONDS = 10
SQLITE_BATCH = 10_000  # rows; the first batch decides on the types of the columns
BUSY_MILLISECONDS = 10_000  # to wait for another process that writes to a SQLite database


class AdbcSession(Session):
    """A connection in a transaction of its own."""

    def __init__(self, database: Database, driver: Any, uri: str) -> None:
        super().__init__(database)
        self.errors = (driver.Error, OSError, pa.ArrowException)
        with database.refusals(*self.errors):
            self._connection = driver.connect(uri, autocommit=False)

    def _replace(self, night: NightRows, job: str, day: date) -> None:
        schema, _, table = night.table.rpartition(".")
        where = {"db_schema_name": schema} if schema else {}
        rows = pa.RecordBatchReader.from_batches(
            self._schema(night.schema), map(self._storable, night.batches)
        )
        with self._connection.cursor() as cursor:
            cursor.execute(night.definition(with_key=True))
            cursor.execute(
                night.deletion(self._nth(1), self._nth(2)), parameters=[job, self._date(day)]
            )
            cursor.adbc_ingest(table, rows, mode="append", **where)

    @abstractmethod
    def _nth(self, number: int) -> str:
        """Name a parameter of a statement."""

    def _schema(self, schema: pa.Schema) -> pa.Schema:
        return schema

    def _storable(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return batch

    def _date(self, day: date) -> object:
        return day

    def _commit(self) -> None:
        self._connection.commit()

    def _close(self) -> None:
        with contextlib.suppress(*self.errors):  # the connection may be lost
            self._connection.close()


class PostgresSession(AdbcSession):
    """PostgreSQL. Rows are fetched from a cursor of a read-only transaction on one state."""

    marker = "$1"

    def __init__(self, database: Database) -> None:
        from adbc_driver_postgresql import dbapi  # late: an extra

        super().__init__(database, dbapi, _with_timeout(database.uri))

    def _batches(self, statement: str, day: date | None) -> Batches:
        with self._connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            declared = f"DECLARE result NO SCROLL CURSOR FOR {statement}"
            cursor.execute(declared, parameters=[day] if day else None)
            cursor.adbc_statement.set_options(**{"adbc.postgresql.use_copy": "false"})
            count = FIRST_ROWS
            while True:
                cursor.execute(f"FETCH FORWARD {count} FROM result")
                rows = cursor.fetch_arrow_table()
                yield from rows.combine_chunks().to_batches() or [_empty(rows.schema)]
                if rows.num_rows < count:
                    return
                count = max(1, min(MOST_ROWS, FETCH_BYTES * rows.num_rows // max(1, rows.nbytes)))

    def _nth(self, number: int) -> str:
        return f"${number}"


class SqliteSession(AdbcSession):
    """SQLite. It has no dates: {date} is bound as a text such as 2026-11-22."""

    marker = "?1"

    def __init__(self, database: Database, *, write: bool) -> None:
        from adbc_driver_sqlite import dbapi  # late: an extra

        if not write and not database.file.is_file():
            raise DatabaseError(
                f"{database}: {database.file} is not found; a path from the root has four "
                f"slashes, as in sqlite:////srv/shop.db",
                passing=False,
            )
        mode = "rwc" if write else "ro"
        super().__init__(
            database, dbapi, f"file:{quote(str(database.file.absolute()))}?mode={mode}"
        )
        with database.refusals(*self.errors), self._connection.cursor() as cursor:
            cursor.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
            cursor.fetchall()

    def _batches(self, statement: str, day: date | None) -> Batches:
        with self._connection.cursor() as cursor:
            cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": str(SQLITE_BATCH)})
            cursor.execute(statement, parameters=[self._date(day)] if day else None)
            rows = cursor.fetch_record_batch()
            yield _empty(rows.schema)
            yield from rows

    def _nth(self, number: int) -> str:
        return f"?{number}"

    def _date(self, day: date) -> object:
        return day.isoformat()

    def _schema(self, schema: pa.Schema) -> pa.Schema:
        return pa.schema([_without_times(field) for field in schema])

    def _storable(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return batch.cast(self._schema(batch.schema))


def _without_times(field: pa.Field) -> pa.Field:
    """Return a field as text if it is a date or a time, for which SQLite has no type."""
    is_time = pa.types.is_date(field.type) or pa.types.is_timestamp(field.type)
    return field.with_type(pa.string()) if is_time else field


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([], schema)


def _with_timeout(uri: str) -> str:
    """Return the URI with a limit on the time to connect, unless it has one."""
    options = urlsplit(uri).query
    if "connect_timeout" in options:
        return uri
    return f"{uri}{'&' if options else '?'}{urlencode({'connect_timeout': CONNECT_SECONDS})}"
