"""What every connection to a database offers: rows of one query, and writing result tables."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from typing import ClassVar, Self

import pyarrow as pa

from storage.databases.database import WRITING, Database
from storage.databases.query import Query

SQL_TYPES = {
    pa.string(): "TEXT",
    pa.date32(): "DATE",
    pa.int64(): "BIGINT",
    pa.float64(): "DOUBLE PRECISION",
    pa.bool_(): "BOOLEAN",
    pa.timestamp("us", "UTC"): "TIMESTAMP WITH TIME ZONE",
}

Batches = Generator[pa.RecordBatch, None, None]


@dataclass(frozen=True)
class NightRows:
    """Rows of one night for a result table, which has the columns job, date, and those of `key`.

    table: its name, also "schema.table". schema: of the rows, with types of SQL_TYPES.
    key: the columns that identify a row. batches: the rows, all of one job and date.
    """

    table: str
    schema: pa.Schema
    key: Sequence[str]
    batches: Iterator[pa.RecordBatch]

    @property
    def name(self) -> str:
        """The name of the table as SQL has it, in quotes."""
        return ".".join(f'"{part}"' for part in self.table.split("."))

    def definition(self, *, with_key: bool) -> str:
        """Return the statement that creates the table unless it exists."""
        parts = [f'"{field.name}" {SQL_TYPES[field.type]}' for field in self.schema]
        if with_key:
            key = ", ".join(f'"{name}"' for name in self.key)
            parts.append(f"PRIMARY KEY ({key})")
        return f"CREATE TABLE IF NOT EXISTS {self.name} ({', '.join(parts)})"

    def deletion(self, job: str, day: str) -> str:
        """Return the statement that deletes the rows of a night; job, day: its parameters."""
        return f'DELETE FROM {self.name} WHERE "job" = {job} AND "date" = {day}'  # noqa: S608 (a checked name)


class Session(ABC):
    """A connection to a database, closed on exit; what is not committed by then is undone.

    marker: how a statement names its first parameter. errors: what the driver raises.
    """

    marker: ClassVar[str]
    errors: tuple[type[Exception], ...]

    def __init__(self, database: Database) -> None:
        self.database = database

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def read(self, query: Query, *, day: date | None, order_by: str) -> Batches:
        """Yield the rows of a query in bounded memory: at least one batch, which may be empty.

        day: the value of {date}. Raises DatabaseError.
        """
        # closed at once: DuckDB waits for an open result before it opens the file again
        with closing(self._batches(query.sql(self.marker, order_by=order_by), day)) as batches:
            while (batch := self._next_batch(batches)) is not None:
                yield batch

    def _next_batch(self, batches: Iterator[pa.RecordBatch]) -> pa.RecordBatch | None:
        # around the read alone: an OSError of whoever consumes the rows is not the database's
        with self.database.refusals(*self.errors):
            return next(batches, None)

    @abstractmethod
    def _batches(self, statement: str, day: date | None) -> Batches:
        """Yield the rows of a SELECT statement, read-only where the database allows it."""

    def replace_nights(self, nights: Sequence[NightRows], *, job: str, day: date) -> None:
        """Replace the rows of one job and date in several tables, in one transaction.

        Creates tables that are absent. Raises DatabaseError; all tables then stay unchanged.
        """
        with self.database.refusals(*self.errors, otherwise=WRITING):
            for night in nights:
                self._replace(night, job, day)
            self._commit()

    @abstractmethod
    def _replace(self, night: NightRows, job: str, day: date) -> None: ...

    @abstractmethod
    def _commit(self) -> None: ...

    @abstractmethod
    def _close(self) -> None: ...
