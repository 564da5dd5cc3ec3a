"""SZ3, an error-bounded compressor for smooth fields, through the HDF5 filter of `hdf5plugin` (the extra `sz3`).

Values go in as multiples of their column's bound, so that one absolute bound of 1 holds for all columns. Layouts: "rows" (n, *row_shape),
"columns" (d, n), "last" (*row_shape, n).
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import struct
from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from storage.codecs.columns import expand, squeeze
from storage.codecs.grid import MARGIN, to_dtype
from storage.errors import DamagedError

LAYOUTS = ("rows", "columns", "last")
FLOAT32_UNITS = 1e4  # values of more bounds than this go in as float64
FEWEST_BYTES = 2_000
_HEAD = struct.Struct("<BB")


def installed() -> bool:
    """Whether the extra is there."""
    return importlib.util.find_spec("hdf5plugin") is not None


def version() -> str:
    """The version of the extra, for the manifest."""
    return importlib.metadata.version("hdf5plugin")


def pack(
    rows: NDArray[Any], tolerance: NDArray[np.float64], row_shape: Sequence[int], layout: str
) -> list[bytes]:
    """Units and stream of rows (n, d)."""
    finite = np.where(np.isfinite(rows), rows, 0).astype(np.float64) / tolerance
    wide = np.abs(finite).max(initial=0) > FLOAT32_UNITS
    field = _arrange(finite.astype(np.float64 if wide else np.float32), row_shape, layout)
    shortest = tolerance[:1] if (tolerance == tolerance[0]).all() else tolerance
    shape = np.array(field.shape, "<u4")
    head = (
        _HEAD.pack(LAYOUTS.index(layout), field.ndim)
        + field.dtype.str[1:].encode()
        + shape.tobytes()
    )
    units = shortest.astype("<f8").tobytes()
    return [head + (units if len(units) == 8 else squeeze(units, "xz")), _through_hdf5(field)]


def unpack(parts: Sequence[bytes], n: int, d: int, dtype: str) -> NDArray[Any]:
    """The rows (n, d) of `pack`. Raises DamagedError, also where the extra is missing."""
    layout, ndim = _HEAD.unpack_from(parts[0])
    kind = np.dtype(parts[0][2:4].decode())
    shape = tuple(int(each) for each in np.frombuffer(parts[0], "<u4", ndim, 4))
    units = parts[0][4 + 4 * ndim :]
    tolerance = np.frombuffer(units if len(units) == 8 else expand(units, "xz", 8 * d), "<f8")
    field = _from_hdf5(parts[1], shape, kind)
    rows = field.reshape(n, d) if LAYOUTS[layout] == "rows" else field.reshape(d, n).T
    return np.ascontiguousarray(to_dtype(rows.astype(np.float64) * tolerance, dtype))


def _arrange(rows: NDArray[Any], row_shape: Sequence[int], layout: str) -> NDArray[Any]:
    if layout == "rows":
        return rows.reshape(len(rows), *row_shape)
    turned = np.ascontiguousarray(rows.T)
    return turned if layout == "columns" else turned.reshape(*row_shape, len(rows))


def _through_hdf5(field: NDArray[Any]) -> bytes:
    import hdf5plugin  # late: an extra

    with h5py.File("sz3", "w", driver="core", backing_store=False) as file:
        dataset = file.create_dataset(
            "field", data=field, chunks=field.shape, **hdf5plugin.SZ3(absolute=1 - MARGIN)
        )
        return bytes(dataset.id.read_direct_chunk((0,) * field.ndim)[1])


def _from_hdf5(stream: bytes, shape: tuple[int, ...], kind: np.dtype[Any]) -> NDArray[Any]:
    if not installed():
        raise DamagedError(
            "values packed by SZ3: install the extra to read them: pip install 'nightglass[sz3]'"
        )
    import hdf5plugin  # late: an extra

    with h5py.File("sz3", "w", driver="core", backing_store=False) as file:
        dataset = file.create_dataset(
            "field", shape, kind, chunks=shape, **hdf5plugin.SZ3(absolute=1 - MARGIN)
        )
        dataset.id.write_direct_chunk((0,) * len(shape), stream)
        try:
            return np.asarray(dataset[...])
        except OSError as error:
            raise DamagedError(
                f"values packed by SZ3 cannot be read ({error}); run verify on the store"
            ) from error
