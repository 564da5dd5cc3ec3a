"""Columns that folders name: `dt=2026-11-20/region=eu/part-0.parquet` has dt and region."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc

from storage.errors import SourceError
from storage.sources.columns.features import Column, Feature, Wanted, pick_shared
from storage.sources.columns.kinds import ISO_TIME
from storage.sources.columns.schema import CATEGORY, NUMBER, TIME

HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"
WHOLE, DECIMAL = r"-?\d{1,18}", r"-?\d+(\.\d+)?([eE][+-]?\d+)?"
DATE_PARTS = ("year", "month", "day", "date", "dt", "ds", "yyyy", "mm", "dd", "week", "quarter")
A_DATE = "a date in the path, which differs every night"
ONE_VALUE = "one value in all paths"


class Partitions:
    """Columns with one value for each file, such as those that folders name.

    read: the types of those that are read, by name.
    """

    def __init__(self, values: Mapping[Path, Mapping[str, str | None]]) -> None:
        self._values = values
        names = dict.fromkeys(name for values in self._values.values() for name in values)
        self._columns = {name: _describe(name, self._distinct(name)) for name in names}
        self.read: Mapping[str, pa.DataType] = {}

    def pick(
        self, described: Mapping[Path, Mapping[str, Column]], wanted: Wanted
    ) -> tuple[tuple[Feature, ...], dict[str, str]]:
        """Pick features like `pick_shared`, among the columns of files and of folders.

        A folder's value counts, not that of a column of the same name in its files.
        """
        both = [{**columns, **self._columns_of(file)} for file, columns in described.items()]
        features, unread = pick_shared([*described], both, wanted)
        kinds = dict(features) | ({wanted.id: CATEGORY} if wanted.id else {})
        self.read = {name: self._type(name, kinds[name]) for name in self._columns if name in kinds}
        self._require_values()
        if features and {*kinds} <= {*self.read}:
            raise SourceError(
                f"{next(iter(described))}: expected a feature that is a column of the files "
                f"themselves, got only names of folders: {', '.join(kinds)}"
            )
        return features, unread

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that all files have, read or not."""
        values = [*self._values.values()]
        return tuple(name for name in self._columns if all(name in each for each in values))

    def read_also(self, names: Sequence[str]) -> None:
        """Read those of these columns that folders name, as the text that a folder spells."""
        new = [name for name in names if name in self._columns and name not in self.read]
        self.read = {**self.read, **dict.fromkeys(new, pa.string())}

    def of_file(self, file: Path) -> Mapping[str, str | None]:
        """Return all columns of a file's folders, read or not, and their values."""
        return self._values.get(file, {})

    def add_columns(self, file: Path, rows: pa.RecordBatch, count: int) -> pa.RecordBatch:
        """Add to `count` rows of a file the columns of its folders that are read."""
        if not self.read:
            return rows
        columns = dict(zip(rows.schema.names, rows.columns, strict=True))
        for name, kind in self.read.items():
            value = pa.scalar(self._values[file][name], pa.string()).cast(kind)
            columns[name] = pa.repeat(value, count)
        return pa.record_batch(list(columns.values()), list(columns))

    def _require_values(self) -> None:
        """Raise SourceError unless all files have a value in the columns that are read."""
        for file, values in self._values.items():
            if lacking := [name for name in self.read if name not in values]:
                raise SourceError(
                    f"{file}: its folders do not name {lacking[0]}, as those of other files do; "
                    "move the file, or select files with a glob"
                )

    def _columns_of(self, file: Path) -> dict[str, Column]:
        return {name: self._columns[name] for name in self._values[file]}

    def _distinct(self, name: str) -> set[str | None]:
        return {values[name] for values in self._values.values() if name in values}

    def _type(self, name: str, kind: str) -> pa.DataType:
        """Return the type of a column: text keeps what a folder spells, such as the zero of 07."""
        if kind != NUMBER:
            return pa.string()
        whole = _all_match(WHOLE, self._distinct(name) - {None})
        return pa.int64() if whole else pa.float64()


NO_PARTITIONS = Partitions({})


def folder_values(file: Path) -> dict[str, str | None]:
    """Return the values that the folders of a path name, by key; None for Hive's null."""
    pairs = [part.split("=", 1) for part in file.parent.parts if "=" in part[1:]]
    return {unquote(key): None if text == HIVE_NULL else unquote(text) for key, text in pairs}


def _describe(name: str, distinct: Collection[str | None]) -> Column:
    column = _by_text([text for text in distinct if text is not None])
    if column.kinds[0] in TIME or name.lower() in DATE_PARTS:
        return column._replace(why_not=A_DATE)
    return column._replace(why_not=ONE_VALUE) if len(distinct) == 1 else column


def _by_text(texts: Sequence[str]) -> Column:
    """Describe a column by the texts of its values."""
    if _all_match(DECIMAL, texts):
        return Column((NUMBER,), (CATEGORY,), type="numbers")
    if texts and pc.all(pc.match_substring_regex(pa.array(texts), ISO_TIME)).as_py():
        return Column(TIME, (CATEGORY,), type="times")
    return Column((CATEGORY,), TIME, type="text")


def _all_match(pattern: str, texts: Collection[str | None]) -> bool:
    return bool(texts) and all(re.fullmatch(pattern, text or "") for text in texts)
