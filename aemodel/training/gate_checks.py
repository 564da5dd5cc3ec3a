"""The checks of the promotion gate: a challenger against the champion on clean rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from aemodel.measured import Rows, Vector
from aemodel.model import Autoencoder
from aemodel.settings import SCORES
from aemodel.training.measure import dead_latents
from aemodel.training.result import Trained
from aemodel.training.synthetic_anomalies import planted_auroc_parts

WORSE_BY = 0.05  # share of the champion's mean error
# share of the column means' error by which another sample of clean rows may change the error of a
# model that reconstructs nearly everything
OF_COLUMN_MEANS = 0.01
MOST_WORSE_BY = 1.0  # upper limit, as a share of the champion's mean error
AUROC_LOSS = 0.01
DEAD_SHARE = 0.25
# shares of the champion's calibration scores, from the top, in which clean rows are counted
TAILS = (0.01, 0.05, 0.2, 0.5)
EXCESS = 0.01  # share of the clean rows that may lie in a tail beyond the expected share
# a good model's clean rows fail one of these tests once in 100 times
UNLIKELY = 0.01 / (len(TAILS) * len(SCORES))
MOVED = 0.05  # Kolmogorov-Smirnov distance from which scores have shifted
BOOTSTRAPS = 1_000


@dataclass(frozen=True)
class Check:
    """One comparison of a challenger: what was found, and what is allowed.

    figures: the numbers behind it. failure: why it failed, or '' if it passed.
    """

    what: str
    found: str
    allowed: str
    figures: dict[str, float]
    failure: str = ""

    @property
    def passed(self) -> bool:
        """Whether the challenger passed."""
        return not self.failure


@dataclass(frozen=True)
class TailCount:
    """How many clean rows score in a tail of the champion's calibration scores.

    share: of the clean rows. expected: the share that is expected. chance: the probability of so
    many, or 1 if the excess is too small to matter.
    """

    chance: float
    share: float
    expected: float


def check_error(challenger: Autoencoder, champion: Autoencoder, rows: Rows) -> Check:
    """Check that the error is not significantly higher, by more than `tolerated`.

    Both errors are in the larger of the two models' units, column by column. Otherwise a column
    that was nearly constant for one model would dominate.
    """
    units = np.maximum(_error_units(challenger, rows), _error_units(champion, rows))
    own, theirs = (errors_in_units(units, model, rows) for model in (challenger, champion))
    known = np.isfinite(own) & np.isfinite(theirs)  # rows beyond float32 cannot be compared
    if not known.any():
        return _nothing_rebuilt(own)
    own, theirs = own[known], theirs[known]
    low, high = bootstrap_interval(own - theirs)
    error, other = float(own.mean()), float(theirs.mean())
    allowed = tolerated(other, error_of_column_means(of_rows(units, known), champion, rows[known]))
    figures = {
        "error": error,
        "champion_error": other,
        "error_difference_low": low,
        "error_difference_high": high,
    }
    found = f"{error:.4g}, the champion's {other:.4g} (difference {low:+.3g} to {high:+.3g})"
    why = f"its error {error:.4g} is significantly worse than the champion's {other:.4g}"
    limit = f"not significantly above {other + allowed:.4g}"
    return Check("error", found, limit, figures, why if low > allowed else "")


def _nothing_rebuilt(challenger_errors: Vector) -> Check:
    """Return a failed check without figures: no row can be compared."""
    name = "the champion" if np.isfinite(challenger_errors).any() else "this model"
    why = (
        f"{name} rebuilds none of the clean rows, whose values lie beyond float32 in its units; if "
        "they were meant to change that much, run 'nightglass models promote'"
    )
    return Check("error", "no row to compare", "rows that both models rebuild", {}, why)


def tolerated(error: float, of_column_means: float) -> float:
    """Return by how much a challenger's mean error may exceed the champion's `error`.

    WORSE_BY of it. If the error is small compared with the column means', it varies by more than
    that between trainings and samples without harm. OF_COLUMN_MEANS of theirs is allowed then, up
    to MOST_WORSE_BY of the champion's.
    """
    return max(WORSE_BY * error, min(OF_COLUMN_MEANS * of_column_means, MOST_WORSE_BY * error))


def check_planted(challenger: Autoencoder, champion: Autoencoder, rows: Rows, *, by: str) -> Check:
    """Check that its AUROC on planted anomalies is not significantly lower, by AUROC_LOSS."""
    own, theirs = planted_auroc_parts([challenger, champion], rows, by=by)
    low, high = bootstrap_interval(own - theirs)
    auroc, other = float(own.mean()), float(theirs.mean())
    figures = {
        "planted_auroc": auroc,
        "champion_planted_auroc": other,
        "planted_difference_low": low,
        "planted_difference_high": high,
    }
    found = f"{auroc:.3f}, the champion's {other:.3f} (difference {low:+.3f} to {high:+.3f})"
    limit = f"not significantly below {other - AUROC_LOSS:.3f}"
    why = (
        "it detects synthetic anomalies significantly worse: "
        f"AUROC {auroc:.3f}, the champion's {other:.3f}"
    )
    failed = high < -AUROC_LOSS
    return Check("synthetic anomalies AUROC", found, limit, figures, why if failed else "")


def check_latents(trained: Trained, champion: Autoencoder, rows: Rows) -> Check:
    """Check that no more latents are dead than DEAD_SHARE, or than the champion's."""
    own = len(trained.dead_latents) / trained.model.settings.latent
    theirs = len(dead_latents(champion.encode(rows))) / champion.settings.latent
    figures = {"dead_share": own, "champion_dead_share": theirs}
    allowed = max(DEAD_SHARE, theirs)
    why = f"{own:.0%} of its latents are dead" if own > allowed else ""
    return Check("dead latents", f"{own:.0%}", f"at most {allowed:.0%}", figures, why)


def check_tails(champion: Autoencoder, rows: Rows) -> Check:
    """Check that no more clean rows score in the champion's calibration tails than expected.

    Rows that the champion was fitted on only make an excess less likely.
    """
    counts = [
        count_in_tail(calibration, found, tail)
        for calibration, found in _score_pairs(champion, rows)
        for tail in TAILS
    ]
    worst = min(counts, key=lambda count: (count.chance, count.expected - count.share))
    figures = {
        "beyond_share": worst.share,
        "beyond_due": worst.expected,
        "beyond_chance": worst.chance,
    }
    return Check(
        "clean rows in the champion's tails",
        f"{worst.share:.2%}, chance {worst.chance:.2g}",
        f"{worst.expected:.2%}, or chance",
        figures,
        _contaminated(worst) if worst.chance < UNLIKELY else "",
    )


def _contaminated(count: TailCount) -> str:
    return (
        f"{count.share:.2%} of the clean rows have scores that the champion gave to "
        f"{count.expected:.2%} of its calibration rows: they are contaminated or have changed; "
        "inspect them, or run 'nightglass models promote'"
    )


def _score_pairs(champion: Autoencoder, rows: Rows) -> Iterator[tuple[Vector, Vector]]:
    """Yield the champion's calibration scores (n,) and the rows' scores (m,), by each score."""
    for name, scores in zip(SCORES, champion.scores(rows), strict=True):
        yield champion.calibration_by(name), scores


def count_in_tail(calibration: Vector, scores: Vector, tail: float) -> TailCount:
    """Count the scores (m,) that exceed the j-th largest of the ascending calibration (n,).

    j = floor((n + 1) * tail). For m clean rows the count is beta-binomial (m, j, n + 1 - j).
    """
    from scipy.stats import betabinom  # late: slow to import

    n, j = len(calibration), int((len(calibration) + 1) * tail)
    above = int((scores > calibration[-j]).sum()) if j else 0
    share, expected = above / len(scores), j / (n + 1)
    if share <= expected + EXCESS:
        return TailCount(1.0, share, expected)
    chance = float(betabinom.sf(above - 1, len(scores), j, n + 1 - j))
    return TailCount(chance, share, expected)


def check_shift(champion: Autoencoder, rows: Rows) -> Check:
    """Check that the champion's scores of clean rows have not shifted in either direction."""
    from scipy.stats import ks_2samp  # late: slow to import

    pairs = _score_pairs(champion, rows)
    tests = [ks_2samp(found, calibration) for calibration, found in pairs]
    chance, distance = min((float(test.pvalue), float(test.statistic)) for test in tests)
    why = (
        "the champion's scores of the clean rows have shifted (Kolmogorov–Smirnov distance "
        f"{distance:.2f}): the rows have changed; inspect them, or run 'nightglass models promote'"
    )
    return Check(
        "champion's scores moved by",
        f"{distance:.3f}, chance {chance:.2g}",
        f"below {MOVED}, or chance",
        {"moved_by": distance, "moved_chance": chance},
        why if distance >= MOVED and chance < UNLIKELY else "",
    )


def find_gaps(rows: Rows) -> NDArray[np.bool_]:
    """Return which features of rows (n, *row_shape) are NaN, (n, d)."""
    flat = rows.reshape(len(rows), -1)
    if rows.dtype.kind != "f":
        return np.zeros(flat.shape, np.bool_)
    return np.asarray(np.isnan(cast("NDArray[np.floating]", flat)))


def _error_units(model: Autoencoder, rows: Rows) -> Vector:
    """What errors are measured in: numbers in data units, others in their usual error.

    (d,), or (n, d) where each of `rows` is scaled by its entity.
    """
    if model.numbers is None:
        return model.scaler.scale
    return np.where(model.numbers, model.scaler.scales(rows), model.measured.residual_scale)


def errors_in_units(units: Vector, model: Autoencoder, rows: Rows) -> Vector:
    """Return errors (n,) of `model` in units (d,) or (n, d), each in data units.

    This makes models with different scalers comparable.
    """
    errors = np.empty(len(rows))
    for start in range(0, len(rows), model.size):
        part = slice(start, start + model.size)
        piece = rows[part]
        with np.errstate(over="ignore", invalid="ignore"):
            squares = (_residuals_in_data_units(model, piece) / of_rows(units, part)) ** 2
        gaps = find_gaps(piece) if model.numbers is None else np.isnan(squares)
        total = np.where(gaps, 0.0, squares).sum(axis=1)
        errors[part] = total / (~gaps).sum(axis=1)
    return errors


def of_rows(units: Vector, part: slice | NDArray[np.bool_]) -> Vector:
    """Return the units of a part of the rows; units (d,) are those of all rows."""
    return units if units.ndim == 1 else units[part]


def _residuals_in_data_units(model: Autoencoder, rows: Rows) -> Vector:
    """Return residuals (n, d): of numbers in data units, of other columns as the model's."""
    if model.numbers is None:
        return (model.reconstruct(rows) - rows.astype(np.float64)).reshape(len(rows), -1)
    return model.residuals(rows) * np.where(model.numbers, model.scaler.scales(rows), 1.0)


def error_of_column_means(units: Vector, model: Autoencoder, rows: Rows) -> float:
    """Return the mean error of rows (n, *row_shape) against their column means.

    units: (d,) or (n, d). It is the error of a model that knows nothing else.
    """
    if model.expansion is not None and model.numbers is not None:
        usual = model.usual_errors(model.scale(rows))
        scale = np.where(model.numbers, model.scaler.scales(rows), 1.0)
        found = usual * (scale / units) ** 2
        return float(found[..., list(model.layout.features)].mean())
    values = rows.reshape(len(rows), -1).astype(np.float64)
    seen = ~np.isnan(values)
    with np.errstate(over="ignore", invalid="ignore"):
        away = values - np.nansum(values, axis=0) / np.maximum(seen.sum(axis=0), 1)
        return float(np.nansum((away / units) ** 2) / seen.sum())


def bootstrap_interval(differences: Vector) -> tuple[float, float]:
    """Return the 95 % interval of the mean of paired differences (n,).

    Percentile bootstrap (Efron 1979) with a fixed seed.
    """
    random = np.random.default_rng(0)
    n = len(differences)
    means = [differences[random.integers(0, n, n)].mean() for _ in range(BOOTSTRAPS)]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)
