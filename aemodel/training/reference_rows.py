"""The fit rows that stand for all others: samples, and the reference of the novelty score."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import ceil
from typing import Any

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
from aemodel.settings import TrainSettings

REFERENCE_ROWS = 2_000
REFERENCE_BYTES = 16_000_000
MOST_CANDIDATES = 20_000  # rows that the reference is chosen from
CANDIDATE_VALUES = 8_000_000
MOST_ROWS = 50_000  # rows that scales are measured on

Counts = NDArray[np.int64]


def build_reference(model: Autoencoder, rows: FitRows, unseen: Rows, errors: Vector) -> Reference:
    """Choose rows that cover all fit rows, and measure typical distances to them.

    Where the fit rows are few, the validation rows are among them, see `validation_joins`. Typical
    are the distances of `unseen` rows (n, *row_shape) with these errors (n,) to all others; without
    validation rows, those of each reference row.
    """
    chosen, copies, validation = _reference_rows(model, rows)
    points, levels = model.to_points(rows.tensor(chosen)), model.point_levels
    itself = _what_is_itself(rows.train) if validation.any() else ""
    if not len(rows.validation):
        unseen, errors, itself = chosen, model.errors(chosen), "content"
    scaled, found = model.to_points(rows.tensor(unseen)), torch.from_numpy(errors)
    error_floor = FLOOR**2 * max(float(np.median(errors)), LEAST)
    floor = np.array([LEAST, error_floor])
    ranks = far_ranks(ceil(rows.train.trim * int(copies.sum())))
    bare = Reference(
        rows=chosen,
        copies=copies,
        validation=validation,
        floor=floor,
        typical=np.zeros(2),
        ranks=ranks,
    )
    nearest = Novelty(bare, points, levels).nearest(scaled, 2 if itself else 1)[0][-1]
    distance = usual_distance(nearest)
    floored = replace(bare, floor=np.array([max(FLOOR * distance, LEAST), error_floor]))
    far, badly = Novelty(replace(floored, itself=itself), points, levels).parts(scaled, found)
    return replace(floored, typical=np.array([float(far.median()), float(badly.median())]))


def validation_joins(rows: FitRows) -> bool:
    """Whether validation rows are known rows to novelty, as fit rows are: where these are few.

    Not where whole blocks are held out, as the distances of a row to its own block say nothing
    about those of a new one.
    """
    if rows.block_split or not len(rows.validation):
        return False
    return rows.n_fit + rows.n_validation <= REFERENCE_ROWS


def known_pieces(rows: FitRows, most: int) -> Iterator[Rows]:
    """Yield the rows that novelty knows, in pieces of at most `most` fit rows."""
    yield from rows.fit_pieces(most)
    if validation_joins(rows):
        yield rows.validation


def judge_of_validation(model: Autoencoder) -> Autoencoder:
    """Return what scores validation rows: without themselves, if novelty knows them."""
    if not model.measured.reference.validation.any():
        return model
    return without_itself(model, _what_is_itself(model.train_settings))


def judge_of_changed_validation(model: Autoencoder) -> Autoencoder:
    """Return what scores validation rows and rows made of them: without any as a neighbor."""
    reference = model.measured.reference
    copies = reference.copies - reference.validation
    fitted = copies > 0
    if not reference.validation.any() or fitted.sum() < FEWEST_FIT_ROWS:
        return judge_of_validation(model)
    return with_reference(
        model,
        rows=reference.rows[fitted],
        copies=copies[fitted],
        validation=np.zeros(int(fitted.sum()), np.int64),
    )


def without_itself(model: Autoencoder, what: str) -> Autoencoder:
    """Return a model that compares known rows with all others; what: see `Reference.itself`."""
    return with_reference(model, itself=what)


def with_reference(model: Autoencoder, **changes: Any) -> Autoencoder:
    """Return a model with a changed reference; changes: fields of `Reference`."""
    reference = replace(model.measured.reference, **changes)
    return replace(model, measured=replace(model.measured, reference=reference))


def _what_is_itself(settings: TrainSettings) -> str:
    return "content" if settings.split == "content" else "row"


def usual_distance(distances: torch.Tensor) -> float:
    """Mean of distances to the nearest reference row; copies of a reference row do not count.

    1 if all are copies: any distance is then unusual.
    """
    apart = distances[distances > 0]
    return float(apart.mean()) if len(apart) else 1.0


def _reference_rows(model: Autoencoder, rows: FitRows) -> tuple[Rows, Counts, Counts]:
    """Return distinct known rows without far values, their copies, and those for validation.

    They are a coreset; with train.trim, a sample without the rows with the largest errors.
    """
    by_size = min(MOST_CANDIDATES, CANDIDATE_VALUES // model.layout.n_features)
    sample = sample_fit_rows(rows, max(REFERENCE_ROWS, by_size))
    joined = sample[:0]
    if validation_joins(rows):
        joined = rows.validation[~rows.has_far_values(rows.validation)]
    sample = sample[~rows.has_far_values(sample)]
    if trim := rows.train.trim:
        sample, joined = (_without_largest_errors(model, each, trim) for each in (sample, joined))
    count = max(2, min(REFERENCE_ROWS, REFERENCE_BYTES // _row_bytes(sample)))
    if trim:  # far ranks need the density of the fit rows, which a coreset lacks
        step = -(-(len(sample) + len(joined)) // (count - 1))
        return _distinct(sample[::step], joined[::step])
    distinct, copies, validation = _distinct(sample, joined)
    points = model.to_points(rows.tensor(distinct)).numpy()
    places = coreset(points, count, model.point_levels)
    return distinct[places], copies[places], validation[places]


def fewest_candidates(reference: Reference, fitted: int) -> int:
    """Return how many of `fitted` fit rows the reference was chosen from, at least."""
    by_size = min(MOST_CANDIDATES, CANDIDATE_VALUES // max(1, int(reference.rows[0].size)))
    most = max(REFERENCE_ROWS, by_size)
    return fitted // max(1, -(-fitted // most))  # evenly spaced, see `sample_fit_rows`


def _without_largest_errors(model: Autoencoder, rows: Rows, trim: float) -> Rows:
    kept = max(FEWEST_FIT_ROWS, len(rows) - int(trim * len(rows)))
    return rows[np.sort(np.argsort(model.errors(rows), kind="stable")[:kept])]


def _distinct(fitted: Rows, validation: Rows) -> tuple[Rows, Counts, Counts]:
    """Return distinct rows, in order, how often each occurs, and how often for validation.

    They are two at least.
    """
    both = np.concatenate([fitted, validation])
    _, first, inverse = np.unique(row_hashes(both), return_index=True, return_inverse=True)
    copies = np.bincount(inverse)
    held_out = np.bincount(inverse[len(fitted) :], minlength=len(first))
    if len(first) < FEWEST_FIT_ROWS:
        copies, held_out = (np.full(FEWEST_FIT_ROWS, len(part)) for part in (both, validation))
        return both[:FEWEST_FIT_ROWS], copies, held_out
    order = np.argsort(first)
    return both[first[order]], copies[order], held_out[order]


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


def unseen_rows(rows: FitRows) -> Rows:
    """Return validation rows without far values; without validation rows, fit rows."""
    found = rows.validation if len(rows.validation) else sample_fit_rows(rows)
    usual = ~rows.has_far_values(found)
    return found if usual.all() or not usual.any() else found[usual]
