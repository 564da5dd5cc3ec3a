"""The autoencoder as a scikit-learn outlier estimator, for notebooks and pipelines.

It reads and writes the same bundles as the commands.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sized
from dataclasses import replace
from typing import TYPE_CHECKING, Self, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils.validation import check_is_fitted

from aemodel.bundle import from_files, to_files
from aemodel.decisions.entity_groups import entity_groups, rest_on_groups
from aemodel.decisions.rules import decide_beforehand
from aemodel.explain.attribution import explain
from aemodel.explain.causes import MAX_FEATURES
from aemodel.frames.rows import MOST_NAMED, InputRows, read_clean, read_rows
from aemodel.model import Autoencoder
from aemodel.notebook.explanation import Explanation
from aemodel.notebook.fitted import NotebookView
from aemodel.notebook.histogram import score_plot
from aemodel.parameters import (
    known_parameters,
    rule_by_row,
    settings_for,
    wanted_columns,
)
from aemodel.rows.layout import MAX_LEVELS
from aemodel.rows.splits import FEWEST_FIT_ROWS, hasher_for, without_empty_parts
from aemodel.table_defaults import BATCH, HIDDEN, LEARNING_RATE, MEMBERS, PROTOTYPES
from aemodel.training.cross_fit import cross_fit, without_empty_folds
from aemodel.training.loop import CleanRows, train_autoencoder
from aemodel.training.reference_rows import judges_among_others

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SCORE_KEYS = ("by", "rule")  # stored in a bundle beside the model's own settings
DATA_KEYS = ("categories", "times", "ignore")  # as well


# scikit-learn has no types
class AutoencoderDetector(NotebookView, OutlierMixin, BaseEstimator):  # type: ignore[misc]
    """Detect outliers with autoencoders fitted to clean rows.

    With `by="novelty"`, rows far from all clean rows are outliers; with `by="error"`, rows with a
    large reconstruction error; with `by="relative"`, rows with a larger error than clean rows of
    the same energy.

    As in scikit-learn, lower scores are more anomalous. The parameters are the keys of [model],
    [train] and [score] in a job file, and their defaults are those that detect most in tables.
    `latent=None` uses one latent per feature, at most 32. `epochs=None` uses as many epochs as make
    about 200 batches. `scaling=None` is "minmax" and `noise=None` is 0.025 if all columns are
    numbers, otherwise "standard" and 0.1. `random_state` is the seed.

    Rows may also be a DataFrame of pandas or polars, or a pyarrow table. Its columns are read as
    the commands read a file: numbers as numbers; texts, categories and booleans as categories;
    times as hour and weekday. Other columns are not used; `ignored_` says why. Missing values are
    allowed. As in [data] of a job file, `categories`, `times` and `ignore` name columns of a frame
    to read otherwise, `max_levels` limits the levels told apart, and `entity` names the column by
    whose level and spread rows are scaled; with a quantile rule, a score is then measured in
    thresholds of its group of entities. Scored frames may have more columns, in any order; but
    where all columns that are used are numbers, just these in another order are an error, as
    anywhere in scikit-learn.

    With `network="conv"`, which needs `prototypes=0`, rows may also be images (n, height, width) or
    (n, height, width, channels), or signals with channels (n, length, channels); `hidden=()`
    chooses the convolutions for them.

    If the rows contain outliers, set `trim` to about the share that may be outliers: then
    `fit_predict` judges every row by models that were not fitted on it or on its copies. There is
    no guarantee then: `rule="quantile 0.95"` returns -1 for the 5 % of rows with the highest
    scores.

    The share `calibration` of the clean rows is used for the threshold only: with
    `rule="quantile 0.95"`, on average at most 5 % of fresh clean rows are flagged, however few rows
    there are. If they are too few for that guarantee, no row is flagged, and `fit` warns. It also
    warns of columns whose differences float64 or float32 loses.

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
        Number of features seen during `fit`; of a frame, of the columns that are used.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if the rows had names.
    ignored_ : dict
        The columns of a frame that are not used, each with the reason.

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
        scaling: str | None = None,
        noise: float | None = None,
        l1: float = 0.0,
        l2: float = 0.0,
        tied: bool = False,
        members: int = MEMBERS,
        combine: str = "mean",
        epochs: int | None = None,
        batch_size: int = BATCH,
        learning_rate: float = LEARNING_RATE,
        patience: int = 0,
        calibration: float = 0.2,
        validation: float = 0.1,
        trim: float = 0.0,
        by: str = "novelty",
        rule: str = "quantile 0.95",
        device: str = "cpu",
        random_state: int | np.random.RandomState | None = 0,
        entity: str | None = None,
        categories: tuple[str, ...] = (),
        times: tuple[str, ...] = (),
        ignore: tuple[str, ...] = (),
        max_levels: int = MAX_LEVELS,
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
        self.entity = entity
        self.categories = categories
        self.times = times
        self.ignore = ignore
        self.max_levels = max_levels

    def fit(self, X: ArrayLike, y: None = None) -> Self:  # noqa: ARG002 # scikit-learn's
        """Fit to clean rows X (n, d), n >= 2; with convolutions also (n, *row_shape).

        X may also be a DataFrame or Arrow table; see the class.

        Raises SettingsError for an invalid parameter, and ValueError for rows that scikit-learn
        rejects or a frame without a column that can be a feature.
        """
        clean = self._read_clean(X)
        model, train = settings_for(self.get_params(), len(clean.rows), clean.layout)
        train = without_empty_parts(train, hasher_for(train)(clean.rows))
        rows = CleanRows.in_memory(clean.rows, clean.layout)
        trained = train_autoencoder(rows, model=model, train=train, device=self.device)
        return self._use(clean.describe(trained.model))

    def fit_predict(self, X: ArrayLike, y: None = None) -> NDArray[np.int64]:
        """Fit to rows X (n, d) and return -1 for outliers among them and +1 for others, (n,).

        With `trim`, each row is judged by models that were not fitted on it; see the class.
        """
        self.fit(X, y)
        if not self.trim:
            return self.predict(X)
        clean = self._read_clean(X)
        model, train = settings_for(self.get_params(), len(clean.rows), clean.layout)
        train = without_empty_folds(train, clean.rows)
        rows = CleanRows.in_memory(clean.rows, clean.layout)
        fitted = cross_fit(rows, model=model, train=train, device=self.device)
        scores = fitted.scores_by(self.by, clean.rows)
        self.out_of_fold_scores_ = -np.minimum(scores, np.finfo(np.float64).max)
        decision = decide_beforehand(rule_by_row(self.rule), fitted.calibration_by(self.by))
        return np.where(scores > decision.cut.score, -1, 1)

    def score_samples(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the negated score of each row of X (n, d), (n,): lower is more anomalous.

        Rows of images or signals may also have the shape of those that were fitted. A frame needs
        the columns of `fit`, of the same kinds; see the class. By novelty, rows of a small table
        that it was fitted to are compared with all others.
        """
        check_is_fitted(self)
        rows = read_rows(self, X, self.model_.layout).rows
        scores = np.empty(len(rows))
        for model, places in judges_among_others(self.model_, self.by, rows):
            scores[places] = model.scores_by(self.by, rows[places])
        if self._groups is not None:
            scores = self._groups.judged(rows, scores)
        return -np.minimum(scores, np.finfo(np.float64).max)

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return `score_samples` minus `offset_`, (n,): negative for outliers."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """Return -1 for outliers and +1 for other rows, (n,)."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def explain(self, X: ArrayLike, *, top: int = MAX_FEATURES) -> Explanation:
        """Explain the score of each row of X (n, d), in words and by at most `top` features.

        Returns a list of a `Cause` for each row, which notebooks show as a table. A cause has
        `words` and `features`; a feature has a `name`, its `share` of the score, the `actual_text`
        and the `expected_text`. Levels that are new are named as X has them. Rows that were fitted
        are compared as by `score_samples`.

        Examples
        --------
        >>> import pyarrow as pa
        >>> clean = pa.table({"city": ["Oslo", "Rome"] * 150, "warm": [5.0, 25.0] * 150})
        >>> detector = AutoencoderDetector(epochs=5, members=1).fit(clean)
        >>> rows = pa.table({"city": ["Paris"], "warm": [25.0]})
        >>> detector.explain(rows)[0].features[0].words
        "city 'Paris' never seen in fit rows (2 levels known)"

        """
        check_is_fitted(self)
        if top < 1:
            raise ValueError(f"top must be at least 1. Got {top} instead.")
        if not len(cast("Sized", X)):
            return Explanation()
        found = read_rows(self, X, self.model_.layout)
        causes = np.empty(len(found.rows), object)
        for model, places in judges_among_others(self.model_, self.by, found.rows):
            rebuilt = model.rebuild(found.rows[places])
            causes[places] = explain(model, rebuilt, by=self.by, texts=found.texts, top=top)
        return Explanation(causes)

    def plot(self, X: ArrayLike | None = None, *, ax: Axes | None = None) -> Axes:
        """Draw the scores of the calibration rows with the cut, and those of X (n, d) if given.

        Scores are drawn as in reports: higher is more anomalous. Returns the axes of Matplotlib:
        `ax`, or those of a new figure.
        """
        check_is_fitted(self)
        groups, rows = self._groups, None if X is None else -self.score_samples(X)
        clean = self.model_.calibration_by(self.by) if groups is None else groups.judged_calibration
        return score_plot(clean, rows, -self.offset_, name=self.by, axes=ax)

    def to_files(self) -> dict[str, bytes]:
        """Return a bundle as `nightglass train` writes it.

        {"model.safetensors": ..., "model.json": ...}
        """
        check_is_fitted(self)
        params = self.get_params()
        score, data = ({name: params[name] for name in keys} for keys in (SCORE_KEYS, DATA_KEYS))
        facts = {**self.model_.facts, "score": score, "data": data}
        return to_files(replace(self.model_, facts=facts))

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], *, device: str = "cpu") -> Self:
        """Load a fitted estimator from a bundle of `to_files` or of `nightglass train`.

        Raises BundleError.
        """
        model = from_files(files, device=device)
        detector = cls(**known_parameters(model, cls._get_param_names()))
        return detector._use(model)

    def _read_clean(self, X: ArrayLike) -> InputRows:
        """Read rows to fit to. Raises like `fit`."""
        rule_by_row(self.rule)
        row_shape = np.shape(X)[1:] if self.network == "conv" else ()
        return read_clean(self, X, row_shape, FEWEST_FIT_ROWS, wanted_columns(self.get_params()))

    def _use(self, model: Autoencoder) -> Self:
        """Use a trained model, with the threshold that the rule gives it."""
        rule, entities = rule_by_row(self.rule), model.scaler.entities
        self._groups = entity_groups(entities, model.measured, self.by, rule)
        decision = decide_beforehand(rule, model.calibration_by(self.by))
        decision = rest_on_groups(decision, self._groups, rows=0, above=0)
        if not np.isfinite(decision.cut.score):
            warnings.warn(f"No row will be flagged as an outlier. {decision.promise}", stacklevel=3)
        if lost := cast("Mapping[str, str]", model.facts.get("imprecise", {})):
            listed = ", ".join(f"{name!r} ({why})" for name, why in [*lost.items()][:MOST_NAMED])
            warnings.warn(f"Columns lose small differences: {listed}.", stacklevel=3)
        self.model_ = model
        self.n_features_in_ = len(model.layout.names) or model.layout.n_features
        if model.layout.columns:
            self.feature_names_in_ = np.array(model.layout.names, dtype=object)
        self.ignored_ = dict(cast("Mapping[str, str]", model.facts.get("ignored", {})))
        self.offset_ = -decision.cut.score
        self.promise_ = decision.promise
        return self
