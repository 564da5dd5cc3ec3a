"""Differences between two revisions of a night: rows and flags, added, removed and changed."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from storage.nights.scores import iter_scores
from storage.visible_text import visible_name

MOST_NAMED = 20
# scores of the same rows agree this well across devices, thread counts, and runners
RELATIVE, ABSOLUTE = 1e-5, 1e-9


@dataclass(frozen=True)
class Changes:
    """Counts of changed rows against revision `since`, and the first ids of each kind.

    changed: rows whose error moved by more than RELATIVE of it plus ABSOLUTE.
    """

    since: int
    new: int
    gone: int
    changed: int
    new_ids: tuple[str, ...]
    gone_ids: tuple[str, ...]
    changed_ids: tuple[str, ...]
    flagged_new: tuple[str, ...]
    flagged_gone: tuple[str, ...]

    def to_text(self) -> str:
        """Return one sentence for the report."""
        rows = [
            _count_text(self.new, "new", self.new_ids),
            _count_text(self.gone, "removed", self.gone_ids),
            _count_text(self.changed, "changed", self.changed_ids),
        ]
        parts = [", ".join(filter(None, rows)) or f"all scores agree within {RELATIVE:g}"]
        if self.flagged_new:
            parts.append(f"newly flagged: {_names(self.flagged_new)}")
        if self.flagged_gone:
            parts.append(f"no longer flagged: {_names(self.flagged_gone)}")
        return f"Compared with revision {self.since}: {'; '.join(parts)}"


def _names(ids: Sequence[str]) -> str:
    return ", ".join(map(visible_name, ids))


def _count_text(total: int, what: str, ids: Sequence[str]) -> str:
    """Return a text such as '2 rows changed (17, 123)'; empty if there are none."""
    if not total:
        return ""
    noun = "row" if total == 1 else "rows"
    more = ", …" if total > len(ids) else ""
    return f"{total:,} {noun} {what} ({_names(ids)}{more})"


def compare_scores(
    old: Path, new: Path, *, since: int, old_flagged: set[str], new_flagged: set[str]
) -> Changes:
    """Compare the scores in two folders.

    Rows are matched by id, or by row number if the ids are row numbers or repeat. Matching by row
    number needs memory for a few chunks; matching by id, for the ids and errors of both nights.

    old_flagged, new_flagged: ids of flagged rows.
    """
    found = _compare(old, new)
    return Changes(
        since,
        found.new.count,
        found.gone.count,
        found.changed.count,
        found.new.first,
        found.gone.first,
        found.changed.first,
        tuple(sorted(new_flagged - old_flagged))[:MOST_NAMED],
        tuple(sorted(old_flagged - new_flagged))[:MOST_NAMED],
    )


@dataclass
class _Kind:
    """The number of rows of one kind, and the first ids; shorter ids sort first, as numbers do."""

    count: int = 0
    first: tuple[str, ...] = ()

    def add(self, ids: pa.Array | pa.ChunkedArray) -> None:
        """Add an Arrow array of ids."""
        self.count += len(ids)
        texts = (*self.first, *map(str, ids.to_pylist()))
        self.first = tuple(heapq.nsmallest(MOST_NAMED, texts, key=lambda each: (len(each), each)))


@dataclass
class _Kinds:
    """Rows that are new, gone or changed."""

    new: _Kind = field(default_factory=_Kind)
    gone: _Kind = field(default_factory=_Kind)
    changed: _Kind = field(default_factory=_Kind)


def _compare(old: Path, new: Path) -> _Kinds:
    if _ids_are_rows(old) and _ids_are_rows(new):
        return _compare_by_row(old, new)
    return _compare_by_id(old, new) or _compare_by_row(old, new)


def _ids_are_rows(folder: Path) -> bool:
    """Return whether every row's id is its row number."""
    return all(batch.column("id").equals(batch.column("row")) for batch in iter_scores(folder))


def _compare_by_row(old: Path, new: Path) -> _Kinds:
    """Compare in one pass over both folders."""
    kinds = _Kinds()
    for before, after in _aligned(_rows_and_errors(old), _rows_and_errors(new)):
        _, left, right = np.intersect1d(
            before.rows, after.rows, assume_unique=True, return_indices=True
        )
        moved = _moved(before.errors[left], after.errors[right])
        kinds.new.add(pa.array(np.delete(after.rows, right)))
        kinds.gone.add(pa.array(np.delete(before.rows, left)))
        kinds.changed.add(pa.array(after.rows[right][moved]))
    return kinds


def _compare_by_id(old: Path, new: Path) -> _Kinds | None:
    """Compare with a join on the ids; None if ids repeat."""
    before, after = _ids_and_errors(old), _ids_and_errors(new)
    if _repeats_ids(before) or _repeats_ids(after):
        return None
    joined = before.join(after, keys="id", join_type="full outer", right_suffix="_after")
    ids, was, now = (joined.column(name) for name in ("id", "error", "error_after"))
    kinds = _Kinds()
    kinds.new.add(ids.filter(pc.is_null(was)))
    kinds.gone.add(ids.filter(pc.is_null(now)))
    both = pc.and_(pc.is_valid(was), pc.is_valid(now))
    moved = _moved(was.filter(both).to_numpy(), now.filter(both).to_numpy())
    kinds.changed.add(ids.filter(both).filter(pa.array(moved)))
    return kinds


def _moved(before: NDArray[np.float64], after: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which errors (n,) differ by more than another device or thread count can explain."""
    return ~np.isclose(after, before, rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True)


def _repeats_ids(table: pa.Table) -> bool:
    distinct: int = pc.count_distinct(table.column("id")).as_py()
    rows: int = table.num_rows
    return distinct < rows


@dataclass(frozen=True)
class _Piece:
    """Rows and their errors: rows (n,) int64 ascending; errors (n,) float64."""

    rows: NDArray[np.int64]
    errors: NDArray[np.float64]

    def cut(self, row: int) -> tuple[_Piece, _Piece]:
        """Split into the rows before `row` and the others."""
        index = int(np.searchsorted(self.rows, row))
        before = _Piece(self.rows[:index], self.errors[:index])
        return before, _Piece(self.rows[index:], self.errors[index:])


def _rows_and_errors(folder: Path) -> Iterator[_Piece]:
    for batch in iter_scores(folder):
        yield _Piece(batch.column("row").to_numpy(), batch.column("error").to_numpy())


def _aligned(old: Iterator[_Piece], new: Iterator[_Piece]) -> Iterator[tuple[_Piece, _Piece]]:
    """Yield pairs of pieces that cover the same range of rows, however both are cut."""
    before = after = _Piece(np.empty(0, np.int64), np.empty(0))
    while True:
        before, after = _refilled(before, old), _refilled(after, new)
        stops = [int(piece.rows[-1]) + 1 for piece in (before, after) if len(piece.rows)]
        if not stops:
            return
        left, before = before.cut(min(stops))
        right, after = after.cut(min(stops))
        yield left, right


def _refilled(piece: _Piece, source: Iterator[_Piece]) -> _Piece:
    """Return the piece, or the next one that holds rows; an empty one at the end."""
    while not len(piece.rows):
        following = next(source, None)
        if following is None:
            return piece
        piece = following
    return piece


def _ids_and_errors(folder: Path) -> pa.Table:
    """Return all ids, as text, and errors."""
    batches = [batch.select(["id", "error"]) for batch in iter_scores(folder)]
    if not batches:
        return pa.table({"id": pa.array([], pa.string()), "error": pa.array([], pa.float64())})
    table = pa.Table.from_batches(batches)
    return table.set_column(0, "id", table.column("id").cast(pa.string()))
