"""Windows of series as a scikit-learn outlier estimator, for notebooks and pipelines."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from aemodel.decisions.rules import parse_rule
from aemodel.notebook.fitted import NotebookView
from aemodel.series.detector.scored_rows import ScoredRows, SeriesEvent
from aemodel.series.detector.segments import Arranged, arrange
from aemodel.series.events.decision import cut_of_rule
from aemodel.series.fitting.clean import CleanPiece, CleanSeries
from aemodel.series.fitting.fit import fit_series
from aemodel.series.settings import AUTO, Baseline, WindowSettings

Matrix = NDArray[np.float64]


class SeriesDetector(NotebookView, OutlierMixin, BaseEstimator):  # type: ignore[misc] # scikit-learn has no types
    """Detect anomalous stretches of series: rows in order of time, judged in windows.

    Rows (n, d) are steps of one series, or of several that `entities` (n,) names; columns are
    sensors, and NaN is a gap. `times` (n,) are dates or seconds; rows may then come in any order,
    and a pause of more than `gap` seconds (default: 10 steps) starts a new segment, which no window
    crosses. Fit on clean rows: every entity is judged against its own clean beginning.

    As in scikit-learn, lower scores are more anomalous. The parameters are the keys of [series] in
    a job file, and `rule` is that of [score]: "events 1/7d" allows one false event in 7 days, which
    needs `times`; "events 1/10000" one in 10,000 rows. `random_state` is the seed.

    Attributes
    ----------
    model_ : SeriesModel
        The fitted model.
    offset_ : float
        Rows whose `score_samples` lie below it are outliers.
    promise_ : str
        The guarantee of the rule, in words.
    n_features_in_ : int
        Number of sensors.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the sensors, if the columns had names.

    Examples
    --------
    >>> import numpy as np
    >>> random = np.random.default_rng(0)
    >>> turns = np.sin(np.arange(6000)[:, None] / 9 + np.arange(4))
    >>> rows = turns + 0.1 * random.normal(size=(6000, 4))
    >>> rows[5000:5100, 2] = rows[5000, 2]
    >>> minutes = np.datetime64("2026-11-01") + np.arange(6000) * np.timedelta64(1, "m")
    >>> detector = SeriesDetector(rule="events 1/1d").fit(rows[:4000], times=minutes[:4000])
    >>> event = detector.events(rows[4000:], times=minutes[4000:])[0]
    >>> event.sensors[0].name, event.cause
    ('column 2', 'column 2 flat for 100 min while column 1 moves')

    """

    def __init__(
        self,
        *,
        window: int | str = "auto",
        stride: int | str = "auto",
        baseline: str = "entity",
        gap: float | None = None,
        rule: str = "events 1/10000",
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        """Store the parameters unchanged, as scikit-learn requires; `fit` checks them."""
        self.window = window
        self.stride = stride
        self.baseline = baseline
        self.gap = gap
        self.rule = rule
        self.random_state = random_state

    def fit(
        self,
        X: ArrayLike,
        y: None = None,  # noqa: ARG002 # scikit-learn's
        *,
        times: ArrayLike | None = None,
        entities: ArrayLike | None = None,
    ) -> Self:
        """Fit to clean rows X (n, d).

        Raises SettingsError for an invalid parameter, DataError if no segment is as long as two
        windows, and ValueError for rows that scikit-learn rejects. Warns if the clean rows are too
        few for the rule.
        """
        settings, rule = self._settings(), parse_rule(self.rule)
        rows = self._rows(X, reset=True)
        arranged = arrange(len(rows), times=times, entities=entities, gap=self.gap)
        model = fit_series(self._clean(rows, arranged), settings, seed=self._seed())
        cut = cut_of_rule(rule, model, at_once=model.at_once)
        if not np.isfinite(cut.score):
            warnings.warn(f"There will be no events. {cut.promise}", stacklevel=2)
        self.model_ = model
        self.offset_ = -min(cut.score, float(np.finfo(np.float64).max))
        self.promise_ = cut.promise
        return self

    def score_samples(
        self, X: ArrayLike, *, times: ArrayLike | None = None, entities: ArrayLike | None = None
    ) -> Matrix:
        """Return the negated score (n,) of each row of X (n, d): lower is more anomalous.

        A row's score is the mean over the windows that cover it. Rows that none covers, because
        their segment is shorter than a window or they are the warm-up, have a usual score.
        """
        scored = self._scored(X, times, entities)
        return -np.where(np.isnan(scored.scores), self.model_.calibration.usual, scored.scores)

    def decision_function(
        self, X: ArrayLike, *, times: ArrayLike | None = None, entities: ArrayLike | None = None
    ) -> Matrix:
        """Return `score_samples` minus `offset_`, (n,): negative for outliers."""
        return self.score_samples(X, times=times, entities=entities) - self.offset_

    def predict(
        self, X: ArrayLike, *, times: ArrayLike | None = None, entities: ArrayLike | None = None
    ) -> NDArray[np.int64]:
        """Return -1 for rows above the cut of the rule and +1 for other rows, (n,)."""
        return np.where(self.decision_function(X, times=times, entities=entities) < 0, -1, 1)

    def events(
        self, X: ArrayLike, *, times: ArrayLike | None = None, entities: ArrayLike | None = None
    ) -> list[SeriesEvent]:
        """Return the events among rows X (n, d), the most anomalous first.

        An event peaks above the cut of the rule, and extends as far as scores are higher than those
        of every other clean stretch.
        """
        return self._scored(X, times, entities).events(-self.offset_)

    def __sklearn_tags__(self) -> Tags:
        """Tell scikit-learn that gaps are allowed."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _settings(self) -> WindowSettings:
        window, stride = (
            AUTO if each == "auto" else int(each) for each in (self.window, self.stride)
        )
        return WindowSettings(window=window, stride=stride, baseline=Baseline.parse(self.baseline))

    def _seed(self) -> int:
        return int(check_random_state(self.random_state).randint(2**31))

    def _rows(self, X: ArrayLike, *, reset: bool) -> Matrix:
        rows = validate_data(self, X, reset=reset, dtype=np.float64, ensure_all_finite="allow-nan")
        return np.asarray(rows)

    def _clean(self, rows: Matrix, arranged: Arranged) -> CleanSeries:
        names = getattr(self, "feature_names_in_", None)
        sensors = [f"column {each}" for each in range(rows.shape[1])] if names is None else names
        segments = arranged.segments

        def read() -> Iterator[CleanPiece]:
            return (CleanPiece(each.entity, rows[each.rows]) for each in segments)

        return CleanSeries(
            read=read,
            sensors=tuple(map(str, sensors)),
            names=arranged.names,
            step=arranged.step,
            at_once=arranged.at_once,
            in_seconds=arranged.timed,
        )

    def _scored(
        self, X: ArrayLike, times: ArrayLike | None, entities: ArrayLike | None
    ) -> ScoredRows:
        check_is_fitted(self)
        rows = self._rows(X, reset=False)
        arranged = arrange(len(rows), times=times, entities=entities, gap=self.gap)
        return ScoredRows.of(self.model_, rows, arranged)
