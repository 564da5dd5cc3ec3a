"""Blocks of clean rows, which train.split = "blocks" holds out whole: files, days, or entities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aemodel.decisions.block_scores import FEWEST_BLOCKS, FEWEST_ROWS
from aemodel.settings import TrainSettings
from flows.errors import UsageError
from flows.training.rows.block_files import FILES, SourceBlocks, file_blocks, partition_blocks
from storage.errors import SchemaError, SourceError
from storage.sources import (
    CATEGORY,
    ENTITY,
    WEEKDAY,
    BlockColumn,
    Chunk,
    DayOrder,
    Source,
    grouped,
    name_blocks,
    named_features,
    open_source,
    order_of_days,
)

MOST_BLOCKS = 10_000  # days or entities: the time to compare them grows with their number


def find_blocks(source: Source, train: TrainSettings) -> SourceBlocks | None:
    """Return the blocks that train.blocks names, or those that the source suggests, if any.

    From then on, the source's chunks tell the blocks of their rows. Days and entities are listed
    in a pass over their column. Raises UsageError if the column does not give blocks.
    """
    found = _named_blocks(source, train.blocks) if train.blocks else _default_blocks(source, train)
    if found is None or found.by == FILES:
        return found
    _require_no_category(source, found.by, train)
    if found.whole_files:
        return found
    source.block = BlockColumn(found.by, by_day=found.by in source.dated)
    return found


def _default_blocks(source: Source, train: TrainSettings) -> SourceBlocks | None:
    """Files or days if there are enough to compare, else the few files, else entities.

    Entities are held out only if blocks are asked for: a night usually brings those that are known.
    """
    files, days = file_blocks(source), None
    if files is None or len(files.names) < FEWEST_BLOCKS:
        days = day_blocks(source, day_columns(source))
    if days and len(days.names) >= FEWEST_BLOCKS:
        return days
    kinds = grouped(named_features(source.schema))
    entity = next((name for name, found in kinds.items() if found == (ENTITY,)), "")
    if files or not entity or train.split != "blocks":
        return files
    return column_blocks(source, entity)


def day_blocks(source: Source, columns: Sequence[str]) -> SourceBlocks | None:
    """The days of the first of `day_columns`; None if there is none, or too many days."""
    try:
        return column_blocks(source, columns[0]) if columns else None
    except SchemaError:  # too many cells are no times
        return None


def day_columns(source: Source) -> list[str]:
    """The columns that may say of which day a row is, the most likely one first.

    The only one that holds dates. Of several, those with enough days, and rows of each, to be
    compared; first one in whose order the rows stand, if there is any, for then it is when they
    came in.
    """
    if len(source.dated) < 2:
        return [*source.dated]
    orders = {name: _order_of_days(source, name) for name in source.dated}
    full = {name: order for name, order in orders.items() if order and _can_compare(order)}
    return sorted(full, key=lambda name: not full[name].ascending)


def _order_of_days(source: Source, name: str) -> DayOrder | None:
    try:
        with _open_column(source, name, (WEEKDAY,)) as column:
            return order_of_days(column, name)
    except SchemaError:  # too many cells are no times
        return None


def _can_compare(order: DayOrder) -> bool:
    return FEWEST_BLOCKS <= len(order.days) <= order.rows / FEWEST_ROWS


def _open_column(source: Source, name: str, read_as: tuple[str, ...]) -> Source:
    """Open one column of a source; whether it is a feature or not."""
    return open_source(source.path, columns=[name], kinds={name: read_as}, missing="impute")


def _named_blocks(source: Source, by: str) -> SourceBlocks | None:
    if by == FILES:
        return file_blocks(source)
    if not source.schema.columns:
        raise UsageError(
            f"train.blocks must be 'files' if data.clean is no table. Got '{by}' instead."
        )
    try:
        found = column_blocks(source, by)
    except SchemaError as error:
        raise UsageError(
            f"train.blocks must be 'files', or a column of times or levels. {error}"
        ) from error
    if found is None:
        raise UsageError(
            f"train.blocks = '{by}' must give at most {MOST_BLOCKS:,} days or entities. "
            "Got more instead; name another column."
        )
    return found


def column_blocks(source: Source, name: str) -> SourceBlocks | None:
    """The days of a column that holds dates, or the levels of any other; None if too many.

    Of a column that folders name, see `partition_blocks`. Rows with a gap are a block too. Raises
    SchemaError if the column can be neither.
    """
    if folders := partition_blocks(source, name):
        return folders
    by_day = name in source.dated
    with _open_column(source, name, (WEEKDAY,) if by_day else (CATEGORY,)) as column:
        found = name_blocks(column, BlockColumn(name, by_day=by_day), most=MOST_BLOCKS)
    if len(found) > MOST_BLOCKS:
        return None
    values = np.array([*found])

    def numbers(chunk: Chunk) -> NDArray[np.intp]:
        assert chunk.blocks is not None, "find_blocks has set the source's block column"
        places = np.searchsorted(values, chunk.blocks)  # NaN is the last, if it occurs
        known = np.minimum(places, len(values) - 1)
        if not np.array_equal(values[known], chunk.blocks, equal_nan=True):
            raise SourceError(
                f"{source.path}: changed while it was read; rerun once it is complete"
            )
        return known

    return SourceBlocks(name, "days" if by_day else "entities", tuple(found.values()), numbers)


def _require_no_category(source: Source, name: str, train: TrainSettings) -> None:
    kinds = grouped(named_features(source.schema))
    if train.split == "blocks" and kinds.get(name) == (CATEGORY,):
        raise UsageError(
            f"train.blocks = '{name}' must not be a category that the network sees: held-out rows "
            f"would have levels that no fit row has. List '{name}' in data.ignore, or set "
            "train.split = 'occurrence'."
        )
