"""Find the fit rows that train.trim leaves out before training: those apart, and small groups.

    apart = 2 log(d_k + floor) - mean_j log(d_j + floor),  j = 1 to NEIGHBORS

    d_j: distance to the j-th nearest row of a sample of the fit rows, in scaled units
    k: train.trim times the size of the sample

Outliers may lie close together, but at most a share of train.trim of the rows are outliers: so the
k-th neighbor of an outlier is a row of the bulk. A single row stands apart by its distance to all
others, a tight group by how much farther the bulk is than its own rows.

A group that is no tighter than the bulk is told by walks from row to similar row instead (see
`aemodel.scores.small_groups`): if nearly all of them stay among as few rows as may be outliers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import ceil, sqrt

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aemodel.decisions.contamination import count_suspects
from aemodel.network.expansion import Expansion
from aemodel.rows.hashes import Hashes, row_hashes
from aemodel.rows.layout import Layout
from aemodel.rows.preparation.prepare import prepare_rows
from aemodel.rows.scaler_fit import BY_COLUMN
from aemodel.rows.splits import FEWEST_FIT_ROWS
from aemodel.rows.training_rows import FitRows
from aemodel.scores.novelty import FLOOR, LEAST, NEIGHBORS
from aemodel.scores.small_groups import walks_that_stay
from aemodel.settings import ModelSettings, TrainSettings

MOST_COMPARED = 5_000  # rows in the sample
MOST_VALUES = 8_000_000  # in the sample
MOST_WALKED = 2_000  # rows in the sample that walks start from
STAYED = 0.9  # share of the walks from a row of a small group that stay in it
MOST_GROUPED = 2.0  # times train.trim, share of rows: ordinary rows form small groups too
BLOCK_ROWS = 256  # rows compared with the sample at once
APART_UNITS = ModelSettings(scaling="minmax", output="identity", loss="mse")
# a group that could vouch for itself is larger than any that `count_suspects` reports
APART_PASS = TrainSettings(calibration=0.0, validation=0.0, trim=0.05)


@dataclass(frozen=True)
class SmallGroups:
    """Tells rows in small groups by the nearest row of a sample.

    points: (m, width) float32, the sample. units: (width,), what expanded rows are divided by.
    grouped: (m,) bool, which of the sample are in small groups.
    """

    points: Tensor
    units: Tensor
    grouped: Tensor

    @classmethod
    def of(cls, expanded: Tensor, units: Tensor, *, trim: float) -> SmallGroups:
        """Find the groups of at most the share `trim` of expanded rows (n, width).

        At most MOST_GROUPED times as many are marked.
        """
        points = (expanded / units).float()
        stay = walks_that_stay(points, max(1, int(trim * len(points))))
        most = int(MOST_GROUPED * trim * len(points))
        highest = stay.sort(descending=True, stable=True).indices[:most]
        grouped = torch.zeros(len(points), dtype=torch.bool)
        grouped[highest] = stay[highest] > STAYED
        return cls(points, units, grouped)

    def __call__(self, expanded: Tensor) -> NDArray[np.bool_]:
        """Mark the rows (n,) of expanded rows (n, width) that are in small groups."""
        if not self.grouped.any():
            return np.zeros(len(expanded), np.bool_)
        pieces = torch.split((expanded / self.units).float(), BLOCK_ROWS)
        nearest = torch.cat([torch.cdist(each, self.points).argmin(dim=1) for each in pieces])
        return np.asarray(self.grouped[nearest].numpy())


@dataclass(frozen=True)
class Trimming:
    """Tells the rows that stand apart from a sample of the fit rows.

    rows: the fit rows without trimming; they scale. expand: to what is compared of scaled rows.
    spread: (width,) float64, its units. points: (m, width) float64, the sample in these units.
    hashes: (m,), of its rows.
    far: k. floor: added to distances. limit: the largest `apart` of a row that is kept.
    groups: None if not looked for.
    """

    rows: FitRows
    expand: Callable[[Tensor], Tensor]
    spread: Tensor
    points: Tensor
    hashes: Hashes
    far: int
    floor: float = LEAST
    limit: float = np.inf
    groups: SmallGroups | None = None

    def keeps(self, rows: NDArray[np.generic]) -> NDArray[np.bool_]:
        """Mark the rows (n,) of (n, *row_shape) that neither stand apart nor form small groups."""
        near = np.asarray(self.apart(rows) <= self.limit)
        return near if self.groups is None else near & ~self.groups(self._expanded(rows))

    def with_groups(self, sample: NDArray[np.generic], *, units: Tensor) -> Trimming:
        """Also leave out small groups of a sample (m, *row_shape), unless most rows have copies.

        units: (width,), of distances between expanded rows.
        """
        sample = sample[:: -(-len(sample) // MOST_WALKED)]
        if np.median(self.distances(sample)[:, 0]) == 0:
            return self
        expanded = self._expanded(sample)
        groups = SmallGroups.of(expanded, units, trim=self.rows.train.trim)
        return replace(self, groups=groups)

    def _expanded(self, rows: NDArray[np.generic]) -> Tensor:
        return self.expand(self.rows.tensor(rows)).double()

    def apart(self, rows: NDArray[np.generic]) -> NDArray[np.float64]:
        """Return how far each of rows (n, *row_shape) stands apart from the bulk, (n,)."""
        return _apart(self.distances(rows), self.floor)

    def distances(self, rows: NDArray[np.generic]) -> NDArray[np.float64]:
        """Return the distances of rows (n, *row_shape) to their nearest NEIGHBORS and k-th rows.

        (n, up to NEIGHBORS + 1). A row of the sample is no neighbor of its own.
        """
        scaled = self._expanded(rows) / self.spread
        known = torch.from_numpy(np.isin(row_hashes(rows), self.hashes))
        pieces = zip(*(torch.split(each, BLOCK_ROWS) for each in (scaled, known)), strict=True)
        return torch.cat([self._distances(*piece) for piece in pieces]).numpy()

    def _distances(self, scaled: Tensor, known: Tensor) -> Tensor:
        ranks = torch.tensor([*range(min(NEIGHBORS, self.far)), self.far - 1])
        found = torch.cdist(scaled, self.points).topk(self.far + 1, largest=False).values
        return torch.where(known[:, None], found[:, ranks + 1], found[:, ranks])


def find_trimming(
    rows: FitRows, sample: NDArray[np.generic], *, scaling: str, kinds: Sequence[str] = ()
) -> Trimming:
    """Find the rows to leave out, from a sample (m, *row_shape) of the fit rows, m >= 2.

    Of the sample, the share train.trim stands apart; others are in small groups, unless fewer than
    FEWEST_FIT_ROWS were left without them. kinds: of the columns, () if all are numbers.
    """
    found, _ = _find_apart(rows, sample, scaling=scaling, kinds=kinds)
    units = found.spread if kinds else torch.ones_like(found.spread)
    trimming = found.with_groups(sample, units=units)
    return trimming if trimming.keeps(sample).sum() >= FEWEST_FIT_ROWS else found


def _find_apart(
    rows: FitRows, sample: NDArray[np.generic], *, scaling: str, kinds: Sequence[str] = ()
) -> tuple[Trimming, NDArray[np.float64]]:
    """Find which rows stand apart: of the sample, the share train.trim.

    Also return the `Trimming.distances` of the sample, or of evenly spaced rows of a large one.
    If `scaling` is by column, the unit of a number is its standard deviation, because outliers
    stretch it less than a range. Two levels of a category are 1 apart.
    """
    levels = rows.scaler.levels
    expand = Expansion(kinds, levels, "cpu") if levels is not None else _as_is
    most = max(FEWEST_FIT_ROWS, min(MOST_COMPARED, MOST_VALUES // len(rows.column_means)))
    sample = sample[:: -(-len(sample) // most)]
    m = len(sample)
    left_out = min(int(rows.train.trim * m), m - FEWEST_FIT_ROWS)
    far = min(max(NEIGHBORS, ceil(rows.train.trim * m)), m - 1)
    points = expand(rows.tensor(sample)).double()
    spread = points.std(dim=0) if scaling in BY_COLUMN else torch.ones(points.shape[1])
    spread = torch.where(spread > 0, spread, 1.0)
    if isinstance(expand, Expansion):
        spread[expand.n_numbers : expand.first_level] = 1.0
        spread[expand.first_level :] = sqrt(2)
    bare = Trimming(rows, expand, spread, points / spread, row_hashes(sample), far)
    distances = bare.distances(sample)
    nearest = distances[distances[:, 0] > 0, 0]
    floor = max(FLOOR * float(nearest.mean()), LEAST) if len(nearest) else 1.0
    limit = float(np.sort(_apart(distances, floor))[m - left_out - 1])
    return replace(bare, floor=floor, limit=limit), distances


def _apart(distances: NDArray[np.float64], floor: float) -> NDArray[np.float64]:
    """Return how far rows with these `Trimming.distances` stand apart from the bulk, (n,)."""
    logs = np.log(distances + floor)
    return np.asarray(2 * logs[:, -1] - logs[:, :-1].mean(axis=1))


def _as_is(scaled: Tensor) -> Tensor:
    return scaled


def share_apart(rows: NDArray[np.generic]) -> float:
    """Return the share of rows (n, d) that lie beyond a wide gap from the bulk; 0 if none do.

    Inspects at most MOST_COMPARED rows, evenly spaced. Where most rows have copies, gaps between
    scores mean nothing, and the share is 0.
    """
    rows = rows[:: -(-len(rows) // MOST_COMPARED)]
    layout = Layout(row_shape=rows.shape[1:], dtype=rows.dtype.name, columns=())
    prepared = prepare_rows(
        lambda: [rows],
        layout=layout,
        model=APART_UNITS,
        train=APART_PASS,
        memory_bytes=8 * rows.nbytes,
    )
    found, distances = _find_apart(prepared, rows, scaling=APART_UNITS.scaling)
    if np.median(distances[:, 0]) == 0:
        return 0.0
    apart = np.exp(_apart(distances, found.floor))
    return count_suspects(np.sort(apart)) / len(apart)
