"""Which database a URI names, and its refusals in words that hold no password."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from storage.errors import DatabaseError

POSTGRES = ("postgresql", "postgres")
SQLITE, DUCKDB = "sqlite", "duckdb"
EXAMPLES = "postgresql://user:password@host:5432/database, sqlite:///file.db, or duckdb:///file.db"
SECRET_OPTION = re.compile(r"password=([^&]*)")
MESSAGE = b"PG_DIAG_MESSAGE_PRIMARY"  # of PostgreSQL, without the statement
NOISE = re.compile(r"^(?:[A-Z_]+: )?(?:\[(?:libpq|SQLite)\] )?|\nquery: .*", re.DOTALL)


class Refusal(NamedTuple):
    """A kind of refusal: how it is recognized by SQLSTATE and text, and what to do about it."""

    pattern: str
    advice: str
    passing: bool = False


REFUSALS = (
    Refusal(
        r"^28|password authentication failed|no password supplied|pg_hba\.conf",
        "check user and password in the URI that {variable} holds",
    ),
    Refusal(
        r"^57014|statement timeout",
        "raise statement_timeout of this user, or make the statement faster, as with an index",
    ),
    Refusal(
        r"^(08|40|53|57P)|failed to connect|no connection|server closed the connection|\bSSL\b"
        r"|is locked|could not set lock",
        "check that the database runs and that {variable} holds its URI, then rerun",
        passing=True,
    ),
    Refusal(
        "type mismatch in column",
        "give the column one type in the query, as with CAST(amount AS REAL)",
    ),
)
READING = "fix the query, restore what it reads, or let this user read it"
WRITING = "rename the table or the key in [publish], or let this user write the table"


@dataclass(frozen=True)
class Database:
    """A database behind an environment variable.

    variable: its name. uri: its value, which may hold a password. folder: where relative paths of
    database files start. Raises DatabaseError if the value is no URI of a known kind.
    """

    variable: str
    uri: str = field(repr=False)
    folder: Path = Path()

    def __post_init__(self) -> None:
        if not self.uri:
            self._refuse_uri("is not set")
        if self.kind not in (*POSTGRES, SQLITE, DUCKDB):
            self._refuse_uri("holds none")
        before_options = self.uri.partition("?")[0]
        if before_options.count("@") > 1 or not _has_valid_port(self.uri):
            self._refuse_uri("holds another; write special characters of a password as %40 (@)")

    def __str__(self) -> str:
        return f"the database behind {self.variable}"

    @property
    def kind(self) -> str:
        """The scheme of the URI, in lower case."""
        return self.uri.partition("://")[0].lower() if "://" in self.uri else ""

    @property
    def file(self) -> Path:
        """The file of a SQLite or DuckDB database."""
        path = unquote(urlsplit(self.uri).path).removeprefix("/")
        return self.folder / path

    @contextmanager
    def refusals(self, *kinds: type[Exception], otherwise: str = READING) -> Iterator[None]:
        """Turn errors of a driver into a DatabaseError that says what to do.

        otherwise: what to do about errors that are not in REFUSALS.
        """
        try:
            yield
        except kinds as error:
            # not chained: what a driver says is shown only without passwords
            raise self._refusal(error, otherwise) from None

    def _refusal(self, error: Exception, otherwise: str) -> DatabaseError:
        text = self._without_secrets(_plain_text(error))
        state = f"{getattr(error, 'sqlstate', None) or ''} {text}"
        kinds = (*REFUSALS, Refusal("", otherwise))
        kind = next(each for each in kinds if re.search(each.pattern, state, re.IGNORECASE))
        advice = kind.advice.format(variable=self.variable)
        return DatabaseError(f"{self}: {text}; {advice}", passing=kind.passing)

    def _without_secrets(self, text: str) -> str:
        parts = urlsplit(self.uri)
        found = [parts.password or "", *SECRET_OPTION.findall(parts.query)]
        secrets = {self.uri, *found, *map(unquote, found)} - {""}
        for secret in sorted(secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text

    def _refuse_uri(self, found: str) -> None:
        # without the value, which may be a secret
        raise DatabaseError(
            f"the environment variable {self.variable} must hold the URI of a database, such as "
            f"{EXAMPLES}; it {found}",
            passing=False,
        )


def _has_valid_port(uri: str) -> bool:
    """Return whether the part after the host is a port; a list of hosts is left to the driver."""
    try:
        parts = urlsplit(uri)
        return "," in parts.netloc or parts.port != 0
    except ValueError:
        return False


def _plain_text(error: Exception) -> str:
    """Return what a driver says, on one line and without the statement."""
    message = dict(getattr(error, "details", None) or ()).get(MESSAGE)
    text = message.decode(errors="replace") if message else NOISE.sub("", str(error))
    return " ".join(text.split())
