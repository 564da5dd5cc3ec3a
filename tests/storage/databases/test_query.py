"""Queries as a job file writes them."""

from __future__ import annotations

import pytest

from storage.databases.query import Query, is_query


def test_the_date_is_a_parameter_wherever_it_stands_outside_of_quotes():
    query = Query("sql: SELECT '{\"a\": 1}' FROM t WHERE d >= {date} AND e = {date} ORDER BY d;")

    assert query.has_date
    assert query.sql("$1") == ("SELECT '{\"a\": 1}' FROM t WHERE d >= $1 AND e = $1 ORDER BY d")


def test_a_date_in_a_comment_and_other_braces_are_left_alone():
    query = Query("sql: SELECT {'a': 1} -- not {date};\nFROM t /* {date} */ ORDER BY x")

    assert not query.has_date
    assert query.sql("$1").startswith("SELECT {'a': 1} -- not {date};\nFROM t /* {date} */")


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("sql: SELECT '{date}'", "without quotes, since it is bound as a parameter. Got '{date}'"),
        ('sql: SELECT "t{date}"', "without quotes"),
        ("sql: SELECT $$ {date} $$", "without quotes"),
        ("sql: SELECT {date:%Y/%m/%d}", "without a format"),
        ("sql: DELETE FROM t", "a SELECT or WITH statement. Got DELETE FROM t instead"),
        ("sql:", "a SELECT or WITH statement"),
        ("sql: SELECT 1; DELETE FROM t", "a single statement"),
    ],
)
def test_what_is_no_single_select_or_misuses_the_date_is_refused(written, why):
    with pytest.raises(ValueError, match=why.replace("{", r"\{")):
        Query(written)


@pytest.mark.parametrize(
    "written",
    [
        "sql: SELECT a FROM t",
        "sql: SELECT row_number() OVER (ORDER BY a) FROM t",
        "sql: SELECT a FROM (SELECT a FROM t ORDER BY a) AS x",
        "sql: SELECT 'order by' FROM t -- ORDER BY a",
    ],
)
def test_rows_without_an_order_are_ordered_by_their_ids(written):
    query = Query(written)

    assert not query.is_ordered
    assert query.sql("$1", order_by='i"d').endswith('\n) AS result ORDER BY "i""d"')


def test_an_order_of_the_statement_stays():
    query = Query("sql: WITH x AS (SELECT 1 AS a) SELECT a FROM x\nORDER\nBY a LIMIT 3")

    assert query.is_ordered
    assert query.sql("$1", order_by="id") == query.sql("$1")


def test_a_long_query_is_cut_in_messages():
    assert str(Query(f"sql: SELECT\n  a{', a' * 99}\nFROM t")).startswith("SELECT a, a, ")
    assert len(str(Query(f"sql: SELECT a{', a' * 99} FROM t"))) == 101


def test_paths_are_no_queries():
    assert [is_query(text) for text in (" SQL: SELECT 1", "sql/clean.npy", "clean.npy")] == [
        True,
        False,
        False,
    ]
