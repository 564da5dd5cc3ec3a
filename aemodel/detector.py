"""The autoencoder as a scikit-learn outlier estimator, for notebooks and pipelines.

It keeps the same bundle as the commands.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from aemodel.bundle import from_files, to_files
from aemodel.decisions.rules import Decision, decide_beforehand, parse_rule
from aemodel.errors import SettingsError
from aemodel.model import Autoencoder
from aemodel.rows.layout import Layout
from aemodel.rows.splits import row_hashes, sides_of
from aemodel.settings import SCORES, ModelSettings, TrainSettings
from aemodel.table_defaults import (
    BATCH,
    HIDDEN,
    MEMBERS,
    NOISE,
    PROTOTYPES,
    table_epochs,
    table_latents,
)
from aemodel.training.loop import train_autoencoder

FEWEST_FIT_ROWS = 2
RULES_BY_ROW = ("quantile", "absolute")
KEPT = ("by", "rule")  # what a bundle says of the scores beside the model's own settings


class AutoencoderDetector(OutlierMixin, BaseEstimator):  # type: ignore[misc] # scikit-learn has no types
    """Rows that lie far from clean ones are outliers; with `by="error"`, those that an autoencoder fitted to clean rows cannot rebuild, with
    `by="relative"` those rebuilt worse than clean rows with as much in them.

    Signs are scikit-learn's: low is anomalous. The parameters are the keys of [model], [train] and [score] in a job file, with what finds
    most in tables as their defaults; `latent=None` takes as many latents as features, at most 32, `epochs=None` as many as make about 800
    batches; `random_state` is the seed. The share `calibration` of the clean rows only serves the threshold: with `rule="quantile 0.95"` at
    most 5 % of fresh clean rows are called outliers on average, however few rows there are; where they are too few to promise that, none
    is, and `fit` warns.

    After `fit`: `model_`, the Autoencoder; `offset_`, the `score_samples` below which a row is an outlier; `promise_`, what the rule
    promises in words; `n_features_in_` and, for a table with names, `feature_names_in_`.

    >>> import numpy as np
    >>> random = np.random.default_rng(0)
    >>> clean = random.normal(size=(500, 2)) @ random.normal(size=(2, 6))
    >>> detector = AutoencoderDetector(epochs=20).fit(clean)
    >>> detector.predict(np.concatenate([clean[:3], clean[:1] + [0, 0, 9, 0, 0, 0]]))
    array([ 1,  1,  1, -1])
    >>> sorted(detector.to_files())
    ['model.json', 'model.safetensors']
    """

    def __init__(
        self,
        *,
        network: str = "dense",
        hidden: tuple[int, ...] = HIDDEN,
        latent: int | None = None,
        prototypes: int = PROTOTYPES,
        activation: str = "silu",
        output: str = "identity",
        loss: str = "mse",
        scaling: str = "minmax",
        noise: float = NOISE,
        l1: float = 0.0,
        l2: float = 0.0,
        tied: bool = False,
        members: int = MEMBERS,
        combine: str = "mean",
        epochs: int | None = None,
        batch_size: int = BATCH,
        learning_rate: float = 1e-3,
        patience: int = 0,
        calibration: float = 0.2,
        validation: float = 0.1,
        trim: float = 0.0,
        by: str = "novelty",
        rule: str = "quantile 0.95",
        device: str = "cpu",
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.network = network
        self.hidden = hidden
        self.latent = latent
        self.prototypes = prototypes
        self.activation = activation
        self.output = output
        self.loss = loss
        self.scaling = scaling
        self.noise = noise
        self.l1 = l1
        self.l2 = l2
        self.tied = tied
        self.members = members
        self.combine = combine
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.patience = patience
        self.calibration = calibration
        self.validation = validation
        self.trim = trim
        self.by = by
        self.rule = rule
        self.device = device
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: None = None) -> Self:  # noqa: N803, ARG002 # scikit-learn's names
        """Fit to clean rows X (n, d), n >= 2.

        Raises SettingsError for a wrong parameter, ValueError for rows scikit-learn would not take.
        """
        rows = validate_data(
            self, X, dtype=(np.float64, np.float32), ensure_min_samples=FEWEST_FIT_ROWS
        )
        layout = Layout(
            row_shape=rows.shape[1:],
            dtype=rows.dtype.name,
            columns=tuple(getattr(self, "feature_names_in_", ())),
        )
        trained = train_autoencoder(
            lambda: [rows],
            layout=layout,
            model=self._model_settings(rows.shape[1]),
            train=without_empty_sides(self._train_settings(len(rows)), row_hashes(rows)),
            memory_bytes=8
            * rows.nbytes,  # an eighth serves the validation rows: all stay in memory
            device=self.device,
        )
        return self._take(trained.model)

    def score_samples(self, X: ArrayLike) -> NDArray[np.float64]:  # noqa: N803 # scikit-learn's name
        """The score of each row of X (n, d) with its sign turned, (n,).

        The lower, the more anomalous.
        """
        check_is_fitted(self)
        rows = validate_data(self, X, reset=False, dtype=(np.float64, np.float32))
        scores = self.model_.scores_by(
            self.by, rows.reshape(len(rows), *self.model_.layout.row_shape)
        )
        return -np.minimum(scores, np.finfo(np.float64).max)

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:  # noqa: N803 # scikit-learn's name
        """`score_samples` less `offset_`, (n,): negative for outliers."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:  # noqa: N803 # scikit-learn's name
        """-1 for outliers, +1 for the others, (n,)."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def to_files(self) -> dict[str, bytes]:
        """The bundle that `nightglass train` writes: {"model.safetensors": …, "model.json": …}."""
        check_is_fitted(self)
        return to_files(
            replace(
                self.model_,
                facts={**self.model_.facts, "score": {name: getattr(self, name) for name in KEPT}},
            )
        )

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], *, device: str = "cpu") -> Self:
        """The fitted estimator of a bundle, from `to_files` or from `nightglass train`.

        Raises BundleError.
        """
        model = from_files(files, device=device)
        known = {
            **asdict(model.settings),
            **asdict(model.train_settings),
            "by": "error",
            **model.facts.get("score", {}),
            "device": device,
        }
        known["random_state"] = model.train_settings.seed
        detector = cls(**{name: known[name] for name in cls._get_param_names() if name in known})
        detector.n_features_in_ = model.layout.n_features
        if model.layout.columns:
            detector.feature_names_in_ = np.array(model.layout.columns, dtype=object)
        return detector._take(model)

    def _take(self, model: Autoencoder) -> Self:
        """Take over a trained model with the threshold that the rule gives it."""
        decision = decide_by_row(self.rule, model.calibration_by(self.by))
        if not np.isfinite(decision.cut.score):
            warnings.warn(f"No row will be called an outlier. {decision.promise}", stacklevel=3)
        self.model_, self.offset_, self.promise_ = model, -decision.cut.score, decision.promise
        return self

    def _model_settings(self, n_features: int) -> ModelSettings:
        chosen = {
            field.name: getattr(self, field.name)
            for field in fields(ModelSettings)
            if hasattr(self, field.name)
        }
        latent = table_latents(n_features) if self.latent is None else self.latent
        return ModelSettings(**{**chosen, "hidden": tuple(self.hidden), "latent": latent})

    def _train_settings(self, n_rows: int) -> TrainSettings:
        if self.by not in SCORES:
            raise SettingsError(f"by must be one of {', '.join(SCORES)}. Got '{self.by}' instead.")
        given = self.random_state
        seed = (
            int(given)
            if isinstance(given, int | np.integer)
            else int(check_random_state(given).randint(2**31))
        )
        chosen = {
            field.name: getattr(self, field.name)
            for field in fields(TrainSettings)
            if hasattr(self, field.name)
        }
        if self.epochs is None:
            chosen["epochs"] = table_epochs(n_rows * (1 - self.calibration - self.validation))
        return TrainSettings(**{**chosen, "seed": seed})


def without_empty_sides(train: TrainSettings, hashes: NDArray[np.uint64]) -> TrainSettings:
    """Settings whose sides all have rows.

    With few rows (n,) or many duplicates, a side may get none and is then left out.
    """
    if not sides_of(hashes, train).calibration.any():
        train = replace(train, calibration=0.0)
    if not sides_of(hashes, train).validation.any():
        train = replace(train, validation=0.0, patience=0)
    if sides_of(hashes, train).fit.sum() < FEWEST_FIT_ROWS:
        train = replace(train, calibration=0.0, validation=0.0, patience=0)
    return train


def decide_by_row(rule: str, calibration: NDArray[np.float64]) -> Decision:
    """What a rule makes of ascending calibration scores (n,) before any row is seen.

    Raises SettingsError for rules over whole nights.
    """
    parsed = parse_rule(rule)
    if parsed.kind not in RULES_BY_ROW:
        raise SettingsError(
            f"rule must judge each row by itself, such as 'quantile 0.95' or 'absolute 0.03'. Got '{rule}' instead."
        )
    return decide_beforehand(parsed, calibration)
