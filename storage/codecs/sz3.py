"""SZ3, an error-bounded compressor for smooth fields.

Needs the extra `sz3`. Values are passed as multiples of their column's bound, so that one absolute
bound of 1 holds for all columns.

Layouts: "rows" (n, *row_shape), "columns" (d, n), "last" (*row_shape, n), "flat" (n * d,).
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import signal
import struct
import subprocess
import sys
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from storage.codecs import sz3_filter
from storage.codecs.columns import expand, squeeze
from storage.codecs.grid import to_dtype
from storage.codecs.outside import far_outside, fill_forward
from storage.errors import CodecError, DamagedError

LAYOUTS = ("rows", "columns", "last", "flat")
TURNED = ("columns", "last")
MOST_AXES = 4  # longer than 1
FLOAT32_UNITS = 1e4  # values larger than this, in units of the bound, are passed as float64
FEWEST_BYTES = 2_000
_HEAD = struct.Struct("<BB")
_UNIT = 8  # bytes of one float64
T = TypeVar("T", bound=np.generic)


def installed() -> bool:
    """Whether the extra is installed."""
    return importlib.util.find_spec("hdf5plugin") is not None


def layouts(row_shape: Sequence[int]) -> tuple[str, ...]:
    """Return the layouts that differ for rows of this shape."""
    if np.prod(row_shape) == 1:
        return ("flat",)
    return LAYOUTS if len(row_shape) > 1 else ("rows", "columns", "flat")


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

    Values far outside are not kept. Returns two parts: a head with the units, and SZ3's stream.
    Raises CodecError.
    """
    far = far_outside(rows, tolerance)
    units = np.where(far, 0.0, rows) / tolerance
    wide = np.abs(units).max(initial=0) > FLOAT32_UNITS
    field = _arrange(units.astype(np.float64 if wide else np.float32), row_shape, layout)
    field = fill_forward(field, _arrange(far, row_shape, layout))
    return [_pack_head(field, tolerance, layout), _pack_apart(field)]


def decompress(parts: Sequence[bytes], shape: tuple[int, int], dtype: str) -> NDArray[np.generic]:
    """Return the rows (n, d) of `compress`. Raises DamagedError, also if the extra is missing."""
    n, d = shape
    head = parts[0]
    layout, ndim = _HEAD.unpack_from(head)
    kind = np.dtype(head[2:4].decode())
    field_shape = tuple(int(size) for size in np.frombuffer(head, "<u4", ndim, 4))
    tolerance = _unpack_units(head[4 + 4 * ndim :], d)
    field = _unpack(parts[1], field_shape, kind)
    units = field.reshape(d, n).T if LAYOUTS[layout] in TURNED else field.reshape(n, d)
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


def _arrange(rows: NDArray[T], row_shape: Sequence[int], layout: str) -> NDArray[T]:
    """Return rows (n, d) in a layout, with at most MOST_AXES axes: the first ones are merged."""
    if layout == "flat":
        return rows.reshape(-1)
    turned = np.ascontiguousarray(rows.T) if layout in TURNED else rows
    shapes = {
        "rows": (len(rows), *row_shape),
        "columns": turned.shape,
        "last": (*row_shape, len(rows)),
    }
    shape = shapes[layout]
    merged = (-1, *shape[1 - MOST_AXES :]) if len(shape) > MOST_AXES else shape
    return turned.reshape(merged)


def _pack_apart(field: NDArray[np.generic]) -> bytes:
    """Return SZ3's stream, packed by another process. Raises CodecError if that fails."""
    program = [sys.executable, "-P", sz3_filter.__file__]
    content = sz3_filter.header_of(field) + field.tobytes()
    try:
        done = subprocess.run(  # noqa: S603 (our own program)
            program, input=content, capture_output=True, check=False, start_new_session=True
        )
    except OSError as error:
        raise CodecError(f"SZ3 cannot be started: {error}") from error
    if done.returncode or not done.stdout:
        raise CodecError(f"SZ3 cannot pack these values: {_last_words(done)}")
    return done.stdout


def _last_words(done: subprocess.CompletedProcess[bytes]) -> str:
    """Return why a process failed: its signal, or the last line it printed."""
    if done.returncode < 0:
        return f"it was ended by {signal.Signals(-done.returncode).name}"
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"exit status {done.returncode}"


def _unpack(
    stream: bytes, shape: tuple[int, ...], kind: np.dtype[np.generic]
) -> NDArray[np.generic]:
    if not installed():
        raise DamagedError(
            "values packed by SZ3: install the extra to read them: pip install 'nightglass[sz3]'"
        )
    try:
        return sz3_filter.unpack_field(stream, shape, kind)
    except OSError as error:
        raise DamagedError(
            f"values packed by SZ3 cannot be read ({error}); run verify on the store"
        ) from error
