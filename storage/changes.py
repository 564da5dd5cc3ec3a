"""What changed between two revisions of a night: rows new, gone and changed, and how the flagged ones moved."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from storage.scores import iter_scores

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

    def words(self) -> str:
        """One sentence."""
        parts = []
        for name, total, ids in (
            ("new", self.new, self.new_ids),
            ("gone", self.gone, self.gone_ids),
            ("changed", self.changed, self.changed_ids),
        ):
            if total:
                parts.append(f"{total:,} {'row' if total == 1 else 'rows'} {name} ({', '.join(ids)}{', …' if total > len(ids) else ''})")
        flagged = f"; flagged now: {', '.join(self.flagged_new)}" if self.flagged_new else ""
        freed = f"; no longer flagged: {', '.join(self.flagged_gone)}" if self.flagged_gone else ""
        return f"Against revision {self.since}: {', '.join(parts) or 'every score is the same'}{flagged}{freed}"


def compare_scores(old: Path, new: Path, *, since: int, old_flagged: set[str], new_flagged: set[str]) -> Changes:
    """Compare the scores in two folders, by id, or by row where ids repeat; `old_flagged` and `new_flagged` are ids."""
    before, after = _errors(old, "id"), _errors(new, "id")
    if any(pc.count_distinct(each.column("id")).as_py() < each.num_rows for each in (before, after)):
        before, after = _errors(old, "row"), _errors(new, "row")
    joined = before.join(after, keys="id", join_type="full outer", left_suffix="", right_suffix="_after")
    was, now = (pc.is_valid(joined.column(name)) for name in ("error", "error_after"))
    moved = pc.and_(pc.and_(was, now), pc.fill_null(pc.not_equal(joined.column("error"), joined.column("error_after")), fill_value=False))
    kinds = [joined.column("id").filter(mask) for mask in (pc.and_(now, pc.invert(was)), pc.and_(was, pc.invert(now)), moved)]
    counts, names = [len(kind) for kind in kinds], [_first(kind) for kind in kinds]
    named = tuple(sorted(new_flagged - old_flagged))[:MOST_NAMED], tuple(sorted(old_flagged - new_flagged))[:MOST_NAMED]
    return Changes(since, counts[0], counts[1], counts[2], names[0], names[1], names[2], *named)


def _errors(folder: Path, key: str) -> Any:
    """Errors by `key`, 'id' or 'row', in a column that is called id either way."""
    batches = [batch.select([key, "error"]) for batch in iter_scores(folder)]
    table = pa.Table.from_batches(batches) if batches else pa.table({key: pa.array([], pa.int64()), "error": pa.array([], pa.float64())})
    return table.set_column(0, "id", table.column(key).cast(pa.string()))


def _first(ids: Any) -> tuple[str, ...]:
    values = np.array(ids.to_pylist(), dtype=object)
    return tuple(sorted(values, key=lambda each: (len(each), each))[:MOST_NAMED])
