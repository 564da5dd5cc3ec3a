"""What other codecs make of the same values within the same bound: SZ3, ZFP, Blosc2, a plain grid under zstd, PCA on a grid.

Each in the best of several layouts, its own tolerance widened as far as the bound is still held, and as a bare payload.
"""

from __future__ import annotations

from typing import Any

import h5py
import hdf5plugin
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

COMPONENTS = (8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 50, 64, 80, 100)
WIDER = (4.0, 2.0, 1.5, 1.0)  # times the tolerance, tried in this order
SEARCH_STEPS = 10
FINEST, COARSEST = 0.05, 8.0  # steps of coefficients


def zstd(content: bytes) -> int:
    """Bytes under zstd at level 19."""
    return len(pa.Codec("zstd", compression_level=19).compress(content, asbytes=True))


def through_filter(values: NDArray[Any], options: Any) -> tuple[int, NDArray[Any]]:
    """Bytes of an array as one HDF5 chunk under a filter, and what comes back."""
    with h5py.File(
        "bench", "w", driver="core", backing_store=False, rdcc_nbytes=0
    ) as file:  # no cache: what is read went through the filter
        dataset = file.create_dataset("a", data=values, chunks=values.shape, **options)
        return dataset.id.get_storage_size(), dataset[...]


def sz3(tolerance: float) -> Any:
    """SZ3 with an absolute bound."""
    return hdf5plugin.SZ3(absolute=tolerance)


def zfp(tolerance: float) -> Any:
    """ZFP with an absolute bound."""
    return hdf5plugin.Zfp(accuracy=tolerance)


def within(rows: NDArray[Any], tolerance: float, options: Any) -> int:
    """Fewest bytes of a filter that holds the bound."""
    best = rows.nbytes
    layouts = (
        [rows, rows.T.copy(), rows.reshape(-1)]
        if rows.ndim == 2
        else [rows, rows.reshape(len(rows), -1)]
    )
    for layout in layouts:
        for share in WIDER:
            size, back = through_filter(layout, options(share * tolerance))
            if np.abs(back.astype(np.float64) - layout).max() <= tolerance:
                best = min(best, size)
                break
    return best


def truncated(unit: NDArray[np.float32], bound: float) -> int:
    """Blosc2 with mantissas cut as far as the bound is held."""
    for bits in range(1, 24):
        mask = np.uint32(0xFFFFFFFF << (23 - bits) & 0xFFFFFFFF)
        cut = (unit.view(np.uint32) & mask).view(np.float32)
        if np.abs(cut - unit).max() <= bound:
            return min(
                through_filter(each, hdf5plugin.Blosc2(cname="zstd", clevel=9))[0]
                for each in (cut, cut.T.copy())
            )
    return unit.nbytes


def simple_grid(rows: NDArray[Any], tolerance: float) -> int:
    """Rounding to a plain grid, then the best of zstd 19 by row, by column, and by differences down each column."""
    codes = np.rint(rows / (2 * tolerance)).astype(np.int64)
    narrow = (codes - codes.min()).astype(np.min_scalar_type(int(np.ptp(codes))))
    steps = np.diff(codes.T, axis=1, prepend=0)
    steps = (steps - steps.min()).astype(np.min_scalar_type(int(np.ptp(steps))))
    return min(zstd(np.ascontiguousarray(each).tobytes()) for each in (narrow, narrow.T, steps))


def pca_bytes(known: NDArray[Any], rows: NDArray[Any], rmse: float) -> tuple[int, float]:
    """PCA fitted on `known`, coefficients on one grid, they and an 8-bit basis under zstd 19.

    Fewest bytes within the RMSE, and that reached.
    """
    mean = known.mean(axis=0)
    vectors = np.linalg.eigh(np.cov((known[::4] - mean).T))[1][:, ::-1]
    best = (rows.nbytes, 0.0)
    for k in COMPONENTS:
        scale = np.float32(np.abs(vectors[:, :k]).max() / 127)
        basis = np.rint(vectors[:, :k] / scale).astype(np.int8)
        size, reached = _coefficients(rows, mean, basis * scale, rmse)
        if size:
            best = min(
                best,
                (size + zstd(basis.T.tobytes()) + zstd(mean.astype(np.float16).tobytes()), reached),
            )
    return best


def _coefficients(
    rows: NDArray[Any], mean: NDArray[Any], basis: NDArray[Any], rmse: float
) -> tuple[int, float]:
    """Bytes of the coefficients on the widest grid within the RMSE, and that reached.

    0 where none is.
    """
    coefficients = (rows - mean) @ basis

    def loss(step: float) -> float:
        back = np.rint(coefficients / np.float32(step)) * np.float32(step) @ basis.T
        return float(np.sqrt(np.square(back + mean - rows).mean(dtype=np.float64)))

    low, high = FINEST, COARSEST
    reached = loss(low)
    if reached > rmse:
        return 0, 0.0
    for _ in range(SEARCH_STEPS):
        step = (low * high) ** 0.5
        found = loss(step)
        low, high, reached = (step, high, found) if found <= rmse else (low, step, reached)
    codes = np.rint(coefficients / low).astype(np.int16)
    return sum(
        zstd(np.clip(column - column.min(), 0, 255).astype(np.uint8).tobytes())
        for column in codes.T
    ), reached


def sz3_at(rows: NDArray[np.float32], rmse: float) -> int:
    """SZ3 over pictures, its tolerance widened to the RMSE."""
    low, high, size = rmse / 2, rmse * 16, rows.nbytes
    for _ in range(SEARCH_STEPS):
        middle = (low * high) ** 0.5
        found, back = through_filter(rows, sz3(middle))
        if np.sqrt(((back - rows) ** 2).mean()) <= rmse:
            low, size = middle, min(size, found)
        else:
            high = middle
    return size
