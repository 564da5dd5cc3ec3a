"""Training on difficult rows: few, equal, constant, very wide, or with missing values."""

from __future__ import annotations

import numpy as np
import pytest

from aemodel.bundle import from_files, to_files
from aemodel.errors import DataError
from aemodel.explain.attribution import explain
from aemodel.rows.hashes import row_hashes
from aemodel.rows.layout import Layout
from aemodel.rows.splits import sides_of
from aemodel.settings import ModelSettings, TrainSettings
from aemodel.training.loop import CleanRows, train_autoencoder
from aemodel.training.promotion_gate import compare_to_column_means, judge_challenger

SCALINGS = ("none", "range", "minmax", "standard", "robust")


def clean_rows(n=400, d=6, seed=0):
    random = np.random.default_rng(seed)
    return random.normal(size=(n, 2)) @ random.normal(size=(2, d)) + 0.1 * random.normal(
        size=(n, d)
    )


def train(rows, *, scaling="standard", latent=2, memory=10**8, **settings):
    model = ModelSettings(
        hidden=(8,),
        latent=latent,
        activation="silu",
        output="identity",
        loss="mse",
        scaling=scaling,
    )
    chosen = TrainSettings(**{"epochs": 5, "learning_rate": 3e-3, **settings})
    layout = Layout(row_shape=rows.shape[1:], dtype=rows.dtype.name)
    return train_autoencoder(
        CleanRows(lambda: [rows], layout, memory_bytes=memory), model=model, train=chosen
    )


def require_finite(trained, rows):
    """Require finite measurements, and a bundle that restores the same errors."""
    errors = trained.model.errors(rows)
    assert np.isfinite(errors).all()
    assert np.isfinite(trained.model.calibration).all()
    assert np.isfinite(trained.validation_error)
    assert (from_files(to_files(trained.model)).errors(rows) == errors).all()


def test_a_validation_row_without_values_does_not_affect_the_validation_error():
    rows = clean_rows(400, d=3)
    rows[7] = np.nan
    trained = train(rows, calibration=0.4)

    assert sides_of(row_hashes(rows[7:8]), trained.model.train_settings).validation.all()
    assert 0 < trained.validation_error < 2 * trained.column_mean_error < np.inf


def test_gaps_in_validation_rows_alone_are_not_compared_with_the_column_means():
    rows = clean_rows(400, d=3)
    with_gaps = rows.copy()
    with_gaps[:, 0] = np.nan
    before = train(rows, calibration=0.4)
    sides = sides_of(row_hashes(with_gaps), before.model.train_settings)
    held_out = np.flatnonzero(sides.validation)[:9]
    rows[held_out] = with_gaps[held_out]
    trained = train(rows, calibration=0.4)

    assert trained.model.scaler.complete.all()
    assert np.nanmax(trained.model.errors(rows[held_out])) > 4, "a gap counts 16"
    assert trained.validation_error == pytest.approx(before.validation_error, rel=0.3)
    assert trained.column_mean_error == pytest.approx(before.column_mean_error, rel=0.3)


def test_fewer_rows_than_a_batch_are_all_used():
    rows = clean_rows(30)
    trained = train(rows, batch_size=4096, epochs=200, calibration=0.3, validation=0.3)

    require_finite(trained, rows)
    assert trained.history[-1].train_loss < 0.8 * trained.history[0].train_loss
    assert trained.n_fit + trained.n_validation + trained.n_calibration == 30


def test_a_last_batch_of_one_row_is_used():
    rows = clean_rows(300)
    n_fit = train(rows).n_fit
    trained = train(rows, batch_size=n_fit - 1)

    require_finite(trained, rows)


@pytest.mark.parametrize("memory", [10**8, 100])
def test_fewer_than_two_rows_raise_an_error(memory):
    for n in (0, 1):
        with pytest.raises(
            DataError, match=rf"{n} of {n} clean rows are in the fit split; at least 2 are needed"
        ):
            train(clean_rows(5)[:n], calibration=0.0, validation=0.0, memory=memory)


def test_two_rows_are_enough_without_calibration():
    rows = clean_rows(2)
    require_finite(train(rows, calibration=0.0, validation=0.0), rows)


def test_identical_rows_are_split_like_others():
    rows = np.repeat(clean_rows(1), 100, axis=0)
    trained = train(rows)

    require_finite(trained, rows)
    assert min(trained.n_fit, trained.n_validation, trained.n_calibration) > 0


def test_identical_rows_that_stay_together_raise_an_error():
    rows = np.repeat(clean_rows(1), 100, axis=0)
    with pytest.raises(
        DataError,
        match=r"(validation|calibration) split is empty|0 of 100 clean rows are in the fit split",
    ):
        train(rows, split="content")
    require_finite(train(rows, calibration=0.0, validation=0.0), rows)


def test_duplicates_stay_together_with_split_content():
    rows = np.repeat(clean_rows(100), 5, axis=0)
    trained = train(rows, split="content")

    require_finite(trained, rows)
    assert {trained.n_fit % 5, trained.n_validation % 5, trained.n_calibration % 5} == {0}


@pytest.mark.parametrize("scaling", SCALINGS)
def test_constant_columns_train_and_a_change_is_detected(scaling):
    rows = np.tile([3.0, 0.0, -7.0], (300, 1)) + np.zeros((300, 3))
    rows[:, 0] += np.arange(300) * 1e-9  # distinct rows, with negligible differences
    trained = train(rows, scaling=scaling, epochs=2)
    moved = rows[:3] + 5 * np.eye(3)[2]

    require_finite(trained, rows)
    assert np.isfinite(trained.model.errors(moved)).all()
    assert trained.model.errors(moved).max() < 1e8
    assert (
        not compare_to_column_means(trained).promote
        or trained.validation_error < trained.column_mean_error
    )


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("constant", [0.0, 1000.0, 1e-12])
def test_a_change_in_a_constant_column_is_named_without_a_huge_error(scaling, constant):
    rows = np.column_stack([clean_rows(), np.full(400, constant)])
    trained = train(rows, scaling=scaling)
    moved = rows[:20].copy()
    moved[:, 6] += 50.0

    require_finite(trained, rows)
    assert np.median(trained.model.errors(moved)) > np.median(trained.model.errors(rows))
    assert trained.model.errors(moved).max() < 1e7
    assert all(
        cause.features[0].name == "6" or "6" in cause.words
        for cause in explain(trained.model, trained.model.rebuild(moved))
    )


@pytest.mark.slow
def test_ten_thousand_columns_train():
    rows = np.random.default_rng(0).normal(size=(40, 10_000)).astype(np.float32)
    trained = train(rows, epochs=1, calibration=0.3, validation=0.4)

    require_finite(trained, rows)
    assert judge_challenger(trained, trained.model, lambda: [rows]).figures


def rows_with_gaps():
    rows = clean_rows()
    rows[np.random.default_rng(1).random(rows.shape) < 0.1] = np.nan
    return rows


@pytest.mark.parametrize("scaling", SCALINGS)
def test_rows_with_missing_values_train(scaling):
    rows = rows_with_gaps()
    trained = train(rows, scaling=scaling, epochs=20)

    require_finite(trained, rows)
    assert np.isfinite(trained.history[-1].train_loss)
    np.testing.assert_array_equal(np.isnan(trained.model.residuals(rows)), np.isnan(rows))


def test_an_empty_column_has_no_error_until_it_has_values():
    rows = clean_rows()
    rows[:, 2] = np.nan
    trained = train(rows)
    seen = rows[:5].copy()
    seen[:, 2] = 30.0

    require_finite(trained, rows)
    assert (trained.model.errors(seen) > trained.model.errors(rows[:5])).all()
    assert np.isfinite(trained.model.errors(seen)).all()


def test_the_gate_compares_rows_with_missing_values():
    rows, other = rows_with_gaps(), train(rows_with_gaps(), epochs=20, validation=0.2).model
    verdict = judge_challenger(
        train(rows, epochs=20, validation=0.2, seed=1), other, lambda: [rows]
    )

    assert verdict.figures
    assert all(np.isfinite(value) for value in verdict.figures.values())


def test_the_gate_compares_models_despite_rows_beyond_float32():
    rows = clean_rows(1000)
    champion = train(rows, validation=0.2).model
    challenger = train(rows, validation=0.2, seed=1, epochs=10)
    far = np.concatenate([rows, np.full((200, 6), 1e200) + np.arange(200)[:, None] * 1e190])

    verdict = judge_challenger(challenger, champion, lambda: [far])
    assert np.isfinite(verdict.figures["error"])
    assert "contaminated or have changed" in "; ".join(verdict.reasons)
