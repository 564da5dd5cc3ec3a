"""A temporary copy of rows whose stored chunks are longer than memory allows.

With chunks across the rows, every slice of rows would unpack all chunks again.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

import h5py
import numpy as np
from numpy.typing import NDArray

from storage.sources.arrays.column_file import ColumnFile, copying
from storage.sources.arrays.hdf5_errors import reading_hdf5

Region = tuple[slice, ...]


@dataclass(frozen=True)
class CopiedRows:
    """Rows of a dataset from row `start` on, sliced by their row numbers in the dataset."""

    stream: IO[bytes]
    columns: ColumnFile
    start: int
    row_shape: tuple[int, ...]

    def __getitem__(self, rows: slice) -> NDArray[np.generic]:
        """Return rows (n, *row_shape)."""
        columns = self.columns.read(self.stream, rows.start - self.start, rows.stop - self.start)
        return columns.T.reshape(-1, *self.row_shape)

    def write(self, region: Region, values: NDArray[np.generic]) -> None:
        """Write the values of a region of the dataset, column by column."""
        first = region[0].start - self.start
        corner = [axis.start for axis in region[1:]]
        for index in np.ndindex(values.shape[1:]):
            place = np.add(corner, index).astype(int)
            column = np.ravel_multi_index(tuple(place), self.row_shape) if len(place) else 0
            self.columns.write(self.stream, int(column), first, values[(slice(None), *index)])


@contextmanager
def copied_rows(
    dataset: h5py.Dataset, interval: tuple[int, int], label: str
) -> Iterator[CopiedRows]:
    """Copy rows [start, stop) to a temporary file, reading each stored chunk once.

    Raises WorkspaceError if the file cannot be written.
    """
    start, stop = interval
    row_shape = dataset.shape[1:]
    columns = ColumnFile(dataset.dtype, stop - start, math.prod(row_shape))
    with tempfile.TemporaryFile() as stream:
        copy = CopiedRows(stream, columns, start, row_shape)
        for region, values in _regions(dataset, interval, label):
            with copying(label):
                copy.write(region, values)
        yield copy


def _regions(
    dataset: h5py.Dataset, interval: tuple[int, int], label: str
) -> Iterator[tuple[Region, NDArray[np.generic]]]:
    selected = (slice(*interval), *(slice(0, size) for size in dataset.shape[1:]))
    for region in dataset.iter_chunks(selected):
        with reading_hdf5(label):
            values = dataset[region]
        yield region, values
