"""Judge rows that no clean set is known for: every row by a model that was not fitted on it.

Rows are split into FOLDS by the hash of their content, so that all copies of a row are in one fold.
The model of a fold is fitted to the rows of all other folds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aemodel.errors import DataError
from aemodel.measured import Rows, Vector
from aemodel.model import Autoencoder, Scores, SomeScores
from aemodel.pictures.features import PictureFeatures
from aemodel.rows.hashes import row_hashes
from aemodel.rows.splits import hasher_for, without_empty_parts
from aemodel.rows.training_rows import ReadChunks
from aemodel.settings import SCORES, ModelSettings, TrainSettings
from aemodel.training.loop import CleanRows, train_autoencoder

FOLDS = 5
# Share of rows left out of each fit where train.trim is 0: no row is known to be clean.
USUAL_TRIM = 0.1


def fold_of(rows: Rows) -> NDArray[np.int64]:
    """Return the fold (n,) of each of rows (n, *row_shape)."""
    return (row_hashes(rows) % np.uint64(FOLDS)).astype(np.int64)


def fold_settings(train: TrainSettings) -> TrainSettings:
    """Return the settings that every fold is fitted with; rows are split, never blocks of them."""
    split = "occurrence" if train.split == "blocks" else train.split
    return replace(train, calibration=0.0, trim=train.trim or USUAL_TRIM, split=split)


def without_empty_folds(train: TrainSettings, rows: Rows) -> TrainSettings:
    """Return `fold_settings` without the validation part if it would be empty in any fold."""
    train, folds = fold_settings(train), fold_of(rows)
    for fold in range(FOLDS):
        train = without_empty_parts(train, hasher_for(train)(rows[folds != fold]))
    return train


@dataclass(frozen=True)
class CrossFitted(Autoencoder):
    """Models by fold; each row is scored and explained by that of its fold, see `parts`.

    Everything else, such as the scaler, is that of the first. The calibration scores are those of
    all rows.
    """

    by_fold: tuple[Autoencoder, ...] = field(default=(), kw_only=True)

    def parts(self, rows: Rows) -> Iterator[tuple[Autoencoder, NDArray[np.intp]]]:
        """Yield the model of each fold with the indices of its rows."""
        folds = fold_of(rows)
        for fold, model in enumerate(self.by_fold):
            if len(mine := np.flatnonzero(folds == fold)):
                yield model, mine

    def scores(self, rows: Rows) -> Scores:
        """Return scores (n,) by each of SCORES."""
        found = self.scale_and_score(rows, SCORES)[0]
        return found["error"], found["novelty"], found["relative"]

    def errors(self, rows: Rows) -> Vector:
        """Return each row's reconstruction error (n,)."""
        return self.scores_by("error", rows)

    def scores_by(self, score: str, rows: Rows) -> Vector:
        """Return scores (n,) by one of SCORES."""
        return self.scale_and_score(rows, (score,))[0][score]

    def scale_and_score(
        self, rows: Rows, wanted: Sequence[str]
    ) -> tuple[SomeScores, NDArray[np.float32]]:
        """Return the `wanted` ones of SCORES, and rows in the units of the first model (n, d)."""
        found = {name: np.empty(len(rows)) for name in wanted}
        for model, mine in self.parts(rows):
            scores, _ = model.scale_and_score(rows[mine], wanted)
            for name, each in found.items():
                each[mine] = scores[name]
        return found, self.scale(rows)


def cross_fit(
    rows: CleanRows,
    *,
    model: ModelSettings,
    train: TrainSettings,
    device: str = "cpu",
    features: PictureFeatures | None = None,
    on_fold: Callable[[int], None] = lambda _: None,
) -> CrossFitted:
    """Fit one model for each fold, and score all rows.

    features: see `train_autoencoder`, which also says what is raised. on_fold: called with the
    number of models fitted so far.
    """
    fit = partial(_fit, model=model, train=train, device=device, features=features)
    fitted = []
    for fold in range(FOLDS):
        others = replace(rows, read_chunks=_without(rows.read_chunks, fold), read_shuffled=None)
        fitted.append(fit(others))
        on_fold(fold + 1)
    first = fitted[0]
    known = {name: getattr(first, name) for name in Autoencoder.__dataclass_fields__}
    joined = CrossFitted(**known, by_fold=tuple(fitted))
    scores = [np.stack(joined.scores(chunk)) for chunk in rows.read_chunks()]
    errors, novelties, relatives = np.sort(np.concatenate(scores, axis=1), axis=1)
    measured = replace(
        first.measured,
        calibration=errors,
        novelty_calibration=novelties,
        relative_calibration=relatives,
    )
    return replace(joined, measured=measured)


def _fit(rows: CleanRows, **how: Any) -> Autoencoder:
    try:
        return train_autoencoder(rows, **how).model
    except DataError as error:
        raise DataError(
            "no model can be fitted to rows other than those it scores and their copies "
            f"({error}); add rows that differ"
        ) from error


def _without(read_chunks: ReadChunks, fold: int) -> ReadChunks:
    """Return passes over the rows of all folds but one."""

    def read_others() -> Iterator[Rows]:
        for chunk in read_chunks():
            yield chunk[fold_of(chunk) != fold]

    return read_others
