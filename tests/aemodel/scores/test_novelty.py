"""Novelty: anomalies that the reconstruction error alone misses."""

from __future__ import annotations

import numpy as np
import pytest
from blind import FAR, blind_model, clean_rows
from hypothesis import given, settings
from hypothesis import strategies as st

from aemodel.bundle import from_files, to_files
from aemodel.rows.layout import Layout
from aemodel.scores.coreset import coreset
from aemodel.scores.p_values import p_values
from aemodel.settings import ModelSettings, TrainSettings
from aemodel.training.loop import CleanRows, train_autoencoder


@pytest.fixture(scope="module")
def blind():
    return blind_model(clean_rows()).model


MODEL = {"latent": 2, "output": "identity", "loss": "mse", "scaling": "standard"}
TRAIN = {"epochs": 3, "calibration": 0.2, "validation": 0.2, "learning_rate": 3e-3}


def train(rows, *, model=None, **more):
    layout = Layout(row_shape=rows.shape[1:], dtype=rows.dtype.name)
    settings = ModelSettings(**{**MODEL, **(model or {})})
    chosen = TrainSettings(**{**TRAIN, **more})
    return train_autoencoder(
        CleanRows(lambda: [rows], layout, memory_bytes=10**8), model=settings, train=chosen
    ).model


@settings(max_examples=20)
@given(st.lists(st.integers(0, 199), min_size=1, max_size=200))
def test_the_novelty_of_a_row_does_not_depend_on_the_rows_around_it(blind, places):
    rows = np.concatenate([clean_rows(199, seed=1), FAR[None]])

    assert (blind.scores(rows[places])[1] == blind.scores(rows)[1][places]).all()


def test_novelty_finds_a_far_row_that_is_reconstructed_perfectly_and_the_error_does_not(blind):
    [error], [novelty], _ = blind.scores(FAR[None])

    assert p_values(blind.calibration, np.array([error]))[0] == 1.0
    assert novelty > 3 * blind.calibration_by("novelty")[-1]


def test_a_clean_row_has_a_novelty_of_about_one_in_any_units(blind):
    for scale in (1e-6, 1.0, 1e6):
        model = blind_model(scale * clean_rows()).model
        novelties = model.scores(scale * clean_rows(500, seed=1))[1]
        assert np.median(novelties) == pytest.approx(1, abs=0.15)


def test_p_values_of_novelty_are_uniform_among_fresh_clean_rows(blind):
    found = p_values(blind.calibration_by("novelty"), blind.scores(clean_rows(4000, seed=1))[1])

    for share in (0.05, 0.2, 0.5):
        assert (found <= share).mean() == pytest.approx(share, abs=0.06)


def test_an_overflowing_row_is_infinitely_novel_and_leaves_the_others_unchanged(blind):
    rows = np.repeat(clean_rows(1, seed=2), 5, axis=0)
    rows[1], rows[3] = 1e300, np.nan
    errors, novelties, _ = blind.scores(rows)

    assert np.isinf(errors[[1, 3]]).all()
    assert np.isinf(novelties[[1, 3]]).all()
    assert len({*novelties[::2]}) == 1
    assert np.isfinite(novelties[0])


def test_novelty_needs_no_calibration_rows():
    model = train(clean_rows(100), calibration=0)

    assert np.isfinite(model.scores(clean_rows(2))[1]).all()


def test_prototypes_cannot_reconstruct_far_rows_although_a_linear_network_can():
    mix = np.random.default_rng(1).normal(size=(2, 6))
    rows = np.random.default_rng(0).normal(size=(600, 2)) @ mix
    far = 30 * rows[np.linalg.norm(rows, axis=1) > 2][:50]
    prototypes = train(rows, model={"prototypes": 40}, epochs=20)
    linear = train(rows, model={"latent": 4, "activation": "elu", "prototypes": 0}, epochs=60)
    size = np.square(far / rows.std(axis=0)).mean(axis=1)

    assert (prototypes.errors(far) > 0.5 * size).all()
    assert np.median(linear.errors(far) / size) < np.median(prototypes.errors(far) / size)
    learned = prototypes.scaler.inverse(prototypes.members[0].decoder[2].weight.detach().numpy().T)
    assert np.abs(prototypes.reconstruct(far)).max() < 1.5 * np.abs(learned).max()


@pytest.mark.parametrize("rows", [2, 3, 5, 39])
def test_more_prototypes_than_rows_leave_scores_finite(rows):
    clean = clean_rows(rows, seed=4)
    model = train(clean, model={"prototypes": 40}, calibration=0, validation=0)

    assert all(np.isfinite(found).all() for found in model.scores(clean))


def test_a_constant_column_that_moves_is_novel_and_finite():
    rows = np.concatenate([clean_rows(400), np.full((400, 1), 7.0)], axis=1)
    model = train(rows)
    moved = rows[:20] + np.array([0, 0, 0, 30])

    assert (model.scores(moved)[1] > model.calibration_by("novelty")[-1]).all()
    assert np.isfinite(model.scores(moved)[1]).all()


def test_equal_rows_leave_novelty_finite():
    rows = np.tile(clean_rows(3), (40, 1))
    model = train(rows, calibration=0, validation=0)
    novelties = model.scores(np.concatenate([rows[:3], rows[:3] + 1]))[1]

    assert np.isfinite(novelties).all()
    assert novelties[3:].min() > 5 * novelties[:3].max()


def test_two_fit_rows_are_enough_even_if_half_of_them_are_trimmed():
    model = train(clean_rows(2), calibration=0, validation=0, trim=0.5)

    assert len(model.measured.reference.rows) == 2
    assert np.isfinite(from_files(to_files(model)).scores(clean_rows(5))[1]).all()


def test_a_coreset_covers_a_small_distant_cluster():
    crowd, corner = clean_rows(2000).astype(np.float32), 50 + clean_rows(3).astype(np.float32)
    places = coreset(np.concatenate([crowd, corner]), 20)

    assert (places[-1] >= 2000, len(places)) == (True, 20)
    assert (np.diff(places) > 0).all()


@given(st.integers(2, 30), st.integers(1, 40))
def test_a_coreset_contains_each_row_at_most_once_even_if_rows_are_equal(count, n):
    places = coreset(np.zeros((n, 2), np.float32), count)

    assert len(set(places.tolist())) == len(places) == min(n, count)


def test_novelty_and_coreset_do_not_change_their_input(blind):
    rows = np.concatenate([clean_rows(50), np.full((1, 3), np.nan)])
    kept = rows.copy()
    blind.scores(rows)
    coreset(rows.astype(np.float32)[:50], 3)

    assert rows.tobytes() == kept.tobytes()
