"""What a sample of the clean rows says about them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flows.jobs.suspect_values import Sentinel, ascending_columns, find_sentinels
from storage.errors import SourceError
from storage.sources import Source

SAMPLE_ROWS = 20_000
SAMPLE_BYTES = 256_000_000  # of the sample as float64
FEWEST_PIXELS = 64  # flat uint8 rows with fewer values are a table: counts, grades, playing cards


@dataclass(frozen=True)
class SampleSummary:
    """Properties of a sample of the clean rows that decide the proposal.

    running: columns whose values are all distinct and ascending; running_ids: the whole numbers
    among them.
    """

    rows: int
    sampled: int
    features: int
    is_image: bool
    low: float
    high: float
    has_gaps: bool  # NaN
    is_bytes: bool  # uint8
    running: tuple[int, ...] = ()
    running_ids: tuple[int, ...] = ()
    sentinels: tuple[Sentinel, ...] = ()

    @property
    def shares_a_scale(self) -> bool:
        """Whether all values share one scale, as gray levels do."""
        return self.is_image or _is_flat_image(self.is_bytes, self.features)


def summarize_sample(source: Source) -> SampleSummary:
    """Summarize the first rows of a source. Raises SourceError if it has none."""
    if not source.n_rows:
        raise SourceError(f"{source.path}: holds no rows; init needs clean rows")
    rows = _first_rows(source)
    flat = rows.reshape(len(rows), -1).astype(np.float64)
    finite = flat[np.isfinite(flat)]
    running = _running(rows)
    return SampleSummary(
        rows=source.n_rows,
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
    )


def _first_rows(source: Source) -> NDArray[np.generic]:
    features = source.schema.row_bytes // np.dtype(source.schema.dtype).itemsize
    most = max(1, min(SAMPLE_ROWS, SAMPLE_BYTES // (8 * features)))
    return next(source.chunks(0, most, max_rows=most)).rows


def _is_flat_image(is_bytes: bool, features: int) -> bool:
    return is_bytes and features >= FEWEST_PIXELS


def _running(rows: NDArray[np.generic]) -> tuple[int, ...]:
    if rows.ndim != 2 or _is_flat_image(rows.dtype == np.uint8, rows.shape[1]):
        return ()
    return tuple(ascending_columns(rows).tolist())


def _sentinels(rows: NDArray[np.generic], flat: NDArray[np.float64]) -> tuple[Sentinel, ...]:
    """Find codes for gaps in each column, or in all values of images and signals with channels."""
    if rows.dtype == np.uint8:
        return ()
    if rows.ndim == 2:
        return tuple(find_sentinels(flat))
    found = find_sentinels(flat.reshape(-1, 1))
    return tuple(Sentinel(None, each.value, each.count) for each in found)
