"""init: whether training holds out rows, or whole files, days, or entities of clean rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aemodel.decisions.block_scores import FEWEST_BLOCKS, FEWEST_ROWS
from flows.jobs.proposal.sample import SampleSummary
from flows.training.rows.block_files import FILES, SourceBlocks, file_blocks
from flows.training.rows.blocks import column_blocks, day_blocks, day_columns
from storage.sources import Source

# Hashes decide which rows are held out: of fewer, once in 10,000 tables no row is in a fifth.
FEWEST_TO_HOLD_OUT = 40
ENOUGH = 10  # fewer leave too few blocks to fit on
# Up to so many blocks, calibration gets this share: with one more block for validation, at least
# five are held out.
SHARES_OF_FEW = {11: "0.4", 29: "0.3"}


@dataclass(frozen=True)
class KnownBlocks:
    """Blocks of the clean rows that can be compared: what they are, and how many.

    column: names them; '' for files. others: more columns that may tell days, if `column` does.
    """

    kind: str
    count: int
    column: str = ""
    others: tuple[str, ...] = ()

    @property
    def held_out(self) -> bool:
        """Whether whole blocks should be held out."""
        return self.count >= ENOUGH

    @property
    def category(self) -> str:
        """The category that names entities; nights have levels of it that no fit row has."""
        return self.column if self.kind == "entities" else ""

    @property
    def condition(self) -> str:
        """What a promise about clean rows depends on."""
        return f" if {self.kind} differ by no more than chance"

    @property
    def reason(self) -> str:
        """Why whole blocks are held out."""
        alike = {"files": "a file may be alike", "days": "a day may be alike"}.get(
            self.kind, "one stand together and are alike"
        )
        return f"{self.count:,} {self.kind}: whole ones are held out, since rows of {alike}"


def known_blocks(source: Source, sample: SampleSummary) -> KnownBlocks | None:
    """Return the days, files, or entities that can be compared; None if there is no sign of any.

    Whichever there are more of, days or files: a night is one of them. Entities only if each has
    its rows in one place: they seem to come and go.
    """
    if source.n_rows < FEWEST_TO_HOLD_OUT:
        return None
    dated = day_columns(source)
    found = [blocks for blocks in (file_blocks(source), _full_days(source, dated)) if blocks]
    fewest = FEWEST_BLOCKS if found else ENOUGH
    if not found and sample.batches:
        found = [blocks for blocks in [column_blocks(source, sample.batches[0])] if blocks]
    most = max(found, key=lambda blocks: len(blocks.names), default=None)
    if most is None or len(most.names) < fewest:
        return None
    column = "" if most.by == FILES else most.by
    others = [name for name in dated if name != column and column in source.dated]
    return KnownBlocks(most.kind, len(most.names), column, tuple(others))


def _full_days(source: Source, columns: Sequence[str]) -> SourceBlocks | None:
    """The days of the clean rows if they have enough rows to be compared."""
    days = day_blocks(source, columns)
    return days if days and source.n_rows >= FEWEST_ROWS * len(days.names) else None


def calibration_share(usual: str, blocks: int) -> str:
    """Share of the clean rows for calibration; `usual` if rows are split, or blocks are many.

    blocks: number of blocks that are held out whole, or 0.
    """
    if not blocks:
        return usual
    return next((share for most, share in SHARES_OF_FEW.items() if blocks <= most), usual)
