"""SZ3, an error-bounded compressor for smooth fields, through the HDF5 filter of `hdf5plugin`.

Needs the extra `sz3`. Values are passed as multiples of their column's bound, so that one absolute
bound of 1 holds for all columns.

Layouts: "rows" (n, *row_shape), "columns" (d, n), "last" (*row_shape, n).
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import struct
from collections.abc import Sequence

import h5py
import numpy as np
from numpy.typing import NDArray

from storage.codecs.columns import expand, squeeze
from storage.codecs.grid import MARGIN, to_dtype
from storage.errors import DamagedError

LAYOUTS = ("rows", "columns", "last")
FLOAT32_UNITS = 1e4  # values larger than this, in units of the bound, are passed as float64
FEWEST_BYTES = 2_000
_HEAD = struct.Struct("<BB")
_UNIT = 8  # bytes of one float64


def installed() -> bool:
    """Whether the extra is installed."""
    return importlib.util.find_spec("hdf5plugin") is not None


def version() -> str:
    """Return the version of `hdf5plugin`, for the manifest."""
    return importlib.metadata.version("hdf5plugin")


def compress(
    rows: NDArray[np.generic],
    tolerance: NDArray[np.float64],
    row_shape: Sequence[int],
    layout: str,
) -> list[bytes]:
    """Compress rows (n, d) so that each column keeps its `tolerance` (d,).

    Returns two parts: a head with the units, and SZ3's stream.
    """
    units = np.where(np.isfinite(rows), rows, 0).astype(np.float64) / tolerance
    wide = np.abs(units).max(initial=0) > FLOAT32_UNITS
    field = _arrange(units.astype(np.float64 if wide else np.float32), row_shape, layout)
    return [_pack_head(field, tolerance, layout), _through_hdf5(field)]


def decompress(parts: Sequence[bytes], shape: tuple[int, int], dtype: str) -> NDArray[np.generic]:
    """Return the rows (n, d) of `compress`. Raises DamagedError, also if the extra is missing."""
    n, d = shape
    head = parts[0]
    layout, ndim = _HEAD.unpack_from(head)
    kind = np.dtype(head[2:4].decode())
    field_shape = tuple(int(size) for size in np.frombuffer(head, "<u4", ndim, 4))
    tolerance = _unpack_units(head[4 + 4 * ndim :], d)
    field = _from_hdf5(parts[1], field_shape, kind)
    units = field.reshape(n, d) if LAYOUTS[layout] == "rows" else field.reshape(d, n).T
    return np.ascontiguousarray(to_dtype(units.astype(np.float64) * tolerance, dtype))


def _pack_head(field: NDArray[np.generic], tolerance: NDArray[np.float64], layout: str) -> bytes:
    """Return layout, dtype and shape of the field, then the units: one if all are equal."""
    head = _HEAD.pack(LAYOUTS.index(layout), field.ndim) + field.dtype.str[1:].encode()
    head += np.array(field.shape, "<u4").tobytes()
    distinct = tolerance[:1] if (tolerance == tolerance[0]).all() else tolerance
    units = distinct.astype("<f8").tobytes()
    return head + (units if len(units) == _UNIT else squeeze(units, "xz"))


def _unpack_units(content: bytes, d: int) -> NDArray[np.float64]:
    raw = content if len(content) == _UNIT else expand(content, "xz", _UNIT * d)
    return np.frombuffer(raw, "<f8")


def _arrange(
    rows: NDArray[np.generic], row_shape: Sequence[int], layout: str
) -> NDArray[np.generic]:
    if layout == "rows":
        return rows.reshape(len(rows), *row_shape)
    turned = np.ascontiguousarray(rows.T)
    return turned if layout == "columns" else turned.reshape(*row_shape, len(rows))


def _through_hdf5(field: NDArray[np.generic]) -> bytes:
    import hdf5plugin  # late: an extra

    with h5py.File("sz3", "w", driver="core", backing_store=False) as file:
        dataset = file.create_dataset(
            "field", data=field, chunks=field.shape, **hdf5plugin.SZ3(absolute=1 - MARGIN)
        )
        return bytes(dataset.id.read_direct_chunk((0,) * field.ndim)[1])


def _from_hdf5(
    stream: bytes, shape: tuple[int, ...], kind: np.dtype[np.generic]
) -> NDArray[np.generic]:
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
