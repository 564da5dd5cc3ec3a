"""The choice of feature columns, with one error that lists everything wrong with them."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from storage.errors import SchemaError, SourceError

MOST_NAMED = 100  # columns in one message
MOST_CANDIDATES = 10  # columns that might be a missing one


def pick_columns(
    path: Path, kinds: Mapping[str, bool], wanted: Sequence[str], id_column: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Split the columns of a table into the features to read and the ones to ignore.

    kinds: for every column, whether it is numeric.
    wanted: the features; empty for all numeric columns.

    Raises SchemaError that names every missing and non-numeric column.
    """
    _require_columns(path, kinds, wanted, id_column)
    chosen = tuple(wanted) or _numeric_columns(kinds, id_column)
    if not chosen:
        raise SourceError(f"{path}: no numeric column; columns: {_listed(list(kinds))}")
    read = {*chosen, id_column}
    return chosen, tuple(name for name in kinds if name not in read)


def _numeric_columns(kinds: Mapping[str, bool], id_column: str) -> tuple[str, ...]:
    return tuple(name for name, numeric in kinds.items() if numeric and name != id_column)


def _require_columns(
    path: Path, kinds: Mapping[str, bool], wanted: Sequence[str], id_column: str
) -> None:
    named = [*wanted, id_column] if id_column else list(wanted)
    missing = [name for name in named if name not in kinds]
    not_numeric = [name for name in wanted if not kinds.get(name, True)]
    if missing or not_numeric:
        problems = "; ".join(_problems(missing, not_numeric, _candidates(kinds, named)))
        raise SchemaError(
            f"{path}: columns do not match: {problems}. Fix the file; or, if the change is "
            "intended, update data.columns or data.id and retrain on clean data in the new format"
        )


def _candidates(kinds: Mapping[str, bool], named: Sequence[str]) -> list[str]:
    """Return the columns that are not read and might be a missing one, numeric ones first."""
    unread = [name for name in kinds if name not in named]
    return sorted(unread, key=lambda name: not kinds[name])


def _problems(
    missing: Sequence[str], not_numeric: Sequence[str], candidates: Sequence[str]
) -> Iterator[str]:
    """Name what is wrong; other columns only if one of them may be a missing one, renamed."""
    if missing:
        yield f"missing: {_listed([_with_hint(name, candidates) for name in missing])}"
    if not_numeric:
        yield f"not numeric: {_listed(list(map(repr, not_numeric)))}"
    if missing and candidates:
        yield f"columns not read: {_listed(list(map(repr, candidates)), MOST_CANDIDATES)}"


def _with_hint(name: str, candidates: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, candidates, n=1, cutoff=0.6)
    return f"{name!r} (did you mean {near[0]!r}?)" if near else repr(name)


def _listed(names: Sequence[str], most: int = MOST_NAMED) -> str:
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
