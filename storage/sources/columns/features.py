"""The choice of feature columns, with one error that lists everything wrong with them."""

from __future__ import annotations

import difflib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypedDict

from storage.errors import SchemaError, SourceError
from storage.sources.columns.schema import (
    CATEGORY,
    ENTITY,
    HOUR,
    NUMBER,
    TIME,
    WEEKDAY,
    Kinds,
    Schema,
)
from storage.sources.csv_files.dialect import Dialect
from storage.text import list_first

MOST_REASONS = 20  # why columns are not read, in one message
MOST_CANDIDATES = 10  # columns that might be a missing one
NO_FEATURE = "not a feature of the job or model"
IGNORED = "data.ignore"
NO_VALUES = "no values"  # type of a column that may hold anything
NO_KINDS: Kinds = {}
DETECTED = Dialect()
KIND_NAMES = {
    NUMBER: "a number",
    CATEGORY: "a category",
    HOUR: "a time",
    WEEKDAY: "a time",
    ENTITY: "an entity",
}


class Column(NamedTuple):
    """A column of a table.

    kinds: as what it is read by default; () if it cannot be read. others: as what else it can be.
    why_not: why it is no feature unless it is asked for, or ''. type: what it holds.
    """

    kinds: tuple[str, ...]
    others: tuple[str, ...] = ()
    why_not: str = ""
    type: str = ""

    def read_as(self, wanted: tuple[str, ...] | None) -> tuple[str, ...]:
        """Return as what the column is read if `wanted` is asked for; () if it cannot be."""
        if wanted is None:
            return self.kinds
        return tuple(kind for kind in wanted if self._can_be(kind))

    def is_dated(self, wanted: tuple[str, ...]) -> bool:
        """Return whether the column holds dates, given as what it is read."""
        others = self.others if {*TIME} & {*wanted} else ()
        return WEEKDAY in (*self.kinds, *others)

    @property
    def is_empty(self) -> bool:
        """Whether nothing tells what the column holds."""
        return self.type == NO_VALUES

    def _can_be(self, kind: str) -> bool:
        """Whether the column can be read so; whatever can be a category can name an entity."""
        return (CATEGORY if kind == ENTITY else kind) in (*self.kinds, *self.others)


class Feature(NamedTuple):
    """A column and as what it is read; a time is two features of one column."""

    name: str
    kind: str


def names_of(features: Sequence[Feature]) -> tuple[str, ...]:
    """Return the columns of features, each once."""
    return tuple(dict.fromkeys(feature.name for feature in features))


def named_features(schema: Schema) -> tuple[Feature, ...]:
    """Return the features of a table."""
    kinds = schema.kinds or (NUMBER,) * len(schema.columns)
    return tuple(map(Feature, schema.columns, kinds))


def grouped(features: Sequence[Feature]) -> dict[str, tuple[str, ...]]:
    """Return as what each column is read."""
    kinds: dict[str, tuple[str, ...]] = {}
    for name, kind in features:
        kinds[name] = (*kinds.get(name, ()), kind)
    return kinds


def list_by_kind(schema: Schema) -> dict[str, str]:
    """List the columns by kind: 'read as category' and their names; empty if all are numbers."""
    names: dict[str, list[str]] = {}
    for name, kinds in grouped(named_features(schema)).items() if schema.kinds else ():
        names.setdefault(f"read as {' and '.join(kinds)}", []).append(name)
    return {what: list_first(found) for what, found in names.items()}


NUMERIC = Column((NUMBER,), (CATEGORY,), type="numbers")


def unnamed(position: int) -> str:
    """Return what stands for the name of a column without one; the first is column 1."""
    return f"column {position} without a name"


def list_unread(unread: Mapping[str, str]) -> str:
    """List columns that are not read, by reason: 'a, b (free text); c (list<item: int64>)'.

    Of many, the first ones.
    """
    names = defaultdict(list)
    for name, why in unread.items():
        names[why].append(name)
    reasons = [f"{list_first(same)} ({why})" for why, same in list(names.items())[:MOST_REASONS]]
    others = sum(map(len, list(names.values())[MOST_REASONS:]))
    more = [f"and {others:,} more columns for other reasons"] if others else []
    return "; ".join([*reasons, *more])


class BlockColumn(NamedTuple):
    """The column that says which rows are a block: those of one day, or else of one level."""

    name: str
    by_day: bool


class Reading(TypedDict, total=False):
    """How rows are read; each key may be left out.

    field: HDF5 dataset or NPZ member.
    columns: features of a table; empty for all that can be read.
    id: column that identifies a row of a table.
    missing: "error", or "impute" to let NaN pass.
    kinds: as what columns of a table are read, where their types say otherwise; () to ignore one.
    keep: so many rows of CSV files stay in memory for `spread_rows`, since opening reads them all.
    resize: height and width to which images are scaled; () to require one size.
    csv: how CSV files write cells, where that is not to be detected.
    """

    field: str
    columns: Sequence[str]
    id: str
    missing: str
    kinds: Kinds
    keep: int
    resize: Sequence[int]
    csv: Dialect


class Wanted(NamedTuple):
    """Which columns to read.

    columns: the features; empty for all that can be read, except those with a reason against it.
    kinds: as what to read some columns; (), to leave one out. keep, csv: see `Reading`.
    """

    columns: Sequence[str] = ()
    id: str = ""
    kinds: Kinds = NO_KINDS
    keep: int = 0
    csv: Dialect = DETECTED


def pick_features(
    path: Path, columns: Mapping[str, Column], wanted: Wanted
) -> tuple[tuple[Feature, ...], dict[str, str]]:
    """Return the features to read, and for each other column why it is not read.

    Raises SchemaError that names every column that is missing or cannot be read as asked.
    """
    _require_columns(path, columns, wanted)
    chosen = tuple(wanted.columns) or _default_columns(columns, wanted)
    read = {*chosen, wanted.id}
    unread = {
        name: _why_unread(column, wanted.kinds.get(name))
        for name, column in columns.items()
        if name not in read
    }
    if all(wanted.kinds.get(name) == (ENTITY,) for name in chosen):
        listed = list_unread(unread) or wanted.id
        raise SourceError(f"{path}: no column that can be a feature; columns: {listed}")
    return tuple(
        Feature(name, kind)
        for name in dict.fromkeys(chosen)
        for kind in columns[name].read_as(wanted.kinds.get(name))
    ), unread


def pick_shared(
    files: Sequence[Path], described: Sequence[Mapping[str, Column]], wanted: Wanted
) -> tuple[tuple[Feature, ...], dict[str, str]]:
    """Pick features in the first file, and require them, of the same kinds, in all.

    A column without values in the first file is what the next file with values says.
    """
    telling = {name: _first_telling(name, described) for name in described[0]}
    features, unread = pick_features(files[0], telling, wanted)
    same = Wanted(names_of(features), wanted.id, grouped(features))
    for file, columns in zip(files, described, strict=True):
        pick_features(file, columns, same)
    return features, unread


def dated_columns(described: Sequence[Mapping[str, Column]], wanted: Wanted) -> tuple[str, ...]:
    """Return the columns that hold dates, whether they are read or not."""
    telling = {name: _first_telling(name, described) for name in described[0]}
    return tuple(
        name for name, column in telling.items() if column.is_dated(wanted.kinds.get(name, ()))
    )


def _first_telling(name: str, described: Sequence[Mapping[str, Column]]) -> Column:
    found = (columns[name] for columns in described if name in columns)
    return next((column for column in found if not column.is_empty), described[0][name])


def _why_unread(column: Column, kinds: tuple[str, ...] | None) -> str:
    return IGNORED if kinds == () else column.why_not or NO_FEATURE


def _default_columns(columns: Mapping[str, Column], wanted: Wanted) -> tuple[str, ...]:
    return tuple(
        name
        for name, column in columns.items()
        if name != wanted.id and _is_default(column, wanted.kinds.get(name))
    )


def _is_default(column: Column, kinds: tuple[str, ...] | None) -> bool:
    return bool(column.kinds and not column.why_not) if kinds is None else bool(kinds)


def require_distinct(file: Path, names: Sequence[str]) -> None:
    """Require that no two columns have the same name, if any. Raises SourceError."""
    twice = [name for name, count in Counter(names).items() if count > 1 and name]
    if twice:
        raise SourceError(
            f"{file}: duplicate column names: {', '.join(map(repr, twice))}; "
            "give each column a unique name"
        )


def _require_columns(path: Path, columns: Mapping[str, Column], wanted: Wanted) -> None:
    asked = [*wanted.columns, *(name for name, kinds in wanted.kinds.items() if kinds)]
    named = dict.fromkeys([*asked, *wanted.kinds, *([wanted.id] if wanted.id else [])])
    missing = [name for name in named if name not in columns]
    unfit = {
        name: _unfit(columns[name], wanted.kinds.get(name))
        for name in dict.fromkeys(asked)
        if name in columns and not columns[name].read_as(wanted.kinds.get(name))
    }
    if missing or unfit:
        problems = "; ".join(_problems(missing, unfit, _candidates(columns, named)))
        raise SchemaError(
            f"{path}: columns do not match: {problems}. Fix the file; or, if the change is "
            "intended, update the columns in [data] and retrain on clean data in the new format"
        )


def _unfit(column: Column, kinds: tuple[str, ...] | None) -> str:
    holds = column.type or column.why_not
    return f"{holds}, not {KIND_NAMES[kinds[0]]}" if kinds else holds


def _candidates(columns: Mapping[str, Column], named: Collection[str]) -> list[str]:
    """Return the columns that are not read and might be a missing one, numbers first."""
    unread = [name for name in columns if name not in named]
    return sorted(unread, key=lambda name: NUMBER not in columns[name].kinds)


def _problems(
    missing: Sequence[str], unfit: Mapping[str, str], candidates: Sequence[str]
) -> Iterator[str]:
    """Name what is wrong; other columns only if one of them may be a missing one, renamed."""
    if missing:
        guesses = candidates if len(missing) <= MOST_CANDIDATES else []
        yield f"missing: {list_first([_with_hint(name, guesses) for name in missing])}"
    if unfit:
        named = [f"{name!r} ({why})" for name, why in unfit.items()]
        yield f"of another kind: {list_first(named)}"
    if missing and candidates:
        yield f"columns not read: {list_first(list(map(repr, candidates)), MOST_CANDIDATES)}"


def _with_hint(name: str, candidates: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, candidates, n=1, cutoff=0.6)
    return f"{name!r} (did you mean {near[0]!r}?)" if near else repr(name)
