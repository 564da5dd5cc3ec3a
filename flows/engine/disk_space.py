"""Check for free disk space before a run writes anything.

Sizes are estimated from the number of rows and their width, so that no run starts that cannot
finish.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from storage.errors import WorkspaceError
from storage.files.atomic import device_of
from storage.files.manifest import files_below
from storage.sources import Shard, Source
from storage.units import format_bytes

if TYPE_CHECKING:
    from storage.latents.plan import StorePlan

RESERVE = 200_000_000  # bytes that must stay free
SCORE_BYTES = 64  # one row's scores before compression, with a short id
BESIDE_BYTES = 16  # per row of a store: its error, and its number or a short id
MOST_EXACT = 10  # a store keeps at most this multiple of encode.keep_exact as exact rows
BEYOND_SAMPLE = 1.25  # a store may be larger than its sample suggests, by this factor


def score_bytes(source: Source, shards: Sequence[Shard], *, keep: int) -> int:
    """Estimated bytes of the scores of `source`, with `keep` rows of each shard in detail."""
    kept = sum(min(keep, shard.stop - shard.start) for shard in shards)
    return SCORE_BYTES * source.n_rows + (source.schema.row_bytes + SCORE_BYTES) * kept


def store_bytes(source: Source, plan: StorePlan, *, keep_exact: float) -> int:
    """Estimated bytes of the latent store of `source`.

    Latents before compression, plus exact rows or the values of the best codec, plus columns that
    are no numbers.
    """
    beside = BESIDE_BYTES + source.schema.row_bytes - plan.schema.row_bytes
    latents = (plan.latent_dim * plan.scale.dtype.itemsize + beside) * source.n_rows
    if plan.bounded:
        return latents + round(BEYOND_SAMPLE * plan.bounded.entries[0].store_bytes)
    return latents + round(min(1.0, MOST_EXACT * keep_exact) * source.n_bytes)


def require_space(work: Path, needed: int, *, final: Path | None = None) -> None:
    """Raise WorkspaceError unless the disk has room for `needed` bytes and a reserve.

    work: files that it already contains are subtracted from `needed`. final: destination of the
    result, possibly on another disk.
    """
    require_free(work.parent, max(0, needed - bytes_below(work)))
    if final is None:
        return
    existing = _existing(final)
    if device_of(existing) != device_of(work.parent):
        require_free(existing, needed)


def require_free(folder: Path, needed: int) -> None:
    """Raise WorkspaceError unless the disk of a folder has room for more bytes and a reserve."""
    needed += RESERVE
    free = bytes_free(folder)
    if free < needed:
        raise WorkspaceError(
            f"{folder}: this run may need {format_bytes(needed)} (including a reserve of "
            f"{format_bytes(RESERVE)}), but only {format_bytes(free)} is free; nothing was "
            "written. Free disk space ('nightglass prune JOB' lists what can be deleted), then "
            "rerun"
        )


def bytes_free(folder: Path) -> int:
    """Bytes free on the disk of a folder, which need not exist yet."""
    return shutil.disk_usage(_existing(folder)).free


def _existing(path: Path) -> Path:
    """The path, or the nearest folder above it that exists."""
    absolute = path.absolute()
    return next(each for each in (absolute, *absolute.parents) if each.exists())


def bytes_below(folder: Path) -> int:
    """Total bytes of all files below a folder or prefix; 0 if it does not exist."""
    return sum(files_below(folder).values())
