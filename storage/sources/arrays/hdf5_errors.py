"""HDF5's own errors, turned into refusals that name the file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from storage.errors import SourceError
from storage.files.reads import raise_refused, unreadable
from storage.objects.paths import openable
from storage.text import printable

CLASSIC_NETCDF = b"CDF"
# what h5py raises for damaged files, types that NumPy lacks, and sizes beyond memory
READ_ERRORS = (
    OSError,
    RuntimeError,
    KeyError,
    TypeError,
    ValueError,
    MemoryError,
    OverflowError,
)


def open_hdf5(path: Path, *, cached: bool = True) -> h5py.File:
    """Open an HDF5 file to read. Raises SourceError.

    cached: whether HDF5 keeps stored chunks in memory, through which every value is then copied.
    """
    options = {} if cached else {"rdcc_nbytes": 0}
    try:
        return h5py.File(openable(path), "r", **options)
    except READ_ERRORS as error:
        raise unreadable(path, error, f": {_not_hdf5(path)} ({error})") from error


def _not_hdf5(path: Path) -> str:
    with path.open("rb") as stream:
        if stream.read(len(CLASSIC_NETCDF)) == CLASSIC_NETCDF:
            return "netCDF 3; convert it to netCDF 4 with 'nccopy -k nc4'"
    return "not an HDF5 file, or truncated"


@contextmanager
def reading_hdf5(label: str) -> Iterator[None]:
    """Turn errors of HDF5 into a SourceError that starts with `label`."""
    try:
        yield
    except READ_ERRORS as error:
        raise_refused(Path(label), error)
        reason = printable(str(error)) or type(error).__name__
        raise SourceError(
            f"{label}: cannot be read ({reason}); restore the file, "
            "or write the values as a NumPy type"
        ) from error
