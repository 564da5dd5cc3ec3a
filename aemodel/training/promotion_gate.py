"""The promotion gate: may this model take the place of the one in force?

Judged without labels, on rows that neither was fitted on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aemodel.model import Autoencoder
from aemodel.rows.sampling import SampledRows
from aemodel.rows.splits import row_hashes, sides_of
from aemodel.settings import SCORES
from aemodel.training.measure import dead_latents
from aemodel.training.result import Trained
from aemodel.training.synthetic_anomalies import found_parts

BETTER_BY = 0.02  # share of the column means' error that chance alone may give or take
WORSE_BY = 0.05  # share of the champion's mean error
# share of the column means' error that another sample of clean rows may cost a model that rebuilds
# nearly all
OF_COLUMN_MEANS = 0.01
MOST_WORSE_BY = 1.0  # share of the champion's mean error, however little that is
AUROC_LOSS = 0.01
DEAD_SHARE = 0.25
TAILS = (
    0.01,
    0.05,
    0.2,
    0.5,
)  # of the champion's calibration scores, in which the new clean rows are counted
EXCESS = 0.01  # share of the clean rows that may lie there beyond what is due
UNLIKELY = 0.01 / (
    len(TAILS) * len(SCORES)
)  # so that the clean rows of a good model are called unlike the champion's once in 100 times
MOVED = 0.05  # Kolmogorov-Smirnov distance from which errors have moved
BOOTSTRAPS = 1_000
MOST_BYTES = 32_000_000  # of rows that are looked at, as float64 where they are compared
FEWEST_ROWS = 10


@dataclass(frozen=True)
class Check:
    """One question to a challenger.

    What was found, what is allowed, the figures behind it, and, where it did not pass, why in
    words.
    """

    what: str
    found: str
    allowed: str
    figures: dict[str, float]
    against: str = ""

    @property
    def passed(self) -> bool:
        """Whether it speaks for the challenger."""
        return not self.against


@dataclass(frozen=True)
class GateVerdict:
    """Whether to promote, why in words, the checks behind it, and every figure that they rest on."""

    promote: bool
    reasons: tuple[str, ...]
    figures: dict[str, float]
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True)
class Sampled:
    """Clean rows (n, *row_shape) of a challenger:

    `unseen` by either fit, and `believed`, all but its calibration rows. Fair samples.
    """

    unseen: NDArray[Any]
    believed: NDArray[Any]


def judge(
    trained: Trained,
    champion: Autoencoder | None,
    read_chunks: Callable[[], Iterable[NDArray[Any]]],
    *,
    by: str = "error",
) -> GateVerdict:
    """Judge a trained model against the column means, and against the champion where there is one for the same layout of rows.

    `by`: the one of SCORES that planted anomalies must be found with.
    """
    if champion is None or champion.layout != trained.model.layout:
        return against_column_means(
            trained,
            "the first model" if champion is None else "the first model for rows of this layout",
        )
    rows = sample_rows(trained.model, champion, read_chunks)
    if len(rows.unseen) < FEWEST_ROWS:
        why = f"only {len(rows.unseen)} rows that neither model was fitted on, {FEWEST_ROWS} are needed; raise train.validation, or promote it by hand"
        return GateVerdict(False, (why,), {})
    return against_champion(trained, champion, rows, by=by)


def against_column_means(trained: Trained, called: str = "the first model") -> GateVerdict:
    """A first model must be better than one that only knows the column means."""
    figures = {
        "validation_error": trained.validation_error,
        "column_mean_error": trained.column_mean_error,
    }
    said = f"validation error {trained.validation_error:.4g}, that of the column means {trained.column_mean_error:.4g}"
    if trained.validation_error < (1 - BETTER_BY) * trained.column_mean_error:
        return GateVerdict(True, (f"{called}, better than the column means ({said})",), figures)
    return GateVerdict(
        False,
        (f"no better than the column means ({said}); train longer, or with more latents",),
        figures,
    )


def against_champion(
    trained: Trained, champion: Autoencoder, rows: Sampled, *, by: str
) -> GateVerdict:
    """Refuse a challenger that is worse beyond doubt, or whose clean rows are not what the champion knows as clean."""
    checks = [
        check_error(trained.model, champion, rows.unseen),
        check_planted(trained.model, champion, rows.unseen, by=by),
        check_latents(trained, champion, rows.unseen),
    ]
    if len(champion.calibration):
        checks += [check_excess(champion, rows.believed), check_moved(champion, rows.unseen)]
    against = tuple(check.against for check in checks if not check.passed)
    kept = "; ".join(f"{check.what} {check.found}" for check in checks[:2])
    figures = {name: value for check in checks for name, value in check.figures.items()}
    return GateVerdict(
        not against, against or (f"not worse than the champion: {kept}",), figures, tuple(checks)
    )


def check_error(challenger: Autoencoder, champion: Autoencoder, rows: NDArray[Any]) -> Check:
    """Is its error higher, beyond doubt, by more than `tolerated`?

    In the wider of the two models' units, column by column: a column that was nearly constant for
    one of them would decide alone.
    """
    units = np.maximum(challenger.scaler.scale, champion.scaler.scale)
    own, theirs = (errors_in_units(units, model, rows) for model in (challenger, champion))
    known = np.isfinite(own) & np.isfinite(
        theirs
    )  # a row too far out for float32 tells neither from the other
    own, theirs = own[known], theirs[known]
    low, high = bootstrap_interval(own - theirs)
    mean = float(theirs.mean())
    allowed = tolerated(mean, error_of_column_means(units, rows[known]))
    figures = {
        "error": float(own.mean()),
        "champion_error": mean,
        "error_difference_low": low,
        "error_difference_high": high,
    }
    found = f"{own.mean():.4g}, the champion's {mean:.4g} (difference {low:+.3g} to {high:+.3g})"
    against = (
        f"its error {own.mean():.4g} is worse than the champion's {mean:.4g} beyond doubt"
        if low > allowed
        else ""
    )
    return Check("error", found, f"not surely above {mean + allowed:.4g}", figures, against)


def tolerated(error: float, of_column_means: float) -> float:
    """How much higher than the champion's mean error a challenger's may be: WORSE_BY of it.

    Where it is a small part of the column means', one training or one sample of clean rows after
    another changes it by far more than that, and no harm is done: OF_COLUMN_MEANS of theirs then,
    up to MOST_WORSE_BY of the champion's.
    """
    return max(WORSE_BY * error, min(OF_COLUMN_MEANS * of_column_means, MOST_WORSE_BY * error))


def check_planted(
    challenger: Autoencoder, champion: Autoencoder, rows: NDArray[Any], *, by: str
) -> Check:
    """Does it find anomalies planted in clean rows less well, beyond doubt by more than AUROC_LOSS?"""
    own, theirs = found_parts(
        [challenger, champion], rows, by=by if by in champion.known_scores else "error"
    )
    low, high = bootstrap_interval(own - theirs)
    auroc, other = float(own.mean()), float(theirs.mean())
    figures = {
        "planted_auroc": auroc,
        "champion_planted_auroc": other,
        "planted_difference_low": low,
        "planted_difference_high": high,
    }
    against = (
        f"it finds planted anomalies worse beyond doubt: AUROC {auroc:.3f}, the champion's {other:.3f}"
        if high < -AUROC_LOSS
        else ""
    )
    found = f"{auroc:.3f}, the champion's {other:.3f} (difference {low:+.3f} to {high:+.3f})"
    return Check(
        "planted anomalies AUROC",
        found,
        f"not surely below {other - AUROC_LOSS:.3f}",
        figures,
        against,
    )


def check_latents(trained: Trained, champion: Autoencoder, rows: NDArray[Any]) -> Check:
    """Are more of its latents dead than a few, and than the champion's?"""
    own = len(trained.dead_latents) / trained.model.settings.latent
    theirs = len(dead_latents(champion.encode(rows))) / champion.settings.latent
    figures = {"dead_share": own, "champion_dead_share": theirs}
    allowed = max(DEAD_SHARE, theirs)
    against = f"{own:.0%} of its latents are dead" if own > allowed else ""
    return Check("dead latents", f"{own:.0%}", f"at most {allowed:.0%}", figures, against)


def check_excess(champion: Autoencoder, rows: NDArray[Any]) -> Check:
    """Do more clean rows lie in the tails of the champion's calibration than are due?

    Rows that it was fitted on only make that rarer.
    """
    tails = [
        beyond(calibration, found, tail)
        for calibration, found in beside_calibration(champion, rows)
        for tail in TAILS
    ]
    chance, share, due = min(tails, key=lambda tail: (tail[0], tail[2] - tail[1]))
    figures = {"beyond_share": share, "beyond_due": due, "beyond_chance": chance}
    said = f"{share:.2%} of the clean rows have scores that the champion gave to {due:.2%} of its calibration rows"
    against = (
        f"{said}: they are contaminated or have changed; look at them, or promote it by hand"
        if chance < UNLIKELY
        else ""
    )
    return Check(
        "clean rows in the champion's tails",
        f"{share:.2%}, chance {chance:.2g}",
        f"{due:.2%}, or chance",
        figures,
        against,
    )


def beside_calibration(
    champion: Autoencoder, rows: NDArray[Any]
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """The calibration scores (n,) and those of rows (m, *row_shape), (m,), by each of the scores that the champion knows."""
    for score, found in zip(
        champion.known_scores, champion.scores(rows), strict=False
    ):  # an older champion knows fewer
        yield champion.calibration_by(score), found


def beyond(
    calibration: NDArray[np.float64], scores: NDArray[np.float64], tail: float
) -> tuple[float, float, float]:
    """The chance of so many scores (m,) in a tail of the ascending calibration (n,), their share, and the share that is due.

    Of m clean rows, those above the j-th largest of n calibration scores are beta-binomial (m, j, n + 1 - j). The chance is 1 where the
    excess is too small to matter.
    """
    from scipy.stats import betabinom  # late: takes long to import

    n, j = len(calibration), int((len(calibration) + 1) * tail)
    above = int((scores > calibration[-j]).sum()) if j else 0
    share, due = above / len(scores), j / (n + 1)
    return (
        float(betabinom.sf(above - 1, len(scores), j, n + 1 - j)) if share > due + EXCESS else 1.0,
        share,
        due,
    )


def check_moved(champion: Autoencoder, rows: NDArray[Any]) -> Check:
    """Have the champion's scores of clean rows moved, to either side?"""
    from scipy.stats import ks_2samp  # late: takes long to import

    tests = [
        ks_2samp(found, calibration) for calibration, found in beside_calibration(champion, rows)
    ]
    chance, distance = min((float(test.pvalue), float(test.statistic)) for test in tests)
    figures = {"moved_by": distance, "moved_chance": chance}
    moved = distance >= MOVED and chance < UNLIKELY
    said = f"the champion's scores of the clean rows have moved (Kolmogorov–Smirnov distance {distance:.2f})"
    against = f"{said}: the rows have changed; look at them, or promote it by hand" if moved else ""
    return Check(
        "champion's scores moved by",
        f"{distance:.3f}, chance {chance:.2g}",
        f"below {MOVED}, or chance",
        figures,
        against,
    )


def sample_rows(
    challenger: Autoencoder,
    champion: Autoencoder,
    read_chunks: Callable[[], Iterable[NDArray[Any]]],
) -> Sampled:
    """One pass over the challenger's clean rows; none of its calibration rows is taken."""
    layout, settings = challenger.layout, challenger.train_settings
    compared_bytes = MOST_BYTES * np.dtype(layout.dtype).itemsize // 8
    unseen = SampledRows(
        layout,
        compared_bytes,
        low=settings.calibration,
        high=settings.calibration + settings.validation,
    )
    believed = SampledRows(layout, MOST_BYTES, low=settings.calibration)
    for chunk in read_chunks():
        hashes = row_hashes(chunk)
        sides, seen = sides_of(hashes, settings), sides_of(hashes, champion.train_settings).fit
        known = observed(chunk)
        for sample, chosen in (
            (unseen, sides.validation & ~seen & known),
            (believed, ~sides.calibration & known),
        ):
            sample.add(chunk[chosen], hashes[chosen])
    return Sampled(unseen.rows, believed.rows)


def observed(rows: NDArray[Any]) -> NDArray[np.bool_]:
    """Which rows (n, *row_shape) hold any value at all, (n,)."""
    if rows.dtype.kind != "f":
        return np.ones(len(rows), np.bool_)
    return np.asarray(~np.isnan(rows.reshape(len(rows), -1)).all(axis=1))


def errors_in_units(
    units: NDArray[np.float64], model: Autoencoder, rows: NDArray[Any]
) -> NDArray[np.float64]:
    """Errors (n,) of `model` in units (d,), each in data units, so that models with different scalers can be compared."""
    errors = np.empty(len(rows))
    for start in range(0, len(rows), model.size):
        piece = rows[start : start + model.size]
        with np.errstate(over="ignore", invalid="ignore"):
            squares = (
                (model.reconstruct(piece) - piece.astype(np.float64)).reshape(len(piece), -1)
                / units
            ) ** 2
        gaps = (
            np.isnan(piece.reshape(len(piece), -1))
            if piece.dtype.kind == "f"
            else np.zeros(squares.shape, np.bool_)
        )
        errors[start : start + model.size] = np.where(gaps, 0.0, squares).sum(axis=1) / (~gaps).sum(
            axis=1
        )
    return errors


def error_of_column_means(units: NDArray[np.float64], rows: NDArray[Any]) -> float:
    """Mean error in units (d,) of rows (n, *row_shape) against their own column means.

    What a model that knows nothing else would have.
    """
    values = rows.reshape(len(rows), -1).astype(np.float64)
    seen = ~np.isnan(values)
    with np.errstate(over="ignore", invalid="ignore"):
        away = values - np.nansum(values, axis=0) / np.maximum(seen.sum(axis=0), 1)
        return float(np.nansum((away / units) ** 2) / seen.sum())


def bootstrap_interval(differences: NDArray[np.float64]) -> tuple[float, float]:
    """95 % interval of the mean of paired differences (n,), by the percentile bootstrap (Efron 1979) with a fixed seed."""
    random = np.random.default_rng(0)
    n = len(differences)
    means = [differences[random.integers(0, n, n)].mean() for _ in range(BOOTSTRAPS)]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)
