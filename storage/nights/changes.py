"""What changed between two revisions of a night.

Rows new, gone and changed, and how the flagged ones moved.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from storage.nights.scores import iter_scores

MOST_NAMED = 20


@dataclass(frozen=True)
class Changes:
    """Counts against revision `since`, and the first ids of each kind."""

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
        """One sentence."""
        parts = []
        for name, total, ids in (
            ("new", self.new, self.new_ids),
            ("gone", self.gone, self.gone_ids),
            ("changed", self.changed, self.changed_ids),
        ):
            if total:
                parts.append(
                    f"{total:,} {'row' if total == 1 else 'rows'} {name} ({', '.join(ids)}{', …' if total > len(ids) else ''})"
                )
        flagged = f"; flagged now: {', '.join(self.flagged_new)}" if self.flagged_new else ""
        freed = f"; no longer flagged: {', '.join(self.flagged_gone)}" if self.flagged_gone else ""
        return f"Against revision {self.since}: {', '.join(parts) or 'every score is the same'}{flagged}{freed}"


def compare_scores(
    old: Path, new: Path, *, since: int, old_flagged: set[str], new_flagged: set[str]
) -> Changes:
    """Compare the scores in two folders, by id, or by row where ids are the rows' numbers or repeat; the flagged ones are ids.

    By row it takes a few chunks of memory; by id, the ids and errors of both nights.
    """
    rows_alone = _ids_are_rows(old) and _ids_are_rows(new)
    new_rows, gone, changed = (
        _by_row(old, new) if rows_alone else _by_id(old, new) or _by_row(old, new)
    )
    return Changes(
        since,
        new_rows.count,
        gone.count,
        changed.count,
        new_rows.first,
        gone.first,
        changed.first,
        tuple(sorted(new_flagged - old_flagged))[:MOST_NAMED],
        tuple(sorted(old_flagged - new_flagged))[:MOST_NAMED],
    )


@dataclass
class _Kind:
    """How many rows of one kind there are, and the first of them.

    Shorter ids first, so that numbers stand in their order.
    """

    count: int = 0
    first: tuple[str, ...] = ()

    def add(self, ids: Any) -> None:
        """Add an Arrow array of ids."""
        self.count += len(ids)
        texts = (*self.first, *map(str, ids.to_pylist()))
        self.first = tuple(heapq.nsmallest(MOST_NAMED, texts, key=lambda each: (len(each), each)))


def _ids_are_rows(folder: Path) -> bool:
    """Whether every row's id is its number."""
    return all(batch.column("id").equals(batch.column("row")) for batch in iter_scores(folder))


def _by_row(old: Path, new: Path) -> tuple[_Kind, _Kind, _Kind]:
    """New, gone and changed rows, from one pass over both folders side by side."""
    kinds = _Kind(), _Kind(), _Kind()
    for before, after in _side_by_side(_rows_and_errors(old), _rows_and_errors(new)):
        _, left, right = np.intersect1d(
            before.rows, after.rows, assume_unique=True, return_indices=True
        )
        moved = before.errors[left] != after.errors[right]
        kinds[0].add(pa.array(np.delete(after.rows, right)))
        kinds[1].add(pa.array(np.delete(before.rows, left)))
        kinds[2].add(pa.array(after.rows[right][moved]))
    return kinds


def _by_id(old: Path, new: Path) -> tuple[_Kind, _Kind, _Kind] | None:
    """New, gone and changed ids, or None where ids repeat."""
    before, after = _ids_and_errors(old), _ids_and_errors(new)
    if any(
        pc.count_distinct(each.column("id")).as_py() < each.num_rows for each in (before, after)
    ):
        return None
    joined = before.join(after, keys="id", join_type="full outer", right_suffix="_after")
    was, now = (pc.is_valid(joined.column(name)) for name in ("error", "error_after"))
    moved = pc.fill_null(
        pc.not_equal(joined.column("error"), joined.column("error_after")), fill_value=False
    )
    kinds = _Kind(), _Kind(), _Kind()
    for kind, mask in zip(kinds, (pc.invert(was), pc.invert(now), moved), strict=True):
        kind.add(joined.column("id").filter(mask))
    return kinds


@dataclass(frozen=True)
class _Piece:
    """Rows and their errors: rows (n,) int64 ascending; errors (n,) float64."""

    rows: NDArray[np.int64]
    errors: NDArray[np.float64]

    def cut(self, row: int) -> tuple[_Piece, _Piece]:
        """What stands before `row`, and what stands from there on."""
        place = int(np.searchsorted(self.rows, row))
        return _Piece(self.rows[:place], self.errors[:place]), _Piece(
            self.rows[place:], self.errors[place:]
        )


def _rows_and_errors(folder: Path) -> Iterator[_Piece]:
    for batch in iter_scores(folder):
        yield _Piece(batch.column("row").to_numpy(), batch.column("error").to_numpy())


def _side_by_side(old: Iterator[_Piece], new: Iterator[_Piece]) -> Iterator[tuple[_Piece, _Piece]]:
    """Pieces of both that speak of the same range of rows, whatever pieces they come in."""
    none = _Piece(np.empty(0, np.int64), np.empty(0))
    before, after, more = none, none, True
    while more:
        before, old_ends = _refilled(before, old)
        after, new_ends = _refilled(after, new)
        more = bool(len(before.rows) or len(after.rows))
        ends = [
            int(piece.rows[-1]) + 1
            for piece, over in ((before, old_ends), (after, new_ends))
            if not over
        ]
        until = min(ends, default=np.iinfo(np.int64).max)
        (left, before), (right, after) = before.cut(until), after.cut(until)
        yield left, right


def _refilled(piece: _Piece, source: Iterator[_Piece]) -> tuple[_Piece, bool]:
    """The piece, or the next one that holds rows; and whether there was none left."""
    while not len(piece.rows):
        found = next(source, None)
        if found is None:
            return piece, True
        piece = found
    return piece, False


def _ids_and_errors(folder: Path) -> Any:
    """All ids, as text, and errors."""
    batches = [batch.select(["id", "error"]) for batch in iter_scores(folder)]
    table = (
        pa.Table.from_batches(batches)
        if batches
        else pa.table({"id": pa.array([], pa.string()), "error": pa.array([], pa.float64())})
    )
    return table.set_column(0, "id", table.column("id").cast(pa.string()))
