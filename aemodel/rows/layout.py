"""The layout of a row: shape, dtype, columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Shape and dtype of one row in the source, and the column names if it has any."""

    row_shape: tuple[int, ...]
    dtype: str
    columns: tuple[str, ...] = ()

    @property
    def n_features(self) -> int:
        """Number of values in one row."""
        return int(np.prod(self.row_shape, dtype=np.int64))
