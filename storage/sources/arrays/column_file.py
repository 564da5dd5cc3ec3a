"""An array whose columns lie in a file one after another."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

import numpy as np
from numpy.typing import NDArray

from storage.errors import WorkspaceError


@dataclass(frozen=True)
class ColumnFile:
    """Where the values of each column are: `n_rows` values of `dtype` a column, after `offset`."""

    dtype: np.dtype[np.generic]
    n_rows: int
    n_columns: int
    offset: int = 0

    def read(self, stream: IO[bytes], first: int, last: int) -> NDArray[np.generic]:
        """Return rows [first, last) as columns (n_columns, n). Raises EOFError if one is short."""
        columns = np.empty((self.n_columns, last - first), self.dtype)
        for index, column in enumerate(columns):
            stream.seek(self.position(index, first))
            content = stream.read(column.nbytes)
            if len(content) < column.nbytes:
                raise EOFError(f"column {index} ends early")
            column[:] = np.frombuffer(content, self.dtype)
        return columns

    def write(self, stream: IO[bytes], index: int, first: int, values: NDArray[np.generic]) -> None:
        """Write values (n,) of one column, from row `first` on."""
        stream.seek(self.position(index, first))
        stream.write(np.ascontiguousarray(values, self.dtype).data)

    def position(self, index: int, row: int) -> int:
        """Return the byte at which the value of a row in a column starts."""
        return self.offset + (index * self.n_rows + row) * self.dtype.itemsize


@contextmanager
def copying(label: str) -> Iterator[None]:
    """Turn an OSError while writing a temporary copy into a WorkspaceError."""
    try:
        yield
    except OSError as error:
        raise WorkspaceError(
            f"{label}: its rows are not stored one after another, and a copy in "
            f"{tempfile.gettempdir()} failed ({error}); free disk space there or set TMPDIR"
        ) from error
