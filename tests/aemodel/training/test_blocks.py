"""Training with whole blocks (files, days) held out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aemodel.bundle import from_files, to_files
from aemodel.errors import BundleError
from aemodel.rows.blocks import CleanBlocks, split_blocks
from aemodel.rows.layout import Layout
from aemodel.settings import SCORES, ModelSettings, TrainSettings
from aemodel.training.block_novelty import reference_owners
from aemodel.training.loop import CleanRows, fit_autoencoder, train_autoencoder
from aemodel.training.measure import measure_model
from aemodel.training.promotion_gate import judge_challenger, sample_clean_rows

DAY = 60
WEIGHTS = np.random.default_rng(1).normal(size=(2, 5))

MODEL = ModelSettings(
    hidden=(8,), latent=2, activation="silu", output="identity", loss="mse", scaling="standard"
)


def days_of(count):
    """Rows (count * DAY, 5); the last column is the day, a hundredth of its number."""
    random = np.random.default_rng(0)
    rows = random.normal(size=(count * DAY, 2)) @ WEIGHTS
    rows[:, -1] = np.repeat(np.arange(count), DAY) / 100
    return rows


def blocks_of(count):
    names = tuple(map(str, range(count)))
    return CleanBlocks("days", names, lambda start, stop: np.arange(start, stop) // DAY)


def train(count, *, blocks=True, **settings):
    rows = days_of(count)
    clean = CleanRows(
        lambda: np.array_split(rows, 7),
        Layout(row_shape=(5,), dtype="float64"),
        10**8,
        blocks=blocks_of(count) if blocks else None,
    )
    chosen = TrainSettings(**{"split": "blocks", "calibration": 0.3, "epochs": 2} | settings)
    return train_autoencoder(clean, model=MODEL, train=chosen)


def test_no_day_of_a_calibration_row_is_fitted():
    trained = train(20)
    cuts, positions = trained.model.measured.blocks.cuts, blocks_of(20).positions
    reference = set((100 * trained.model.measured.reference.rows[:, -1]).round().astype(int))

    assert (trained.n_fit, trained.n_calibration) == (12 * DAY, 6 * DAY)
    assert reference == set(np.flatnonzero(positions >= cuts[1]))


def test_each_calibration_score_knows_its_day():
    model, rows = train(20).model, days_of(20)
    for place, name in enumerate(SCORES):
        blocks, calibration = model.blocks_by(name), model.calibration_by(name)
        for day in np.unique(blocks.members):
            of_day = np.sort(model.scores(rows[day * DAY : (day + 1) * DAY])[place])
            np.testing.assert_allclose(calibration[blocks.members == day], of_day)


def test_held_out_days_are_compared_and_so_are_those_of_calibration_rows():
    held_out, fitted = train(20).model, train(20, split="occurrence", calibration=0.5).model

    np.testing.assert_array_equal(held_out.measured.blocks.rows, [DAY] * 8)
    assert len(fitted.measured.blocks.rows) > 15
    assert held_out.blocks_by("error").held_out
    assert not fitted.blocks_by("error").held_out


@pytest.mark.parametrize("settings", [{}, {"split": "occurrence"}, {"calibration": 0.0}])
def test_a_bundle_keeps_what_was_measured_on_blocks(settings):
    model = train(12, **settings).model
    found = from_files(to_files(model))
    for name in SCORES:
        kept, expected = found.blocks_by(name), model.blocks_by(name)
        if expected is None:
            assert kept is None
            continue
        assert kept.kind == "days"
        np.testing.assert_array_equal(kept.shares, expected.shares)
        np.testing.assert_array_equal(kept.members, expected.members)


def test_a_bundle_with_blocks_of_another_shape_is_refused():
    model = train(12).model
    broken = replace(model.measured.blocks, members=model.measured.blocks.members[:, 1:])
    files = to_files(replace(model, measured=replace(model.measured, blocks=broken)))

    with pytest.raises(BundleError, match=r"blocks\.members has the shape"):
        from_files(files)


def test_a_model_of_one_file_stores_nothing_about_blocks():
    plain = train(12, blocks=False, split="occurrence").model

    assert plain.blocks_by("error") is None
    assert b"blocks" not in to_files(plain)["model.safetensors"][:2000]


def test_the_gate_compares_days_that_neither_model_was_fitted_on():
    champion, challenger = train(20).model, train(20, seed=1).model
    sample = sample_clean_rows(challenger, champion, lambda: [days_of(20)], blocks_of(20))
    split = split_blocks(blocks_of(20), challenger.train_settings)
    middle = (split.blocks.positions >= split.cuts[0]) & (split.blocks.positions < split.cuts[1])

    days = set((100 * sample.unseen[:, -1]).round().astype(int))
    assert days == set(np.flatnonzero(middle))


def test_the_gate_trusts_no_row_if_the_champions_days_are_unknown():
    champion, challenger = train(20).model, train(20, split="occurrence")
    verdict = judge_challenger(challenger, champion, lambda: [days_of(20)])

    assert not verdict.promote
    assert "only 0 rows that neither model was fitted on" in verdict.reasons[0]


@pytest.mark.parametrize("other", ["by another column", "files"])
def test_the_gate_trusts_no_row_if_the_champion_held_out_other_blocks(other):
    champion, challenger = train(20).model, train(20, seed=1).model
    if other == "files":
        champion = replace(champion, facts={**champion.facts, "blocks": "files"})
    else:
        settings = replace(champion.train_settings, blocks="another")
        champion = replace(champion, train_settings=settings)
    sample = sample_clean_rows(challenger, champion, lambda: [days_of(20)], blocks_of(20))

    assert len(sample.unseen) == 0


def offset_days(random, count):
    """Days whose rows lie around another point each."""
    rows = random.normal(size=(count * DAY, 2)) @ WEIGHTS
    return rows + np.repeat(random.normal(size=(count, 5)), DAY, axis=0)


def test_novelty_of_fitted_days_is_compared_as_if_they_were_new():
    random = np.random.default_rng(0)
    rows = offset_days(random, 12)
    clean = CleanRows(
        lambda: [rows], Layout(row_shape=(5,), dtype="float64"), 10**8, blocks=blocks_of(12)
    )
    settings = TrainSettings(epochs=2, calibration=0.5)
    model = train_autoencoder(clean, model=MODEL, train=settings).model
    blocks, calibration = model.blocks_by("novelty"), model.calibration_by("novelty")
    night = model.scores(offset_days(random, 40))[1]

    assert np.median(calibration) < np.median(blocks.quantiles[:, 2])
    assert np.median(blocks.quantiles[:, 2]) == pytest.approx(np.median(night), rel=0.15)
    assert blocks.differ(calibration)


def test_days_that_are_alike_do_not_differ_for_lack_of_each_others_reference_rows():
    random = np.random.default_rng(0)
    rows = np.c_[random.integers(0, 300, 7 * 600), random.integers(0, 6, 7 * 600)].astype(float)
    clean = CleanRows(
        lambda: [rows],
        Layout(row_shape=(2,), dtype="float64"),
        10**8,
        blocks=replace(blocks_of(7), numbers=lambda start, stop: np.arange(start, stop) // 600),
    )
    settings = TrainSettings(epochs=2, calibration=0.5)
    model = train_autoencoder(clean, model=MODEL, train=settings).model

    assert not model.blocks_by("novelty").differ(model.calibration_by("novelty"))


def test_known_rows_of_a_small_table_do_not_count_for_their_own_day():
    clean = CleanRows(
        lambda: [days_of(20)], Layout(row_shape=(5,), dtype="float64"), 10**8, blocks=blocks_of(20)
    )
    fitted, rows, history = fit_autoencoder(clean, model=MODEL, train=TrainSettings(epochs=1))
    model = measure_model(fitted, rows, history=history).model
    days = (100 * model.measured.reference.rows[:, -1]).round()

    assert len(days) == 20 * DAY
    np.testing.assert_array_equal(reference_owners(model, rows), days)
