"""Queries as a job file writes them: `sql: SELECT … WHERE day = {date} ORDER BY id`.

`{date}` stands for a parameter of the statement. It is bound by the driver and never pasted, so it
stands without quotes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

PREFIX = "sql:"
DATE = "{date}"
MOST_SHOWN = 100  # characters of a query in a message
TOKEN = re.compile(
    r"""
    (?P<comment>--[^\n]* | /\*.*?\*/)
  | (?P<text>[eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | "(?:[^"]|"")*" | `[^`]*`
      | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
  | (?P<date>\{date\})
  | (?P<braces>\{\s*[dD][aA][tT][eE]\b[^}]*\})
  | (?P<word>\w+)
  | (?P<sign>\S)
    """,
    re.VERBOSE | re.DOTALL,
)


def is_query(text: str) -> bool:
    """Return whether a path of the job file is a query."""
    return text.lstrip().lower().startswith(PREFIX)


@dataclass(frozen=True)
class Query:
    """One SELECT statement. written: as the job file has it, with "sql:" in front.

    Raises ValueError if it is not one SELECT or WITH statement, or if {date} is misused.
    """

    written: str

    def __post_init__(self) -> None:
        if self._words[:1] not in (["select"], ["with"]):
            raise ValueError(f"must be 'sql:' and a SELECT or WITH statement. Got {self} instead.")
        for kind, token in self._tokens:
            _require_parameter(kind, token)
        if ("sign", ";") in self._tokens:
            raise ValueError(f"must be a single statement, without ';' in it. Got {self} instead.")

    def __str__(self) -> str:
        """Return the query on one line; a long one is cut."""
        line = " ".join(self._statement.split())
        return line if len(line) <= MOST_SHOWN else f"{line[:MOST_SHOWN]}…"

    @property
    def has_date(self) -> bool:
        """Whether {date} is a parameter."""
        return any(kind == "date" for kind, _ in self._tokens)

    @cached_property
    def is_ordered(self) -> bool:
        """Whether the rows come in an order of the statement's own."""
        return ("order", "by") in pairwise(self._words)

    def sql(self, marker: str, *, order_by: str = "") -> str:
        """Return the statement with `marker` for {date}, such as "$1".

        order_by: the column by which rows are ordered unless the statement orders them itself.
        """
        statement = TOKEN.sub(
            lambda found: marker if found.lastgroup == "date" else found[0], self._statement
        )
        if self.is_ordered or not order_by:
            return statement
        quoted = order_by.replace('"', '""')
        return f'SELECT * FROM (\n{statement}\n) AS result ORDER BY "{quoted}"'  # noqa: S608 (the user's own)

    @cached_property
    def _statement(self) -> str:
        """The statement without "sql:" and a final semicolon."""
        text = self.written.strip()[len(PREFIX) :].strip()
        tokens = [found for found in TOKEN.finditer(text) if found.lastgroup != "comment"]
        if tokens and tokens[-1][0] == ";":
            text = text[: tokens[-1].start()] + text[tokens[-1].end() :]
        return text.strip()

    @cached_property
    def _tokens(self) -> list[tuple[str, str]]:
        found = TOKEN.finditer(self._statement)
        return [(str(each.lastgroup), each[0]) for each in found if each.lastgroup != "comment"]

    @cached_property
    def _words(self) -> list[str]:
        """The words outside of parentheses and quotes, in lower case."""
        return list(_outer_words(self._tokens))


def _outer_words(tokens: list[tuple[str, str]]) -> Iterator[str]:
    depth = 0
    for kind, token in tokens:
        depth += (token == "(") - (token == ")") if kind == "sign" else 0  # noqa: S105 (SQL tokens)
        if kind == "word" and not depth:
            yield token.lower()


def _require_parameter(kind: str, token: str) -> None:
    """Raise ValueError if {date} stands where no parameter can, or in another form."""
    if kind == "text" and DATE in token:
        raise ValueError(
            "must have {date} without quotes, since it is bound as a parameter. "
            f"Got {token} instead."
        )
    if kind == "braces":
        raise ValueError(
            "must have {date} without a format; use functions of the database on it. "
            f"Got {token} instead."
        )
