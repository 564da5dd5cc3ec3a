"""Is there room on the disk?

Estimated from rows and their width before anything is written, so that no work is begun that cannot
end.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from storage.errors import WorkspaceError
from storage.files.atomic import device_of
from storage.sources import Shard, Source
from storage.units import format_bytes

if TYPE_CHECKING:
    from storage.latents.plan import StorePlan

RESERVE = 200_000_000  # bytes that stay free whatever is written
SCORE_BYTES = 64  # of one row's scores before compression, with a short id
BESIDE_BYTES = 16  # of what a store keeps beside a row: its error, and its number or a short id
MOST_EXACT = 10  # times the share of rows that encode.keep_exact names is kept at most
BEYOND_SAMPLE = 1.25  # times what a sample promises of a whole store


def score_bytes(source: Source, shards: Sequence[Shard], *, keep: int) -> int:
    """Bytes that the scores of `source` may take, and `keep` rows of each shard."""
    kept = sum(min(keep, shard.stop - shard.start) for shard in shards)
    return SCORE_BYTES * source.n_rows + (source.schema.row_bytes + SCORE_BYTES) * kept


def store_bytes(source: Source, plan: StorePlan, *, keep_exact: float) -> int:
    """Bytes that the latent store of `source` may take.

    Latents before compression, and exact rows or what the contest's winner needs.
    """
    latents = (plan.latent_dim * plan.scale.dtype.itemsize + BESIDE_BYTES) * source.n_rows
    if plan.bounded:
        return latents + round(BEYOND_SAMPLE * plan.bounded.entries[0].store_bytes)
    return latents + round(min(1.0, MOST_EXACT * keep_exact) * source.n_bytes)


def require_space(work: Path, needed: int, *, final: Path | None = None) -> None:
    """Raise WorkspaceError where the disk has no room for `needed` bytes and a reserve; what lies in `work` already is not needed again.

    final: where the result goes to, which may be on another disk.
    """
    _require_free(work.parent, max(0, needed - bytes_below(work)))
    there = (
        next(path for path in final.absolute().parents if path.exists()) if final else work.parent
    )
    if device_of(there) != device_of(work.parent):
        _require_free(there, needed)


def _require_free(place: Path, needed: int) -> None:
    needed, free = needed + RESERVE, shutil.disk_usage(place).free
    if free < needed:
        raise WorkspaceError(
            f"{place}: this run may need {format_bytes(needed)} (a reserve of {format_bytes(RESERVE)} included), and {format_bytes(free)} are free; "
            "nothing was written. Make room ('nightglass prune JOB' shows what can go), then run the same command again"
        )


def bytes_below(folder: Path) -> int:
    """Bytes of all files below a folder, 0 where it does not exist."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())
