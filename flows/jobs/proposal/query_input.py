"""init on a query: its result in a file, and the keys of [data] that say how to run it."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flows.errors import UsageError
from flows.jobs.queries import read_query
from flows.jobs.sections.limits import require_variable
from flows.jobs.sections.queries import parse_queries
from storage.databases.query import Query, is_query
from storage.databases.snapshot import write_rows
from storage.objects.reach import reached

TABLE = re.compile(r'\bfrom\s+"?(?:\w+"?\."?)?(\w+)', re.IGNORECASE)


@contextmanager
def rows_in_file(source: str, connection: str) -> Iterator[Path]:
    """Yield the path of the rows; the result of a query is in a file until the end.

    Raises UsageError, and SourceError if the database refuses.
    """
    if not is_query(source):
        yield reached(source)
        return
    query = clean_query(source)
    require_variable("--connection", connection, holds="the URI of the database")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{table_name(query)}.parquet"
        batches = read_query(query, variable=connection, folder=Path.cwd())
        write_rows(file, batches)
        yield file


def clean_query(source: str) -> Query:
    """Parse the query for the clean rows. Raises UsageError."""
    query = parse_queries({"clean": source})["clean"]
    if query.has_date:
        raise UsageError(f"data.clean must not contain {{date}}. Got {query} instead.")
    return query


def table_name(query: Query) -> str:
    """Return the first table that a query names; "rows" if none is found."""
    found = TABLE.search(str(query))
    return found[1] if found else "rows"


def incoming_query(query: Query, id_column: str) -> str:
    """Return a pattern of the query for a night."""
    order = "" if id_column else " ORDER BY …"
    return f"sql: SELECT … FROM {table_name(query)} WHERE day = {{date}}{order}"  # noqa: S608 (text)
