"""The fit rows that stand for all others: samples, and the reference of the novelty score."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

import numpy as np
import torch
from numpy.typing import NDArray

from aemodel.measured import Rows, Vector
from aemodel.model import Autoencoder
from aemodel.rows.hashes import row_hashes
from aemodel.rows.splits import FEWEST_FIT_ROWS
from aemodel.rows.training_rows import FitRows
from aemodel.scores.coreset import coreset
from aemodel.scores.novelty import FLOOR, LEAST, Novelty, Reference, far_ranks

REFERENCE_ROWS = 2_000
REFERENCE_BYTES = 16_000_000
MOST_CANDIDATES = 20_000  # rows that the reference is chosen from
CANDIDATE_VALUES = 8_000_000
MOST_ROWS = 50_000  # rows that scales are measured on


def build_reference(model: Autoencoder, rows: FitRows, unseen: Rows, errors: Vector) -> Reference:
    """Choose fit rows that cover all fit rows, and measure typical distances to them.

    Typical are those of `unseen` rows (n, *row_shape) with these errors (n,); without validation
    rows, those of each reference row to all others.
    """
    chosen, copies = _reference_rows(model, rows)
    points = model.to_points(rows.tensor(chosen))
    itself = 0 if len(rows.validation) else 1
    if itself:
        unseen, errors = chosen, model.errors(chosen)
    scaled, found = model.to_points(rows.tensor(unseen)), torch.from_numpy(errors)
    error_floor = FLOOR**2 * max(float(np.median(errors)), LEAST)
    floor = np.array([LEAST, error_floor])
    ranks = far_ranks(ceil(rows.train.trim * int(copies.sum())))
    bare = Reference(rows=chosen, copies=copies, floor=floor, typical=np.zeros(2), ranks=ranks)
    distance = usual_distance(Novelty(bare, points).nearest(scaled, 1 + itself)[0][-1])
    floored = replace(bare, floor=np.array([max(FLOOR * distance, LEAST), error_floor]))
    far, badly = Novelty(floored, points).parts(scaled, found, skip=itself)
    return replace(floored, typical=np.array([float(far.median()), float(badly.median())]))


def usual_distance(distances: torch.Tensor) -> float:
    """Mean of distances to the nearest reference row; copies of a reference row do not count.

    1 if all are copies: any distance is then unusual.
    """
    apart = distances[distances > 0]
    return float(apart.mean()) if len(apart) else 1.0


def _reference_rows(model: Autoencoder, rows: FitRows) -> tuple[Rows, NDArray[np.int64]]:
    """Return distinct fit rows without far values, and how often each occurs.

    They are a coreset; with train.trim, a sample without the rows with the largest errors.
    """
    by_size = min(MOST_CANDIDATES, CANDIDATE_VALUES // model.layout.n_features)
    sample = sample_fit_rows(rows, max(REFERENCE_ROWS, by_size))
    sample = sample[~rows.has_far_values(sample)]
    if rows.train.trim:
        kept = max(FEWEST_FIT_ROWS, len(sample) - int(rows.train.trim * len(sample)))
        sample = sample[np.sort(np.argsort(model.errors(sample), kind="stable")[:kept])]
    count = max(2, min(REFERENCE_ROWS, REFERENCE_BYTES // _row_bytes(sample)))
    if rows.train.trim:  # far ranks need the density of the fit rows, which a coreset lacks
        return _distinct(sample[:: -(-len(sample) // count)])
    distinct, copies = _distinct(sample)
    places = coreset(model.to_points(rows.tensor(distinct)).numpy(), count)
    return distinct[places], copies[places]


def fewest_candidates(reference: Reference, fitted: int) -> int:
    """Return how many of `fitted` fit rows the reference was chosen from, at least."""
    by_size = min(MOST_CANDIDATES, CANDIDATE_VALUES // max(1, int(reference.rows[0].size)))
    most = max(REFERENCE_ROWS, by_size)
    return fitted // max(1, -(-fitted // most))  # evenly spaced, see `sample_fit_rows`


def _distinct(sample: Rows) -> tuple[Rows, NDArray[np.int64]]:
    """Return distinct rows in source order and how often each occurs; two rows at least."""
    _, first, copies = np.unique(row_hashes(sample), return_index=True, return_counts=True)
    if len(first) < FEWEST_FIT_ROWS:
        return sample[:FEWEST_FIT_ROWS], np.full(FEWEST_FIT_ROWS, len(sample))
    order = np.argsort(first)
    return sample[first[order]], copies[order].astype(np.int64)


def sample_fit_rows(rows: FitRows, most: int = MOST_ROWS) -> Rows:
    """Return fit rows, evenly spaced over the source.

    At most about `most`, and an eighth of the memory.
    """
    kept: list[Rows] = []
    step = 0
    for piece in rows.fit_pieces():
        if not step:
            allowed = min(most, rows.memory_bytes // 8 // _row_bytes(piece))
            step = -(-rows.n_fit // max(1, allowed))
        kept.append(piece[::step])
    return np.concatenate(kept)


def _row_bytes(rows: Rows) -> int:
    return max(1, rows[:1].nbytes)
