"""Connections by the kind of database."""

from __future__ import annotations

from storage.databases.database import DUCKDB, SQLITE, Database
from storage.databases.session import Session
from storage.errors import DatabaseError

EXTRAS = {"adbc_driver_postgresql": "postgres", "adbc_driver_sqlite": "sqlite", "duckdb": "duckdb"}


def connect(database: Database, *, write: bool = False) -> Session:
    """Connect to a database, read-only unless `write`. Raises DatabaseError."""
    try:
        return _connect(database, write=write)
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        raise DatabaseError(
            f"{database}: its driver is not installed: pip install 'nightglass[{extra}]'",
            passing=False,
        ) from error


def _connect(database: Database, *, write: bool) -> Session:
    if database.kind == DUCKDB:
        from storage.databases.duckdb import DuckDBSession  # late: the driver is an extra

        return DuckDBSession(database, write=write)
    from storage.databases.adbc import PostgresSession, SqliteSession  # late: the same

    if database.kind == SQLITE:
        return SqliteSession(database, write=write)
    return PostgresSession(database)
