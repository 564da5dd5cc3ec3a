"""What a sample of the clean rows says about them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from aemodel.rows.entities.candidates import (
    may_name_entities,
    may_number_entities,
    stand_together,
)
from aemodel.rows.hashes import repeated_share
from flows.jobs.proposal.column_checks import ColumnFindings, check_columns
from flows.jobs.proposal.suspect_values import (
    Sentinel,
    ascending_columns,
    columns_of_days,
    find_sentinels,
    unit_since_1970,
)
from storage.errors import SourceError
from storage.sources import (
    CATEGORY,
    NUMBER,
    TIME,
    Feature,
    Kinds,
    Source,
    grouped,
    spread_rows,
)

SAMPLE_ROWS = 20_000
FEWEST_ROWS = 12  # fewer do not show what is usual
MOST_COMPARED = 20  # numbers that may differ between entities
MOST_NUMBERS = 1_000  # of more, none is taken for that of an entity: each takes most of a ms
FEWEST_PIXELS = 64  # flat uint8 rows with fewer values are a table: counts, grades, playing cards


@dataclass(frozen=True)
class SampleSummary:
    """Properties of a sample of the clean rows that decide the proposal.

    names: of the numbers of a table, to which the indices of columns below refer.
    kinds: as what each column of a table is read, if not all are numbers.
    constant_levels: categories with one level. entities: columns that may name entities; batches:
        those of them of which each has its rows in one place.
    running: columns whose values are all distinct and ascending; running_ids: the whole numbers
        among them. days: columns of days written as numbers.
    since_1970: columns that may count time since then, as displayed, with the unit.
    """

    rows: int
    sampled: int
    features: int
    is_image: bool
    low: float
    high: float
    has_gaps: bool  # NaN in numbers or times; in a category, a gap is a level
    is_bytes: bool  # uint8
    names: tuple[str, ...] = ()
    kinds: Kinds = field(default_factory=dict)
    constant_levels: tuple[str, ...] = ()
    entities: tuple[str, ...] = ()
    batches: tuple[str, ...] = ()
    running: tuple[int, ...] = ()
    running_ids: tuple[int, ...] = ()
    days: tuple[str, ...] = ()
    since_1970: tuple[str, ...] = ()
    sentinels: tuple[Sentinel, ...] = ()
    findings: ColumnFindings = field(default_factory=ColumnFindings)

    @property
    def shares_a_scale(self) -> bool:
        """Whether all values share one scale, as gray levels do."""
        return self.is_image or _is_flat_image(self.is_bytes, self.features)


def read_sample(source: Source) -> NDArray[np.generic]:
    """Return rows (n, *row_shape) spread over a source. Raises SourceError if it has none."""
    if not source.n_rows:
        raise SourceError(f"{source.path}: expected clean rows, got none; collect some")
    return spread_rows(source, SAMPLE_ROWS)


def summarize_sample(
    rows: NDArray[np.generic], n_rows: int, columns: Sequence[Feature] = ()
) -> SampleSummary:
    """Summarize a sample (n, *row_shape) of `n_rows` rows; `columns` are those of a table."""
    numbers = [index for index, (_, kind) in enumerate(columns) if kind == NUMBER]
    mixed = len(numbers) < len(columns)
    found = _summarize(rows[:, numbers] if mixed else rows, n_rows)
    findings = replace(found.findings, repeated=repeated_share(rows)) if mixed else found.findings
    entities, values = _entities(rows, numbers, columns), rows[:, numbers].astype(np.float64)
    times = [index for index, (_, kind) in enumerate(columns) if kind in TIME]
    return replace(
        found,
        has_gaps=found.has_gaps or bool(np.isnan(rows[:, times]).any()),
        names=tuple(columns[index].name for index in numbers),
        features=max(found.features, len(columns)),
        kinds=grouped(columns) if mixed else {},
        constant_levels=tuple(_constant_levels(rows, columns)) if mixed else (),
        entities=tuple(entities),
        batches=tuple(name for name, keys in entities.items() if stand_together(keys)),
        since_1970=tuple(_since_1970([columns[number].name for number in numbers], values)),
        days=tuple(columns[numbers[place]].name for place in columns_of_days(values)),
        findings=findings,
    )


def _since_1970(names: Sequence[str], values: NDArray[np.float64]) -> Iterator[str]:
    for place, name in enumerate(names):
        if unit := unit_since_1970(name, values[:, place]):
            yield f"{name!r} ({unit})"


def _constant_levels(rows: NDArray[np.generic], columns: Sequence[Feature]) -> Iterator[str]:
    for column, (name, kind) in zip(rows.T.astype(np.float64), columns, strict=True):
        if kind == CATEGORY and (column == column[0]).all():
            yield name


def _entities(
    rows: NDArray[np.generic], numbers: Sequence[int], columns: Sequence[Feature]
) -> dict[str, NDArray[np.generic]]:
    """The keys (n,) of the columns that may name entities: categories, and whole numbers."""
    compared = numbers[:: max(1, -(-len(numbers) // MOST_COMPARED))]
    may_be = {CATEGORY: may_name_entities}
    if len(numbers) <= MOST_NUMBERS:
        may_be[NUMBER] = may_number_entities
    values, found = rows[:, compared].astype(np.float64), dict[str, NDArray[np.generic]]()
    for index, (name, kind) in enumerate(columns):
        others = values
        if index in compared:
            others = np.delete(values, compared.index(index), axis=1)
        if name and others.shape[1] and kind in may_be:
            keys = rows[:, index].astype(np.float64)
            if may_be[kind](keys, others):
                found[name] = keys
    return found


def _summarize(rows: NDArray[np.generic], n_rows: int) -> SampleSummary:
    """Summarize a sample of numbers (n, *row_shape)."""
    flat = rows.reshape(len(rows), -1).astype(np.float64)
    finite = flat[np.isfinite(flat)]
    running = _running(rows)
    return SampleSummary(
        rows=n_rows,
        sampled=len(rows),
        features=flat.shape[1],
        is_image=rows.ndim in (3, 4),
        low=float(finite.min(initial=0.0)) if len(finite) else 0.0,
        high=float(finite.max()) if len(finite) else 0.0,
        has_gaps=bool(np.isnan(flat).any()),
        is_bytes=rows.dtype == np.uint8,
        running=running,
        running_ids=tuple(index for index in running if (flat[:, index] % 1 == 0).all()),
        sentinels=_sentinels(rows, flat),
        findings=_findings(rows),
    )


def _is_flat_image(is_bytes: bool, features: int) -> bool:
    return is_bytes and features >= FEWEST_PIXELS


def _running(rows: NDArray[np.generic]) -> tuple[int, ...]:
    if rows.ndim != 2 or _is_flat_image(rows.dtype == np.uint8, rows.shape[1]):
        return ()
    return tuple(ascending_columns(rows).tolist())


def _findings(rows: NDArray[np.generic]) -> ColumnFindings:
    """Check the columns of a table; images have no columns of their own."""
    if rows.ndim != 2 or _is_flat_image(rows.dtype == np.uint8, rows.shape[1]):
        return ColumnFindings(len(rows))
    return check_columns(rows)


def _sentinels(rows: NDArray[np.generic], flat: NDArray[np.float64]) -> tuple[Sentinel, ...]:
    """Find codes for gaps in each column, or in all values of images and signals with channels."""
    if rows.dtype == np.uint8:
        return ()
    if rows.ndim == 2:
        return tuple(find_sentinels(flat))
    found = find_sentinels(flat.reshape(-1, 1))
    return tuple(Sentinel(None, each.value, each.count) for each in found)
