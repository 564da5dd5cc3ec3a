"""Checks of the queries in [data]."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from flows.errors import UsageError
from flows.jobs.sections.limits import require_variable
from storage.databases.query import Query, is_query


def parse_queries(inputs: Mapping[str, str]) -> dict[str, Query]:
    """Return the queries among the inputs, by key. Raises UsageError that names the key."""
    found = {}
    for key, text in inputs.items():
        if is_query(text):
            try:
                found[key] = Query(text)
            except ValueError as error:
                raise UsageError(f"data.{key} {error}") from error
    return found


def require_queries(
    queries: Mapping[str, Query], *, connection: str, id_column: str, settle: timedelta
) -> None:
    """Raise UsageError unless the queries can be run, and give rows in an order."""
    if connection and not queries:
        raise UsageError(
            "data.connection names the database of queries, but neither data.clean nor "
            "data.incoming is one. Remove it, or write a query as 'sql: SELECT …'"
        )
    for key, query in queries.items():
        require_variable("data.connection", connection, holds="the URI of the database")
        if not query.is_ordered and not id_column:
            raise UsageError(
                f"data.{key} must say in which order rows come, since their numbers are their "
                "ids: add ORDER BY with columns that tell all rows apart, or set data.id. "
                f"Got {query} instead."
            )
        if query.has_date != (key == "incoming"):
            must = "must contain {date}" if key == "incoming" else "must not contain {date}"
            raise UsageError(f"data.{key} {must}. Got {query} instead.")
    if "incoming" in queries and settle:
        raise UsageError(
            "data.settle must be 0 for a query, since a table has no time of its last change; "
            "use data.ready, or a condition in the query"
        )
