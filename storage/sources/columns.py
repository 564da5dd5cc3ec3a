"""The choice of feature columns, with one error that lists everything wrong with them."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from storage.errors import SchemaError, SourceError
from storage.text import list_first

MOST_REASONS = 20  # why columns are not read, in one message
MOST_CANDIDATES = 10  # columns that might be a missing one
NO_FEATURE = "not a feature of the job or model"


class Column(NamedTuple):
    """A column of a table.

    numeric: whether it can be read. why_not: why it is no feature unless it is asked for, or ''.
    """

    numeric: bool
    why_not: str = ""


NUMERIC = Column(numeric=True)


def unnamed(position: int) -> str:
    """Return what stands for the name of a column without one; the first is column 1."""
    return f"column {position} without a name"


def list_unread(unread: Mapping[str, str]) -> str:
    """List columns that are not read, by reason: 'a, b (text); c (timestamp[s])'.

    Of many, the first ones.
    """
    names = defaultdict(list)
    for name, why in unread.items():
        names[why].append(name)
    reasons = [f"{list_first(same)} ({why})" for why, same in list(names.items())[:MOST_REASONS]]
    others = sum(map(len, list(names.values())[MOST_REASONS:]))
    more = [f"and {others:,} more columns for other reasons"] if others else []
    return "; ".join([*reasons, *more])


def pick_columns(
    path: Path, columns: Mapping[str, Column], wanted: Sequence[str], id_column: str
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the features to read, and for each other column why it is not read.

    wanted: the features; empty for all numeric columns but those with a reason against it.

    Raises SchemaError that names every missing and non-numeric column.
    """
    _require_columns(path, columns, wanted, id_column)
    chosen = tuple(wanted) or _numeric_columns(columns, id_column)
    read = {*chosen, id_column}
    unread = {
        name: column.why_not or NO_FEATURE for name, column in columns.items() if name not in read
    }
    if not chosen:
        raise SourceError(f"{path}: no numeric column; columns: {list_unread(unread) or id_column}")
    return chosen, unread


def _numeric_columns(columns: Mapping[str, Column], id_column: str) -> tuple[str, ...]:
    return tuple(
        name
        for name, column in columns.items()
        if column.numeric and not column.why_not and name != id_column
    )


def _require_columns(
    path: Path, columns: Mapping[str, Column], wanted: Sequence[str], id_column: str
) -> None:
    named = dict.fromkeys([*wanted, id_column] if id_column else wanted)
    missing = [name for name in named if name not in columns]
    not_numeric = {
        name: columns[name].why_not
        for name in wanted
        if name in columns and not columns[name].numeric
    }
    if missing or not_numeric:
        problems = "; ".join(_problems(missing, not_numeric, _candidates(columns, named)))
        raise SchemaError(
            f"{path}: columns do not match: {problems}. Fix the file; or, if the change is "
            "intended, update data.columns or data.id and retrain on clean data in the new format"
        )


def _candidates(columns: Mapping[str, Column], named: Collection[str]) -> list[str]:
    """Return the columns that are not read and might be a missing one, numeric ones first."""
    unread = [name for name in columns if name not in named]
    return sorted(unread, key=lambda name: not columns[name].numeric)


def _problems(
    missing: Sequence[str], not_numeric: Mapping[str, str], candidates: Sequence[str]
) -> Iterator[str]:
    """Name what is wrong; other columns only if one of them may be a missing one, renamed."""
    if missing:
        guesses = candidates if len(missing) <= MOST_CANDIDATES else []
        yield f"missing: {list_first([_with_hint(name, guesses) for name in missing])}"
    if not_numeric:
        named = [f"{name!r} ({why})" for name, why in not_numeric.items()]
        yield f"not numeric: {list_first(named)}"
    if missing and candidates:
        yield f"columns not read: {list_first(list(map(repr, candidates)), MOST_CANDIDATES)}"


def _with_hint(name: str, candidates: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, candidates, n=1, cutoff=0.6)
    return f"{name!r} (did you mean {near[0]!r}?)" if near else repr(name)
