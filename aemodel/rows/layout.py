"""The form of a row that a model was trained on: shape, dtype, columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What one row is: its shape and dtype in the source, and the columns' names where it has any."""

    row_shape: tuple[int, ...]
    dtype: str
    columns: tuple[str, ...] = ()

    @property
    def n_features(self) -> int:
        """Values in one row."""
        return int(np.prod(self.row_shape, dtype=np.int64))
