"""The promotion gate: may this model take the place of the one in force? Judged without labels, on rows that neither was fitted on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aemodel.kept import SampledRows
from aemodel.measuring import dead_latents
from aemodel.model import Autoencoder
from aemodel.splits import row_hashes, sides_of
from aemodel.trained import Trained

BETTER_BY = 0.02  # share of the column means' error that chance alone may give or take
WORSE_BY = 0.05  # share of the champion's mean error
AUROC_LOSS = 0.01
DEAD_SHARE = 0.25
BOOTSTRAPS = 1_000
MOST_BYTES = 16_000_000  # of validation rows that are compared
FEWEST_ROWS = 10
PLANTED_SHARE = 0.2  # of a row's features


@dataclass(frozen=True)
class GateVerdict:
    """Whether to promote, why in words, and every figure that the verdict rests on."""

    promote: bool
    reasons: tuple[str, ...]
    figures: dict[str, float]


def judge(trained: Trained, champion: Autoencoder | None, read_chunks: Callable[[], Iterable[NDArray[Any]]]) -> GateVerdict:
    """Judge a trained model against the column means, and against the champion where there is one for the same layout of rows."""
    if champion is None or champion.layout != trained.model.layout:
        return against_column_means(trained, "the first model" if champion is None else "the first model for rows of this layout")
    rows = unseen_rows(trained.model, champion, read_chunks)
    if len(rows) < FEWEST_ROWS:
        why = f"only {len(rows)} rows that neither model was fitted on, {FEWEST_ROWS} are needed; raise train.validation, or promote it by hand"
        return GateVerdict(False, (why,), {})
    return against_champion(trained, champion, rows)


def against_column_means(trained: Trained, called: str = "the first model") -> GateVerdict:
    """A first model must be better than one that only knows the column means."""
    figures = {"validation_error": trained.validation_error, "column_mean_error": trained.column_mean_error}
    said = f"validation error {trained.validation_error:.4g}, that of the column means {trained.column_mean_error:.4g}"
    if trained.validation_error < (1 - BETTER_BY) * trained.column_mean_error:
        return GateVerdict(True, (f"{called}, better than the column means ({said})",), figures)
    return GateVerdict(False, (f"no better than the column means ({said}); train longer, or with more latents",), figures)


def against_champion(trained: Trained, champion: Autoencoder, rows: NDArray[Any]) -> GateVerdict:
    """Refuse a challenger that is worse beyond doubt: in error, in finding planted anomalies, or by its dead latents."""
    challenger = trained.model
    own, theirs = errors_in_units_of(champion, challenger, rows), errors_in_units_of(champion, champion, rows)
    low, high = bootstrap_interval(own - theirs)
    planted = plant(rows)
    auroc_own, auroc_theirs = (separation(model, rows, planted) for model in (challenger, champion))
    dead_own = len(trained.dead_latents) / challenger.settings.latent
    dead_theirs = len(dead_latents(champion.encode(rows))) / champion.settings.latent
    figures = {
        "error": float(own.mean()),
        "champion_error": float(theirs.mean()),
        "difference_low": low,
        "difference_high": high,
        "planted_auroc": auroc_own,
        "champion_planted_auroc": auroc_theirs,
        "dead_share": dead_own,
        "champion_dead_share": dead_theirs,
    }
    against = []
    if low > WORSE_BY * figures["champion_error"]:
        against.append(f"its error {own.mean():.4g} is worse than the champion's {theirs.mean():.4g} beyond doubt")
    if auroc_own < auroc_theirs - AUROC_LOSS:
        against.append(f"it finds planted anomalies worse: AUROC {auroc_own:.3f}, the champion's {auroc_theirs:.3f}")
    if dead_own > max(DEAD_SHARE, dead_theirs):
        against.append(f"{dead_own:.0%} of its latents are dead")
    kept = f"error {own.mean():.4g} beside the champion's {theirs.mean():.4g}, planted anomalies AUROC {auroc_own:.3f} beside {auroc_theirs:.3f}"
    return GateVerdict(not against, tuple(against) or (f"not worse than the champion: {kept}",), figures)


def unseen_rows(challenger: Autoencoder, champion: Autoencoder, read_chunks: Callable[[], Iterable[NDArray[Any]]]) -> NDArray[Any]:
    """The challenger's validation rows (n, *row_shape) that the champion was not fitted on; a fair sample of MOST_BYTES of them."""
    sample = SampledRows(challenger.layout, MOST_BYTES, low=challenger.train_settings.calibration)
    for chunk in read_chunks():
        hashes = row_hashes(chunk)
        unseen = sides_of(hashes, challenger.train_settings).validation & ~sides_of(hashes, champion.train_settings).fit
        unseen &= observed(chunk)
        sample.add(chunk[unseen], hashes[unseen])
    return sample.rows


def observed(rows: NDArray[Any]) -> NDArray[np.bool_]:
    """Which rows (n, *row_shape) hold any value at all, (n,)."""
    if rows.dtype.kind != "f":
        return np.ones(len(rows), np.bool_)
    return np.asarray(~np.isnan(rows.reshape(len(rows), -1)).all(axis=1))


def errors_in_units_of(ruler: Autoencoder, model: Autoencoder, rows: NDArray[Any]) -> NDArray[np.float64]:
    """Errors (n,) of `model`, measured in the scaled units of `ruler`, so that two models can be compared."""
    errors = np.empty(len(rows))
    for start in range(0, len(rows), model.size):
        piece = rows[start : start + model.size]
        differences = (model.reconstruct(piece) - piece.astype(np.float64)).reshape(len(piece), -1) / ruler.scaler.scale
        errors[start : start + model.size] = np.nanmean(differences**2, axis=1)
    return errors


def bootstrap_interval(differences: NDArray[np.float64]) -> tuple[float, float]:
    """95 % interval of the mean of paired differences (n,), by the percentile bootstrap (Efron 1979) with a fixed seed."""
    random = np.random.default_rng(0)
    n = len(differences)
    means = [differences[random.integers(0, n, n)].mean() for _ in range(BOOTSTRAPS)]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def plant(rows: NDArray[Any]) -> NDArray[Any]:
    """Anomalies made of clean rows (n, *row_shape): a fifth of each row's features comes from other rows."""
    random = np.random.default_rng(0)
    flat = rows.reshape(len(rows), -1)
    strangers = flat[random.permutation(len(flat))]
    swapped = random.random(flat.shape) < max(PLANTED_SHARE, 1 / flat.shape[1])
    return np.where(swapped, strangers, flat).reshape(rows.shape)


def separation(model: Autoencoder, clean: NDArray[Any], planted: NDArray[Any]) -> float:
    """AUROC of the error between clean and planted rows."""
    from sklearn.metrics import roc_auc_score  # late: takes a second to import

    errors = np.concatenate([model.errors(clean), model.errors(planted)])
    bounded = np.where(np.isfinite(errors), errors, np.finfo(np.float64).max)
    return float(roc_auc_score(np.repeat([0, 1], [len(clean), len(planted)]), bounded))
