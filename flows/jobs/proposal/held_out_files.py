"""init: whether training holds out rows, or whole files of clean rows."""

from __future__ import annotations

from itertools import pairwise

from storage.sources import Source

# Hashes decide which rows are held out: of fewer, once in 10,000 tables no row is in a fifth.
FEWEST_TO_HOLD_OUT = 40
ENOUGH_FILES = 10  # fewer leave too few files to fit on
# Up to so many files, calibration gets this share: with one more file for validation, at least
# five are held out.
SHARES_OF_FEW = {11: "0.4", 29: "0.3"}


def files_held_out(source: Source) -> int:
    """Number of files with clean rows if whole files should be held out, else 0."""
    files = sum(stop > start for start, stop in pairwise(source.starts))
    return files if files >= ENOUGH_FILES and source.n_rows >= FEWEST_TO_HOLD_OUT else 0


def calibration_share(usual: str, files: int) -> str:
    """Share of the clean rows for calibration; `usual` if rows are split, or files are many."""
    if not files:
        return usual
    return next((share for most, share in SHARES_OF_FEW.items() if files <= most), usual)


def split_reason(files: int) -> str:
    """Why train.split = "blocks" is proposed."""
    return f"{files:,} files: whole ones are held out, since rows of a file may be alike"


def promise_condition(files: int) -> str:
    """What a promise about clean rows depends on if whole files are held out."""
    return " if files differ by no more than chance" if files else ""
