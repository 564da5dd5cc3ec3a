"""What the promotion gate accepts and refuses on small tables.

benchmarks/gate.py tests it on real ones.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aemodel.rows.hashes import row_hashes
from aemodel.rows.layout import Layout
from aemodel.rows.splits import sides_of
from aemodel.settings import ModelSettings, TrainSettings
from aemodel.training.gate_checks import bootstrap_interval, check_error, tolerated
from aemodel.training.loop import CleanRows, train_autoencoder
from aemodel.training.promotion_gate import (
    FEWEST_ROWS,
    MOST_BYTES,
    judge_challenger,
    sample_clean_rows,
)
from aemodel.training.synthetic_anomalies import auroc_parts, iter_planted

pytestmark = pytest.mark.slow

MAP = np.random.default_rng(99).normal(size=(2, 6))
TABLE = ModelSettings(
    hidden=(16,), latent=4, activation="silu", output="identity", loss="mse", scaling="standard"
)


def clean_rows(n=2000, seed=0):
    random = np.random.default_rng(seed)
    return random.normal(size=(n, 2)) @ MAP + 0.3 * random.normal(size=(n, 6))


def train(rows, *, model=TABLE, **settings):
    chosen = TrainSettings(
        **{
            "epochs": 20,
            "batch_size": 64,
            "learning_rate": 3e-3,
            "calibration": 0.2,
            "validation": 0.2,
            **settings,
        }
    )
    layout = Layout(row_shape=rows.shape[1:], dtype=rows.dtype.name)
    return train_autoencoder(
        CleanRows(lambda: [rows], layout, memory_bytes=10**8), model=model, train=chosen
    )


def verdict_on(rows, champion, **settings):
    return judge_challenger(train(rows, **settings), champion, lambda: [rows])


def failed(verdict):
    return {check.what for check in verdict.checks if not check.passed}


@pytest.fixture(scope="module")
def champion():
    return train(clean_rows()).model


def test_another_seed_and_fresh_clean_rows_pass(champion):
    verdict = verdict_on(clean_rows(seed=1), champion, seed=5)

    assert verdict.promote
    assert "not worse than the champion" in verdict.reasons[0]
    assert all(check.passed for check in verdict.checks)


def test_a_new_fit_to_the_same_rows_passes(champion):
    assert verdict_on(clean_rows(), champion, seed=3).promote


@pytest.mark.parametrize(("split", "passes"), [("occurrence", 1), ("content", 2)])
def test_rows_are_hashed_once_for_both_models_if_they_split_alike(
    champion, monkeypatch, split, passes
):
    calls = []
    hashed = lambda rows: calls.append(len(rows)) or row_hashes(rows)  # noqa: E731 # as short as it gets
    monkeypatch.setattr("aemodel.rows.hashes.row_hashes", hashed)
    other = replace(champion, train_settings=replace(champion.train_settings, split=split))
    sample_clean_rows(champion, other, lambda: [clean_rows(300), clean_rows(200, seed=1)])

    assert calls == [300] * passes + [200] * passes


def test_a_challenger_is_refused_where_no_row_can_be_compared(champion):
    rows = clean_rows(seed=1)
    verdict = judge_challenger(train(rows), champion, lambda: [rows * 1e100])

    assert (verdict.promote, verdict.figures) == (False, {})
    assert "this model rebuilds none of the clean rows" in verdict.reasons[0]
    assert failed(verdict) == {"error"}


def test_an_undertrained_model_fails_on_error_and_planted_anomalies(champion):
    verdict = verdict_on(clean_rows(seed=1), champion, epochs=1)

    assert {"error", "synthetic anomalies AUROC"} <= failed(verdict)
    assert verdict.figures["error_difference_low"] > 0.05 * verdict.figures["champion_error"]


@pytest.mark.parametrize(
    ("error", "of_column_means", "more"),
    [
        (0.4, 1.0, 0.02),
        (0.2, 1.0, 0.01),
        (0.04, 1.0, 0.01),
        (0.004, 1.0, 0.004),
        (0.0, 1.0, 0.0),
        (0.4, np.inf, 0.4),
    ],
)
def test_tolerance_is_a_share_of_the_error_or_of_the_column_means_error(
    error, of_column_means, more
):
    assert tolerated(error, of_column_means) == pytest.approx(more)


def test_small_errors_may_differ_by_more_than_5_percent():
    def near_a_plane(seed):
        random = np.random.default_rng(seed)
        return random.normal(size=(2000, 2)) @ MAP + 0.03 * random.normal(size=(2000, 6))

    champion = train(near_a_plane(0), epochs=40).model
    slightly_worse, undertrained = (
        check_error(train(near_a_plane(1), epochs=epochs).model, champion, near_a_plane(2))
        for epochs in (20, 5)
    )

    assert (
        slightly_worse.figures["error_difference_low"]
        > 0.05 * slightly_worse.figures["champion_error"]
    )
    assert slightly_worse.passed
    assert not undertrained.passed


def test_dead_latents_are_refused(champion):
    verdict = verdict_on(
        clean_rows(seed=1),
        champion,
        model=replace(TABLE, hidden=(), activation="relu", l1=100.0),
        learning_rate=0.02,
    )

    assert "dead latents" in failed(verdict)
    assert "% of its latents are dead" in "; ".join(verdict.reasons)


def test_anomalies_among_the_clean_rows_are_refused(champion):
    rows = clean_rows(seed=1)
    rows[::20] += np.random.default_rng(0).normal(size=(100, 6)) * 2
    verdict = verdict_on(rows, champion)

    assert "clean rows in the champion's tails" in failed(verdict)
    assert "contaminated or have changed" in verdict.reasons[-1] + verdict.reasons[0]


@pytest.mark.parametrize(
    "change", [lambda rows: rows * 1.3, lambda rows: rows * 0.7, lambda rows: rows + np.eye(6)[0]]
)
def test_rows_in_changed_units_are_refused(champion, change):
    assert failed(verdict_on(change(clean_rows(seed=1)), champion)) & {
        "clean rows in the champion's tails",
        "champion's scores moved by",
    }


def test_too_few_rows_unseen_by_both_models_are_refused(champion):
    rows = clean_rows(40)
    verdict = judge_challenger(
        train(rows, calibration=0.2, validation=0.1), champion, lambda: [rows]
    )

    assert not verdict.promote
    assert (
        f"{FEWEST_ROWS} are needed; raise train.validation, or run 'nightglass models promote'"
        in verdict.reasons[0]
    )


def test_calibration_rows_are_never_sampled(champion):
    rows = clean_rows(seed=1)
    other = train(rows, seed=1).model
    sampled = sample_clean_rows(other, champion, lambda: np.array_split(rows, 7))
    sides = sides_of(row_hashes(rows), other.train_settings)

    np.testing.assert_array_equal(sampled.unseen, rows[sides.validation])
    np.testing.assert_array_equal(sampled.presumed_clean, rows[~sides.calibration])
    assert sampled.presumed_clean.nbytes < MOST_BYTES


def test_the_verdict_does_not_depend_on_chunk_size(champion):
    rows = clean_rows(seed=1)
    trained = train(rows, seed=1)

    assert judge_challenger(trained, champion, lambda: [rows]) == judge_challenger(
        trained, champion, lambda: np.array_split(rows, 13)
    )


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_planted_anomalies_keep_shape_and_dtype_and_change_the_values(dtype):
    rows = np.random.default_rng(0).integers(0, 255, (50, 4, 5)).astype(dtype)
    if dtype != "uint8":
        rows[3, 1] = np.nan
    kept = rows.copy()
    for planted in iter_planted(rows):
        assert (planted.shape, planted.dtype) == (rows.shape, rows.dtype)
        assert (planted != rows).reshape(50, -1).any(axis=1).mean() > 0.9
        assert (np.isnan(planted) == np.isnan(rows)).mean() > 0.9
    np.testing.assert_array_equal(rows, kept)


def test_auroc_parts_average_to_the_auroc():
    from sklearn.metrics import roc_auc_score

    random = np.random.default_rng(0)
    clean, planted = random.integers(0, 9, 60) * 1.0, random.integers(3, 12, 60) * 1.0
    planted[0] = np.inf

    expected = roc_auc_score(
        np.repeat([0, 1], 60), np.minimum(np.concatenate([clean, planted]), 1e9)
    )
    assert auroc_parts(clean, planted).mean() == pytest.approx(expected)


def test_the_bootstrap_interval_has_about_95_percent_coverage():
    random = np.random.default_rng(0)
    inside = [
        low <= 0.5 <= high
        for low, high in (bootstrap_interval(random.random(80)) for _ in range(100))
    ]
    assert np.mean(inside) > 0.9
