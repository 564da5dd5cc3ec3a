"""A shard as an HDF5 file: gzip, shuffle and a checksum on every chunk, so that plain h5py reads it and notices a flipped bit.

latents (n, k)   codes; attributes precision, low, high     outside_row, outside_value (j,)   latents that no code can hold
error (n,)       reconstruction errors, float32             exact_row, exact_value (m, …)     rows kept as they are
id (n,)          where rows have ids
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from storage.errors import DamagedError
from storage.latents.quantise import Scale
from storage.latents.shard import ShardRows

SUFFIX = ".h5"
CHUNK_ROWS = 4_096
LIBVER = ("v110", "v110")  # less overhead for small files than the oldest format


def write_shard(path: Path, rows: ShardRows, scale: Scale) -> None:
    """Write a shard to `path`; the same rows give the same bytes."""
    with h5py.File(path, "w", libver=LIBVER) as file:
        latents = _write(file, "latents", rows.codes, fillvalue=scale.fill)
        latents.attrs["precision"] = scale.precision
        if scale.precision == "int8":
            latents.attrs["low"], latents.attrs["high"] = scale.low, scale.high
        _write(file, "error", rows.errors)
        if rows.ids is not None:
            _write(file, "id", rows.ids if rows.ids.dtype.kind in "iu" else np.char.encode(rows.ids.astype(np.str_), "utf-8"))
        if len(rows.outside_rows):
            _write(file, "outside_row", rows.outside_rows)
            _write(file, "outside_value", rows.outside_values)
        if len(rows.exact_rows):
            _write(file, "exact_row", rows.exact_rows)
            _write(file, "exact_value", rows.exact_values)


def read_shard(path: Path, row_shape: Sequence[int], dtype: str, start: int, stop: int) -> ShardRows:
    """Read the rows from `start` up to `stop`, counted inside the shard. Raises DamagedError."""
    try:
        with h5py.File(path, "r") as file:
            ids = file["id"][start:stop] if "id" in file else None
            outside = _read(file, "outside_row", np.empty(0, np.int64))
            exact = _read(file, "exact_row", np.empty(0, np.int64))
            chosen = (exact >= start) & (exact < stop)
            inside = (outside >= start) & (outside < stop)
            return ShardRows(
                file["latents"][start:stop],
                file["error"][start:stop],
                np.char.decode(ids, "utf-8") if ids is not None and ids.dtype.kind == "S" else ids,
                outside[inside] - start,
                _read(file, "outside_value", np.empty(0, np.float32))[inside],
                exact[chosen] - start,
                _read(file, "exact_value", np.empty((0, *row_shape), dtype))[chosen],
            )
    except (OSError, KeyError) as error:
        raise DamagedError(f"{path}: cannot be read ({error}); run verify on the store, then delete the store and encode again") from error


def write_virtual(folder: Path, shards: Sequence[tuple[str, int, int]], scale: Scale, latent_dim: int) -> None:
    """Write latents.h5: all shards (file, start, stop) as one dataset; a missing shard shows as the fill value."""
    n_rows = shards[-1][2] if shards else 0
    latents = h5py.VirtualLayout((n_rows, latent_dim), scale.dtype)
    errors = h5py.VirtualLayout((n_rows,), np.float32)
    for name, start, stop in shards:
        if stop > start:
            latents[start:stop] = h5py.VirtualSource(name, "latents", (stop - start, latent_dim), scale.dtype)
            errors[start:stop] = h5py.VirtualSource(name, "error", (stop - start,), np.float32)
    for layout in (latents, errors):
        layout.dcpl.set_obj_track_times(False)  # the time of writing has no place in a digested file
    with h5py.File(folder / "latents.h5", "w", libver=LIBVER) as file:
        dataset = file.create_virtual_dataset("latents", latents, fillvalue=scale.fill)
        dataset.attrs["precision"] = scale.precision
        if scale.precision == "int8":
            dataset.attrs["low"], dataset.attrs["high"] = scale.low, scale.high
        file.create_virtual_dataset("error", errors, fillvalue=np.nan)


def _write(file: Any, name: str, values: NDArray[Any], *, fillvalue: float | None = None) -> Any:
    if not len(values):
        return file.create_dataset(name, data=values, fillvalue=fillvalue)
    chunk = (min(CHUNK_ROWS, len(values)), *values.shape[1:])
    shuffle = values.dtype.itemsize > 1 and values.dtype.kind != "S"
    return file.create_dataset(
        name, data=values, chunks=chunk, compression="gzip", compression_opts=4, shuffle=shuffle, fletcher32=True, fillvalue=fillvalue
    )


def _read(file: Any, name: str, default: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(file[name][:]) if name in file else default
