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
MOST_REPEATED = 0.05  # share of fit rows that repeat another, where calibration rows join them

Counts = NDArray[np.int64]


def build_reference(model: Autoencoder, rows: FitRows, unseen: Rows, errors: Vector) -> Reference:
    """Choose rows that cover all fit rows, and measure typical distances to them.

    Where clean rows are few, held-out rows are among them, see `joined_sides`. Typical are the
    distances of `unseen` rows (n, *row_shape) with these errors (n,) to all others; without
    validation rows, those of each reference row.
    """
    chosen, copies, held_out = _reference_rows(model, rows)
    points, levels = model.to_points(rows.tensor(chosen)), model.point_levels
    itself = _what_is_itself(rows.train) if held_out.any() else ""
    if not len(rows.validation):
        unseen, errors, itself = chosen, model.errors(chosen), "content"
    scaled, found = model.to_points(rows.tensor(unseen)), torch.from_numpy(errors).to(points.device)
    error_floor = FLOOR**2 * max(float(np.median(errors)), LEAST)
    floor = np.array([LEAST, error_floor])
    ranks = far_ranks(ceil(rows.train.trim * int(copies.sum())))
    bare = Reference(
        rows=chosen,
        copies=copies,
        held_out=held_out,
        floor=floor,
        typical=np.zeros(2),
        ranks=ranks,
    )
    nearest = Novelty(bare, points, levels).nearest(scaled, 2 if itself else 1)[0][-1]
    distance = usual_distance(nearest)
    floored = replace(bare, floor=np.array([max(FLOOR * distance, LEAST), error_floor]))
    far, badly = Novelty(replace(floored, itself=itself), points, levels).parts(scaled, found)
    return replace(floored, typical=np.array([float(far.median()), float(badly.median())]))


def joined_sides(rows: FitRows) -> tuple[str, ...]:
    """Return the sides whose rows novelty knows as it knows fit rows: where these are few.

    Each of their rows is scored without itself. None where whole blocks are held out, as the
    distances of a row to its own block say nothing about those of a new one. Calibration rows stay
    apart with train.trim, as nothing tells which of them it would leave out, and where rows repeat:
    how many copies a row has without itself then varies too much from one set of rows to another.
    """
    known = rows.n_fit + rows.n_validation
    if rows.block_split or not len(rows.validation) or known > REFERENCE_ROWS:
        return ()
    many = known + rows.n_calibration > REFERENCE_ROWS
    if many or rows.train.trim or rows.repeated_share > MOST_REPEATED:
        return ("validation",)
    return ("validation", "calibration")


def _joined_rows(rows: FitRows) -> Rows:
    sides = joined_sides(rows)
    found = [rows.validation if "validation" in sides else rows.validation[:0]]
    if "calibration" in sides:
        found += rows.sides("calibration")
    return np.concatenate(found)


def known_pieces(rows: FitRows, most: int) -> Iterator[Rows]:
    """Yield the rows that novelty knows, in pieces of at most `most` fit rows."""
    yield from rows.fit_pieces(most)
    if len(joined := _joined_rows(rows)):
        yield joined


def judge_of_validation(model: Autoencoder) -> Autoencoder:
    """Return what scores validation rows: without themselves, if novelty knows them."""
    if not model.measured.reference.held_out.any():
        return model
    return without_itself(model, _what_is_itself(model.train_settings))


def judge_of_calibration(model: Autoencoder, rows: FitRows) -> Autoencoder:
    """Return what scores calibration rows: without themselves, if novelty knows them."""
    return judge_of_validation(model) if "calibration" in joined_sides(rows) else model


def judges_among_others(
    model: Autoencoder, score: str, rows: Rows
) -> Iterator[tuple[Autoencoder, NDArray[np.intp]]]:
    """Yield the models that judge rows by one of SCORES, each with the indices of its rows.

    Fitted rows are judged without themselves for novelty where it knows held-out rows that hardly
    repeat, see `joined_sides`: they are then as novel as new ones.
    """
    reference = model.measured.reference
    apart = model.train_settings.trim or not reference.held_out.any()
    repeated = 1 - len(reference.rows) / reference.copies.sum()
    known = np.zeros(len(rows), np.bool_)
    if score == "novelty" and not apart and repeated <= MOST_REPEATED:
        known = np.isin(row_hashes(rows), row_hashes(reference.rows))
    if not known.all():
        yield model, np.flatnonzero(~known)
    if known.any():
        yield judge_of_validation(model), np.flatnonzero(known)


def judge_of_changed_validation(model: Autoencoder) -> Autoencoder:
    """Return what scores validation rows and rows made of them: with fit rows as neighbors."""
    reference = model.measured.reference
    copies = reference.copies - reference.held_out
    fitted = copies > 0
    if not reference.held_out.any() or fitted.sum() < FEWEST_FIT_ROWS:
        return judge_of_validation(model)
    return with_reference(
        model,
        rows=reference.rows[fitted],
        copies=copies[fitted],
        held_out=np.zeros(int(fitted.sum()), np.int64),
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
    """Return distinct known rows without far values, their copies, and how many are held out.

    They are a coreset; with train.trim, a sample without the rows with the largest errors.
    """
    by_size = min(MOST_CANDIDATES, CANDIDATE_VALUES // model.layout.n_features)
    sample = sample_fit_rows(rows, max(REFERENCE_ROWS, by_size))
    sample, joined = (each[~rows.has_far_values(each)] for each in (sample, _joined_rows(rows)))
    if trim := rows.train.trim:
        sample, joined = (_without_largest_errors(model, each, trim) for each in (sample, joined))
    count = max(2, min(REFERENCE_ROWS, REFERENCE_BYTES // _row_bytes(sample)))
    if trim:  # far ranks need the density of the fit rows, which a coreset lacks
        step = -(-(len(sample) + len(joined)) // (count - 1))
        return _distinct(sample[::step], joined[::step])
    distinct, copies, held_out = _distinct(sample, joined)
    points = model.to_points(rows.tensor(distinct)).cpu().numpy()
    places = coreset(points, count, model.point_levels_on("cpu"))
    return distinct[places], copies[places], held_out[places]


def fewest_candidates(reference: Reference, fitted: int) -> int:
    """Return how many of `fitted` fit rows the reference was chosen from, at least."""
    by_size = min(MOST_CANDIDATES, CANDIDATE_VALUES // max(1, int(reference.rows[0].size)))
    most = max(REFERENCE_ROWS, by_size)
    return fitted // max(1, -(-fitted // most))  # evenly spaced, see `sample_fit_rows`


def _without_largest_errors(model: Autoencoder, rows: Rows, trim: float) -> Rows:
    kept = max(FEWEST_FIT_ROWS, len(rows) - int(trim * len(rows)))
    return rows[np.sort(np.argsort(model.errors(rows), kind="stable")[:kept])]


def _distinct(fitted: Rows, joined: Rows) -> tuple[Rows, Counts, Counts]:
    """Return distinct rows, in order, how often each occurs, and how often among `joined`.

    They are two at least.
    """
    both = np.concatenate([fitted, joined])
    _, first, inverse = np.unique(row_hashes(both), return_index=True, return_inverse=True)
    copies = np.bincount(inverse)
    held_out = np.bincount(inverse[len(fitted) :], minlength=len(first))
    if len(first) < FEWEST_FIT_ROWS:
        copies, held_out = (np.full(FEWEST_FIT_ROWS, len(part)) for part in (both, joined))
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
