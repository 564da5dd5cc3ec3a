"""The autoencoder as a scikit-learn outlier estimator, for notebooks and pipelines.

It reads and writes the same bundles as the commands.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields, replace
from typing import Any, Self, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from aemodel.bundle import from_files, to_files
from aemodel.decisions.rules import Rule, decide_beforehand, parse_rule
from aemodel.errors import SettingsError
from aemodel.model import Autoencoder
from aemodel.rows.layout import Layout, flat_rows
from aemodel.rows.splits import FEWEST_FIT_ROWS, hasher_for, without_empty_parts
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
from aemodel.training.cross_fit import cross_fit, without_empty_folds
from aemodel.training.loop import CleanRows, train_autoencoder

RULES_BY_ROW = ("quantile", "absolute")
SCORE_KEYS = ("by", "rule")  # stored in a bundle beside the model's own settings


class AutoencoderDetector(OutlierMixin, BaseEstimator):  # type: ignore[misc] # scikit-learn has no types
    """Detect outliers with autoencoders fitted to clean rows.

    With `by="novelty"`, rows far from all clean rows are outliers; with `by="error"`, rows with a
    large reconstruction error; with `by="relative"`, rows with a larger error than clean rows of
    the same energy.

    As in scikit-learn, lower scores are more anomalous. The parameters are the keys of [model],
    [train] and [score] in a job file, and their defaults are those that detect most in tables.
    `latent=None` uses one latent per feature, at most 32. `epochs=None` uses as many epochs as make
    about 800 batches. `random_state` is the seed.

    With `network="conv"`, which needs `prototypes=0`, rows may also be images (n, height, width) or
    (n, height, width, channels), or signals with channels (n, length, channels); `hidden=()`
    chooses the convolutions for them.

    If the rows contain outliers, set `trim` to about the share that may be outliers: then
    `fit_predict` judges every row by models that were not fitted on it or on its copies. There is
    no guarantee then: `rule="quantile 0.95"` returns -1 for the 5 % of rows with the highest
    scores.

    The share `calibration` of the clean rows is used for the threshold only: with
    `rule="quantile 0.95"`, on average at most 5 % of fresh clean rows are flagged, however few rows
    there are. If they are too few for that guarantee, no row is flagged, and `fit` warns.

    Attributes
    ----------
    model_ : Autoencoder
        The fitted model.
    offset_ : float
        Rows whose `score_samples` lie below it are outliers.
    promise_ : str
        The guarantee of the rule, in words.
    out_of_fold_scores_ : ndarray of shape (n_samples,)
        After `fit_predict` with `trim`: each row's score by models that were not fitted on it,
        with the sign of `score_samples`.
    n_features_in_ : int
        Number of features seen during `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if the rows had names.

    Examples
    --------
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
        """Store the parameters unchanged, as scikit-learn requires; `fit` checks them."""
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
        """Fit to clean rows X (n, d), n >= 2; with convolutions also (n, *row_shape).

        Raises SettingsError for an invalid parameter, and ValueError for rows that scikit-learn
        rejects.
        """
        rows = self._valid_rows(X)
        train = self._train_settings(len(rows))
        clean = self._clean(rows)
        trained = train_autoencoder(
            clean,
            model=self._model_settings(clean.layout.n_features),
            train=without_empty_parts(train, hasher_for(train)(rows)),
            device=self.device,
        )
        return self._use(trained.model)

    def fit_predict(self, X: ArrayLike, y: None = None) -> NDArray[np.int64]:  # noqa: N803 # scikit-learn's name
        """Fit to rows X (n, d) and return -1 for outliers among them and +1 for others, (n,).

        With `trim`, each row is judged by models that were not fitted on it; see the class.
        """
        self.fit(X, y)
        if not self.trim:
            return self.predict(X)
        rows = self._valid_rows(X)
        train = without_empty_folds(self._train_settings(len(rows)), rows)
        model = self._model_settings(self.n_features_in_)
        fitted = cross_fit(self._clean(rows), model=model, train=train, device=self.device)
        scores = fitted.scores_by(self.by, rows)
        self.out_of_fold_scores_ = -np.minimum(scores, np.finfo(np.float64).max)
        decision = decide_beforehand(rule_by_row(self.rule), fitted.calibration_by(self.by))
        return np.where(scores > decision.cut.score, -1, 1)

    def score_samples(self, X: ArrayLike) -> NDArray[np.float64]:  # noqa: N803 # scikit-learn's name
        """Return the negated score of each row of X (n, d), (n,): lower is more anomalous.

        Rows of images or signals may also have the shape of those that were fitted.
        """
        check_is_fitted(self)
        row_shape = self.model_.layout.row_shape
        flat = flat_rows(X, row_shape)
        rows = validate_data(self, flat, reset=False, dtype=(np.float64, np.float32))
        shaped = rows.reshape(len(rows), *row_shape)
        return -np.minimum(self.model_.scores_by(self.by, shaped), np.finfo(np.float64).max)

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:  # noqa: N803 # scikit-learn's name
        """Return `score_samples` minus `offset_`, (n,): negative for outliers."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:  # noqa: N803 # scikit-learn's name
        """Return -1 for outliers and +1 for other rows, (n,)."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def to_files(self) -> dict[str, bytes]:
        """Return a bundle as `nightglass train` writes it.

        {"model.safetensors": ..., "model.json": ...}
        """
        check_is_fitted(self)
        score = {name: getattr(self, name) for name in SCORE_KEYS}
        return to_files(replace(self.model_, facts={**self.model_.facts, "score": score}))

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], *, device: str = "cpu") -> Self:
        """Load a fitted estimator from a bundle of `to_files` or of `nightglass train`.

        Raises BundleError.
        """
        model = from_files(files, device=device)
        detector = cls(**_parameters(model, cls._get_param_names()))
        detector.n_features_in_ = model.layout.n_features
        if model.layout.columns:
            detector.feature_names_in_ = np.array(model.layout.columns, dtype=object)
        return detector._use(model)

    def _valid_rows(self, X: ArrayLike) -> NDArray[np.floating]:  # noqa: N803 # scikit-learn's name
        """Return X as rows (n, *row_shape). Raises like `fit`."""
        rule_by_row(self.rule)
        row_shape = np.shape(X)[1:] if self.network == "conv" else ()
        rows = validate_data(
            self,
            flat_rows(X, row_shape),
            dtype=(np.float64, np.float32),
            ensure_min_samples=FEWEST_FIT_ROWS,
        )
        shaped: NDArray[np.floating] = rows.reshape(len(rows), *(row_shape or rows.shape[1:]))
        return shaped

    def _clean(self, rows: NDArray[np.floating]) -> CleanRows:
        layout = Layout(
            row_shape=rows.shape[1:],
            dtype=rows.dtype.name,
            columns=tuple(getattr(self, "feature_names_in_", ())),
        )
        # an eighth of the memory is for validation rows: this keeps all rows in memory
        return CleanRows(lambda: [rows], layout, memory_bytes=8 * rows.nbytes)

    def _use(self, model: Autoencoder) -> Self:
        """Use a trained model, with the threshold that the rule gives it."""
        decision = decide_beforehand(rule_by_row(self.rule), model.calibration_by(self.by))
        if not np.isfinite(decision.cut.score):
            warnings.warn(f"No row will be flagged as an outlier. {decision.promise}", stacklevel=3)
        self.model_ = model
        self.offset_ = -decision.cut.score
        self.promise_ = decision.promise
        return self

    def _model_settings(self, n_features: int) -> ModelSettings:
        chosen = self._parameters_of(ModelSettings)
        chosen["hidden"] = tuple(self.hidden)
        if self.latent is None:
            chosen["latent"] = table_latents(n_features)
        return ModelSettings(**chosen)

    def _train_settings(self, n_rows: int) -> TrainSettings:
        if self.by not in SCORES:
            raise SettingsError(f"by must be one of {', '.join(SCORES)}. Got '{self.by}' instead.")
        chosen = self._parameters_of(TrainSettings)
        chosen["seed"] = self._seed()
        if self.epochs is None:
            chosen["epochs"] = table_epochs(n_rows * (1 - self.calibration - self.validation))
        return TrainSettings(**chosen)

    def _parameters_of(self, settings: type) -> dict[str, Any]:
        """Return the parameters that are fields of a settings class."""
        names = [field.name for field in fields(settings)]
        return {name: getattr(self, name) for name in names if hasattr(self, name)}

    def _seed(self) -> int:
        if isinstance(self.random_state, int | np.integer):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(2**31))


def _parameters(model: Autoencoder, names: Iterable[str]) -> dict[str, Any]:
    """Return the estimator's parameters that a bundle knows."""
    known = {
        **asdict(model.settings),
        **asdict(model.train_settings),
        "by": "error",
        **cast("Mapping[str, Any]", model.facts.get("score", {})),
        "device": model.device,
        "random_state": model.train_settings.seed,
    }
    return {name: known[name] for name in names if name in known}


def rule_by_row(text: str) -> Rule:
    """Parse a rule that judges each row by itself. Raises SettingsError for any other."""
    parsed = parse_rule(text)
    if parsed.kind not in RULES_BY_ROW:
        raise SettingsError(
            "rule must flag each row by its own score, such as 'quantile 0.95' or 'absolute 0.03'. "
            f"Got '{text}' instead."
        )
    return parsed
