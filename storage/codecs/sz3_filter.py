"""SZ3 through the HDF5 filter of `hdf5plugin`, and a program that packs one field.

    python sz3_filter.py < header and field > stream

The header is a line of JSON: dtype and shape of the field. SZ3 is native code that ends its process
on some inputs and computes for minutes on others, so `sz3` starts this program instead of calling
`pack_field`. It unpacks the stream once, too: a stream that it prints can be read.
"""

from __future__ import annotations

import json
import os
import resource
import sys

import h5py
import numpy as np
from numpy.typing import NDArray

LARGEST_ERROR = 0.999  # in the field's units, of the 1 that is promised
LEAST_SECONDS = 10  # of CPU time that any field may take
VALUES_PER_SECOND = 200_000  # it packs millions


def pack_field(field: NDArray[np.generic]) -> bytes:
    """Pack a field so that every value keeps an absolute error of 1."""
    import hdf5plugin  # late: an extra

    with h5py.File("sz3", "w", driver="core", backing_store=False) as file:
        dataset = file.create_dataset(
            "field", data=field, chunks=field.shape, **hdf5plugin.SZ3(absolute=LARGEST_ERROR)
        )
        return bytes(dataset.id.read_direct_chunk((0,) * field.ndim)[1])


def unpack_field(
    stream: bytes, shape: tuple[int, ...], kind: np.dtype[np.generic]
) -> NDArray[np.generic]:
    """Return the field of `pack_field`. Raises OSError if the stream is damaged."""
    import hdf5plugin  # late: an extra

    with h5py.File("sz3", "w", driver="core", backing_store=False) as file:
        dataset = file.create_dataset(
            "field", shape, kind, chunks=shape, **hdf5plugin.SZ3(absolute=LARGEST_ERROR)
        )
        dataset.id.write_direct_chunk((0,) * len(shape), stream)
        return np.asarray(dataset[...])


def header_of(field: NDArray[np.generic]) -> bytes:
    """Return the line that tells the program dtype and shape."""
    return json.dumps([field.dtype.str, field.shape]).encode() + b"\n"


def main() -> None:
    """Read a field from standard input and write its stream to standard output."""
    out = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # SZ3 prints
    kind, shape = json.loads(sys.stdin.buffer.readline())
    field = np.frombuffer(sys.stdin.buffer.read(), kind).reshape(shape)
    _limit_cpu(LEAST_SECONDS + field.size // VALUES_PER_SECOND)
    stream = pack_field(field)
    unpack_field(stream, field.shape, field.dtype)
    with os.fdopen(out, "wb") as file:
        file.write(stream)


def _limit_cpu(seconds: int) -> None:
    """End this process after so much CPU time, which does not depend on other processes."""
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    most = seconds if hard == resource.RLIM_INFINITY else min(seconds, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (most, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main()
