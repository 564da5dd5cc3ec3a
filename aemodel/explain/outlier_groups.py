"""Groups of rows that stand out in the same way, with ids that are the same in every night.

Each row has a signature of length 1. In tables, it holds the square roots of the shares of what is
odd (a column too high, too low, or unusual), so that the cosine of two signatures is the overlap of
their shares (the Bhattacharyya coefficient). In images and signals, it is the difference from the
reconstruction. Average linkage cuts where the rows of two groups agree by less than half.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aemodel.rows.layout import is_signal

FARTHEST = 0.5  # cosine distance, on average, between rows of one group
FEWEST = 2  # rows in a group
NAMED = 0.5  # of the largest share, for a part to name its group
MOST_NAMED = 3
THIRDS = ("beginning", "middle", "end")
BANDS = (("upper", "", "lower"), ("left", "middle", "right"))
MOST_CELLS = 16  # of an image per axis; signals are compared by as many squared


@dataclass(frozen=True)
class Signatures:
    """values: (n, k), rows of length 1 or 0. parts: what each of the k columns belongs to.

    signed: whether the sign of a value says that something is higher or lower than expected.
    """

    values: NDArray[np.float64]
    parts: Sequence[str]
    signed: bool


@dataclass(frozen=True)
class OutlierGroup:
    """id: of the parts that its rows share. shared: the same in words. rows: places, ascending."""

    id: str
    shared: str
    rows: Sequence[int]


def feature_signatures(shares: Sequence[Mapping[str, float]]) -> Signatures:
    """Return signatures of rows by what is odd, with its share in [0, 1] of the score."""
    names = sorted({name for row in shares for name in row})
    places = {name: place for place, name in enumerate(names)}
    values = np.zeros((len(shares), len(names)))
    for index, row in enumerate(shares):
        for name, share in row.items():
            values[index, places[name]] = np.sqrt(share)
    return Signatures(_unit(values), names, signed=False)


def region_signatures(difference: NDArray[np.float64]) -> Signatures:
    """Return signatures of arrays (n, *row_shape) by region: thirds of signals and of images.

    difference: the rows minus their reconstructions.
    """
    known = np.nan_to_num(difference, posinf=0.0, neginf=0.0)
    if known.ndim == 2 or is_signal(known.shape[1:]):
        return _signal_signatures(known.reshape(*known.shape[:2], -1).mean(axis=2))
    flat = known.reshape(*known.shape[:3], -1).mean(axis=3)
    pooled = _pool(_pool(flat, 1, MOST_CELLS), 2, MOST_CELLS)
    rows, columns = (_third(size) for size in pooled.shape[1:])
    parts = [
        f"{BANDS[0][i]} {BANDS[1][j]}".strip() for i in rows.tolist() for j in columns.tolist()
    ]
    return Signatures(_unit(pooled.reshape(len(pooled), -1)), parts, signed=True)


def _signal_signatures(values: NDArray[np.float64]) -> Signatures:
    pooled = _pool(values, 1, MOST_CELLS**2)
    parts = [THIRDS[each] for each in _third(pooled.shape[1]).tolist()]
    return Signatures(_unit(pooled), parts, signed=True)


def _third(size: int) -> NDArray[np.intp]:
    return np.arange(size) * 3 // size


def _pool(values: NDArray[np.float64], axis: int, most: int) -> NDArray[np.float64]:
    """Average neighbors along an axis, so that at most `most` are left."""
    size = values.shape[axis]
    starts = np.linspace(0, size, min(size, most), endpoint=False).astype(int)
    sums = np.add.reduceat(values, starts, axis=axis)
    counts = np.diff(np.append(starts, size))
    shape = [1] * values.ndim
    shape[axis] = len(counts)
    return np.asarray(sums / counts.reshape(shape))


def _unit(values: NDArray[np.float64]) -> NDArray[np.float64]:
    largest = np.abs(values).max(axis=1, keepdims=True, initial=0.0)
    scaled = values / np.where(largest > 0, largest, 1.0)
    length = np.linalg.norm(scaled, axis=1, keepdims=True)
    return np.asarray(scaled / np.where(length > 0, length, 1.0))


def group_rows(signatures: Signatures) -> list[OutlierGroup]:
    """Group rows by their signatures, largest group first; a row like no other is in none."""
    return [group for group in kinds_of_rows(signatures) if len(group.rows) >= FEWEST]


def kinds_of_rows(signatures: Signatures) -> list[OutlierGroup]:
    """Group rows as `group_rows` does, and keep groups of a single row."""
    labels = _cluster(signatures.values)
    named: dict[str, list[int]] = {}
    for label in sorted(set(labels.tolist())):
        rows = np.flatnonzero(labels == label).tolist()
        named.setdefault(_shared(signatures, rows), []).extend(rows)
    groups = [
        OutlierGroup(group_id(shared), shared, sorted(rows))
        for shared, rows in named.items()
        if shared
    ]
    return sorted(groups, key=lambda group: (-len(group.rows), group.rows[0]))


def group_id(shared: str) -> str:
    """Return the id of what rows share: four hexadecimal digits of its digest."""
    return hashlib.sha256(shared.encode()).hexdigest()[:4]


def _cluster(values: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the cluster (n,) of each row by average linkage."""
    from scipy.cluster.hierarchy import fcluster, linkage  # late: slow to import
    from scipy.spatial.distance import squareform

    if len(values) < FEWEST:
        return np.arange(len(values))
    away = np.clip(1 - values @ values.T, 0, 2)
    np.fill_diagonal(away, 0)
    tree = linkage(squareform(away, checks=False), "average")
    found: NDArray[np.intp] = fcluster(tree, FARTHEST, "distance")
    return found


def _shared(signatures: Signatures, rows: Sequence[int]) -> str:
    """Name the parts that hold most of the rows' shares: 'a higher, b lower'."""
    values = signatures.values[rows]
    parts = sorted(set(signatures.parts))
    belongs = np.array(signatures.parts)
    weights = np.array([(values[:, belongs == part] ** 2).sum() for part in parts])
    if not weights.sum():
        return ""
    named = np.flatnonzero(weights >= NAMED * weights.max())
    heaviest = sorted(named[np.argsort(-weights[named], kind="stable")][:MOST_NAMED].tolist())
    words = {part: _direction(values[:, belongs == part]) for part in parts}
    return ", ".join(
        f"{parts[each]} {words[parts[each]]}" if signatures.signed else parts[each]
        for each in heaviest
    )


def _direction(values: NDArray[np.float64]) -> str:
    return "higher" if values.sum() > 0 else "lower"
