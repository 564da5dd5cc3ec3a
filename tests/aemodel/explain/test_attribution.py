"""Causes: the features that explain the score that ranks."""

from __future__ import annotations

import numpy as np
import pytest
from bench import rows_of
from blind import FAR, blind_model, clean_rows

from aemodel.explain.attribution import NOTHING, explain
from aemodel.rows.layout import Layout
from aemodel.settings import ModelSettings, TrainSettings
from aemodel.training.loop import CleanRows, train_autoencoder

NETWORK = ModelSettings(
    hidden=(16,), latent=2, activation="silu", output="identity", loss="mse", scaling="standard"
)
TRAINING = TrainSettings(epochs=30, batch_size=64, learning_rate=3e-3, calibration=0.2)
BOTH = pytest.mark.parametrize("by", ["error", "novelty"])


def trained_on(rows):
    layout = Layout(row_shape=(rows.shape[1],), dtype="float64", columns=tuple("abcdefgh"))
    clean = CleanRows(lambda: [rows], layout, memory_bytes=10**8)
    return train_autoencoder(clean, model=NETWORK, train=TRAINING).model


@pytest.fixture(scope="module")
def correlated():
    """A model of eight columns near a plane."""
    return trained_on(rows_of(1500, 0))


@pytest.fixture(scope="module")
def blind():
    return blind_model(clean_rows()).model


def causes(model, rows, by):
    return explain(model, model.rebuild(rows), by=by)


@BOTH
def test_the_column_that_is_off_is_named_first(correlated, by):
    rows, random = rows_of(300, 1), np.random.default_rng(2)
    columns = random.integers(0, 8, len(rows))
    rows[np.arange(len(rows)), columns] += 2 * random.choice([-1, 1], len(rows))
    found = [cause.features[0].name for cause in causes(correlated, rows, by)]

    assert np.mean([name == "abcdefgh"[at] for name, at in zip(found, columns, strict=True)]) > 0.9


def test_a_row_ranked_by_novelty_is_explained_by_its_distance_to_clean_rows(blind):
    [by_error] = causes(blind, FAR[None], "error")
    [by_novelty] = causes(blind, FAR[None], "novelty")
    first, second, _ = by_novelty.features

    assert by_error.words == NOTHING  # it is reconstructed without error
    assert {first.name, second.name} == {"feature 0", "feature 1"}
    assert max(abs(first.expected), abs(second.expected)) < np.abs(clean_rows()).max()
    assert by_novelty.words.count("% of the novelty)") == 2


def test_a_row_ranked_by_novelty_for_its_error_is_explained_by_its_reconstruction(blind):
    [cause] = causes(blind, np.array([[0.1, 0.1, 3.0]]), "novelty")

    assert cause.features[0].name == "feature 2"
    assert "above the " in cause.words


def test_a_relative_error_is_explained_by_the_error(correlated):
    rows = rows_of(20, 1) + 3 * np.eye(8)[2]

    assert causes(correlated, rows, "relative") == causes(correlated, rows, "error")


@BOTH
def test_a_value_equal_to_what_was_expected_is_never_named(by):
    random = np.random.default_rng(0)
    rows = (random.random((500, 8)) < 0.05).astype(float)
    rows[:, 0] += random.normal(size=500)
    model = trained_on(rows)
    odd = rows[:200].copy()
    odd[:, 0] += 9.0
    features = [each for cause in causes(model, odd, by) for each in cause.features]

    assert all(each.actual_text != each.expected_text for each in features)
    if by == "novelty":  # the nearest clean rows hold the same zeros
        named = [cause.words.split("; ") for cause in causes(model, odd, by)]
        assert np.mean([len(each) for each in named]) < 1.5


@BOTH
def test_a_missing_value_of_a_complete_column_is_named(correlated, by):
    rows = rows_of(5, 1)
    rows[:, 3] = np.nan

    for cause in causes(correlated, rows, by):
        assert cause.words.startswith("d is missing, never so in clean rows (")
        assert cause.features[0].actual_text == "missing"


@BOTH
def test_a_value_beyond_float32_is_named_first(correlated, by):
    rows = rows_of(3, 1)
    rows[:, 5] = [1e300, -np.inf, np.inf]

    assert [cause.features[0].name for cause in causes(correlated, rows, by)] == ["f"] * 3
    assert causes(correlated, rows, by)[1].words.startswith("f is -inf, below the ")
