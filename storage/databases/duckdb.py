"""DuckDB through its own driver."""

from __future__ import annotations

from datetime import date

import pyarrow as pa

from storage.databases.database import Database
from storage.databases.session import Batches, NightRows, Session

BATCH_ROWS = 50_000


class DuckDBSession(Session):
    """DuckDB, opened read-only unless to write."""

    marker = "$1"

    def __init__(self, database: Database, *, write: bool) -> None:
        import duckdb  # late: an extra

        super().__init__(database)
        self.errors = (duckdb.Error, OSError, pa.ArrowException)
        with database.refusals(*self.errors):
            self._connection = duckdb.connect(str(database.file.absolute()), read_only=not write)
            self._connection.begin()

    def _batches(self, statement: str, day: date | None) -> Batches:
        found = self._connection.sql(statement, params=[day] if day else None)
        rows = found.to_arrow_reader(BATCH_ROWS)
        yield pa.RecordBatch.from_pylist([], rows.schema)
        yield from rows

    def _replace(self, night: NightRows, job: str, day: date) -> None:
        rows = pa.RecordBatchReader.from_batches(night.schema, night.batches)
        names = ", ".join(f'"{name}"' for name in night.schema.names)
        # without a key, which makes it many times slower to replace rows
        self._connection.execute(night.definition(with_key=False))
        self._connection.execute(night.deletion("$1", "$2"), [job, day])
        self._connection.register("night_rows", rows)
        self._connection.execute(
            f"INSERT INTO {night.name} ({names}) SELECT {names} FROM night_rows"  # noqa: S608 (checked names)
        )
        self._connection.unregister("night_rows")

    def _commit(self) -> None:
        self._connection.commit()

    def _close(self) -> None:
        self._connection.close()
