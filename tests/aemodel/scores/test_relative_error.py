"""Relative error: its definition, what it finds, and that its p-values are uniform."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from aemodel.bundle import from_files, to_files
from aemodel.model import Autoencoder
from aemodel.rows.layout import Layout
from aemodel.scores.p_values import p_values
from aemodel.scores.relative_error import energies, relative_errors, usual_error
from aemodel.settings import ModelSettings, TrainSettings
from aemodel.training.loop import CleanRows, train_autoencoder

SIDE = np.random.default_rng(7).random((2, 8))


def clean_rows(n: int = 3000, seed: int = 0) -> np.ndarray:
    """Rows (n, 8) of two latents and very different energy; noise grows with the energy."""
    random = np.random.default_rng(seed)
    bright = random.uniform(0.02, 1, (n, 1)) * (random.random((n, 2)) @ SIDE)
    return np.clip(bright * (1 + 0.05 * random.normal(size=bright.shape)), 0, None)


def fit(rows: np.ndarray, *, calibration: float = 0.2, validation: float = 0.1) -> Autoencoder:
    model = ModelSettings(latent=2, activation="elu", output="identity", loss="mse", scaling="none")
    shares = {"calibration": calibration, "validation": validation}
    train = TrainSettings(epochs=20, batch_size=64, learning_rate=0.01, **shares)
    layout = Layout(row_shape=rows.shape[1:], dtype=rows.dtype.name)
    return train_autoencoder(
        CleanRows(lambda: [rows], layout, memory_bytes=10**7), model=model, train=train
    ).model


@pytest.fixture(scope="module")
def model() -> Autoencoder:
    return fit(clean_rows())


@pytest.mark.parametrize(("power", "slope"), [(0.5, 0.5), (-1.0, 0.0), (2.0, 1.0)])
def test_the_usual_error_is_a_power_of_the_energy_with_an_exponent_from_0_to_1(power, slope):
    rows = torch.from_numpy(np.random.default_rng(0).random((500, 9), np.float32))
    floor = 0.05 * energies(rows).median()
    errors = 0.3 * (energies(rows) + floor) ** power
    usual = usual_error(rows, errors)

    np.testing.assert_allclose(usual[:2], [floor, slope], rtol=1e-9, atol=1e-9)
    if power == slope:
        np.testing.assert_allclose(relative_errors(rows, errors, usual), 1)


def test_a_faint_row_with_a_larger_error_than_other_faint_rows_is_found(model):
    faint = np.where(np.arange(8) == 3, 0.3, 0.0)[None]
    [error], _, [relative] = model.scores(faint)

    assert error < model.calibration_by("error")[-1]
    assert relative > 2 * model.calibration_by("relative")[-1]


def test_a_clean_row_has_a_relative_error_of_about_one(model):
    assert 0.5 < np.median(model.scores_by("relative", clean_rows(500, seed=1))) < 2


def test_p_values_of_the_relative_error_are_uniform_among_fresh_clean_rows(model):
    fresh = model.scores_by("relative", clean_rows(4000, seed=1))
    found = p_values(model.calibration_by("relative"), fresh)

    # With so few calibration rows, 5 % of calibration sets exceed 0.06.
    assert kstest(found, "uniform").statistic < 0.08


def test_a_bundle_keeps_the_relative_error(model):
    rows = clean_rows(50, seed=2)
    back = from_files(to_files(model))

    assert (back.scores_by("relative", rows) == model.scores_by("relative", rows)).all()
    assert (back.calibration_by("relative") == model.calibration_by("relative")).all()


@pytest.mark.parametrize("rows", [np.zeros((300, 4)), np.ones((300, 4))])
def test_equal_rows_leave_the_relative_error_finite(rows):
    model = fit(rows, calibration=0, validation=0)
    found = model.scores_by("relative", np.concatenate([rows[:2], rows[:2] + 1]))

    assert np.isfinite(found).all()


def test_a_row_with_a_gap_has_a_finite_score_and_an_overflowing_or_empty_row_an_infinite_one():
    gaps = np.random.default_rng(3).random((500, 8)) < 0.1
    model = fit(np.where(gaps, np.nan, clean_rows(500)))
    rows = np.array([[np.nan, *[0.1] * 7], [1e300] * 8, [np.nan] * 8])
    found = model.scores_by("relative", rows)

    assert np.isfinite(found[0])
    assert np.isposinf(found[1:]).all()
