"""URIs of databases, and refusals without passwords."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.databases.connect import connect
from storage.databases.database import Database
from storage.databases.query import Query
from storage.errors import DatabaseError

SECRET = "geheim"


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("", "it is not set"),
        (f"mysql://user:{SECRET}@host/shop", "it holds none"),
        (f"user={SECRET}", "it holds none"),
        (f"postgresql://user:{SECRET}@{SECRET}@host/shop", "write special characters"),
        (f"postgresql://user:{SECRET}/x@host/shop", "write special characters"),
    ],
)
def test_what_is_no_uri_of_a_database_is_refused_without_its_value(uri, why):
    with pytest.raises(DatabaseError, match=f"the environment variable SHOP_DB must.*{why}") as e:
        Database("SHOP_DB", uri)
    assert SECRET not in str(e.value)
    assert not e.value.passing


@pytest.mark.parametrize(
    "uri",
    [
        f"postgresql://user:{SECRET}%40@127.0.0.1/shop",
        f"postgresql://user@127.0.0.1/shop?password={SECRET}%40",
    ],
)
def test_a_refusal_holds_no_password(uri):
    database = Database("SHOP_DB", uri)
    with pytest.raises(DatabaseError) as e, database.refusals(ValueError):
        raise ValueError(f"cannot connect to {uri} with {SECRET}%40, that is {SECRET}@")

    assert str(e.value).startswith("the database behind SHOP_DB: cannot connect to *** with ***")
    assert SECRET not in f"{e.value} {database!r}"


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_a_relative_path_starts_at_the_folder_of_the_job_file(kind, tmp_path):
    with connect(Database("SHOP_DB", f"{kind}:///shop.db", tmp_path), write=True):
        pass

    assert (tmp_path / "shop.db").exists()
    assert Database("SHOP_DB", f"{kind}:////srv/a%20b.db", tmp_path).file == Path("/srv/a b.db")


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_a_query_cannot_create_or_change_a_database(kind, tmp_path):
    database = Database("SHOP_DB", f"{kind}:///shop.db", tmp_path)
    with pytest.raises(DatabaseError, match="the database behind SHOP_DB: "):
        connect(database)
    assert not (tmp_path / "shop.db").exists()
    connect(database, write=True)._close()

    with connect(database) as session, pytest.raises(DatabaseError, match=r"read-?only"):
        list(session._next_batch(session._batches("CREATE TABLE t (a integer)", None)) or ())


def test_a_server_that_is_away_may_be_asked_again():
    with pytest.raises(DatabaseError, match="check that the database runs and that SHOP_DB") as e:
        connect(Database("SHOP_DB", "postgresql://user@127.0.0.1:1/shop"))
    assert e.value.passing


def test_a_column_of_several_types_in_sqlite_is_to_be_cast(tmp_path):
    database = Database("SHOP_DB", "sqlite:///shop.db", tmp_path)
    numbers = "SELECT value FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
    numbers += "LIMIT 20000) SELECT CASE WHEN i < 15000 THEN i ELSE i + 0.5 END AS value FROM n)"
    refused = pytest.raises(DatabaseError, match=r"one type in the query, as with CAST\(amount")
    with connect(database, write=True) as session, refused:
        list(session.read(Query(f"sql: {numbers}"), day=None, order_by=""))


def test_a_uri_may_name_several_hosts_or_a_socket():
    for uri in ("postgresql://u:p@a:1,b:2/shop", "postgresql:///shop?host=/run/postgresql"):
        assert Database("SHOP_DB", uri).kind == "postgresql"
