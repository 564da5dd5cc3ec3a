"""Clean data as they come: repeated rows, gaps, broken values, constants, sorted files."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from aemodel.bundle import from_files, to_files
from aemodel.decisions.drift import find_drift
from aemodel.decisions.ranking import Tally
from aemodel.decisions.rules import decide_beforehand, parse_rule
from aemodel.network.gaps import GapFiller
from aemodel.rows.layout import Layout
from aemodel.rows.scaler_fit import ScalerFit
from aemodel.settings import SCORES, ModelSettings, TrainSettings
from aemodel.table_defaults import BATCH, HIDDEN, LEARNING_RATE, NOISE, PROTOTYPES
from aemodel.training.loop import CleanRows, train_autoencoder

WEIGHTS = np.random.default_rng(1).normal(size=(2, 5))


def sensors(random, n):
    return random.normal(size=(n, 2)) @ WEIGHTS + 0.05 * random.normal(size=(n, 5))


def train(rows, *, scaling="minmax", memory=10**8, shuffled=None, **settings):
    model = ModelSettings(
        hidden=(16,), latent=3, activation="silu", output="identity", loss="mse", scaling=scaling
    )
    return train_model(rows, model, memory=memory, shuffled=shuffled, **settings)


def train_model(rows, model, *, memory=10**8, shuffled=None, **settings):
    chosen = TrainSettings(
        **{"epochs": 15, "learning_rate": 3e-3, "batch_size": 64, "calibration": 0.2} | settings
    )
    layout = Layout(row_shape=rows.shape[1:], dtype=rows.dtype.name)
    clean = CleanRows(lambda: [rows], layout, memory, shuffled)
    return train_autoencoder(clean, model=model, train=chosen)


def half_idle(random, n):
    rows = sensors(random, n)
    rows[random.random(n) < 0.5] = 0.0
    return rows


def counts(random, n):
    return random.poisson(2, (n, 4)).astype(np.int64)


def flags(random, n):
    return (random.random((n, 8)) < 0.2).astype(np.uint8)


def ratings(random, n):
    return random.integers(1, 6, (n, 4)).astype(np.int64)


@pytest.mark.parametrize("table", [half_idle, counts, flags, ratings])
def test_clean_nights_of_repeated_rows_keep_the_promise_and_do_not_drift(table):
    random = np.random.default_rng(3)
    model = train(table(random, 6000), epochs=5).model
    night = model.scores(table(random, 6000))
    for name, scores in zip(SCORES, night, strict=True):
        calibration = model.calibration_by(name)
        cut = decide_beforehand(parse_rule("quantile 0.99"), calibration).cut
        drift = find_drift(calibration, Tally.of(calibration, scores))
        # one calibration set of 1,200 rows: three standard errors above 1 %
        assert (scores > cut.score).mean() <= 0.01 + 3 * np.sqrt(0.01 * 0.99 / 1200 * 1.2), name
        assert not (drift and drift.alarm), name


def test_the_most_ordinary_state_is_not_novel():
    random = np.random.default_rng(3)
    model = train(half_idle(random, 4000)).model
    _, [idle], _ = model.scores(np.zeros((1, 5)))

    assert idle < np.median(model.calibration_by("novelty"))


def test_an_idle_machine_is_flagged_by_no_score():
    random = np.random.default_rng(3)
    model = train(half_idle(random, 4000)).model
    for name, [idle] in zip(SCORES, model.scores(np.zeros((1, 5))), strict=True):
        cut = decide_beforehand(parse_rule("quantile 0.99"), model.calibration_by(name)).cut
        assert idle <= cut.score, name


def observed_error(model, rows):
    """Mean squared error of the last column, where it is observed, over its variance."""
    residuals = rows[:, -1] - model.reconstruct(rows)[:, -1]
    return np.nanmean(residuals**2) / np.nanvar(rows[:, -1])


def with_gaps(random, rows, share=0.7):
    """Rows with gaps in the last column."""
    gappy = rows.copy()
    gappy[random.random(len(rows)) < share, -1] = np.nan
    return gappy


@pytest.mark.slow
@pytest.mark.parametrize("network", ["plain", "prototypes"])
def test_a_column_with_gaps_is_rebuilt_as_well_as_without(network):
    random = np.random.default_rng(0)
    whole, night = sensors(random, 5000), sensors(random, 1000)
    shape, steps = {"hidden": (16,), "latent": 3, "scaling": "standard"}, {"epochs": 40}
    if network == "prototypes":
        shape = {"hidden": HIDDEN, "latent": 5, "prototypes": PROTOTYPES, "noise": NOISE}
        shape["scaling"] = "minmax"
        steps = {"epochs": 15, "batch_size": BATCH, "learning_rate": LEARNING_RATE}
    model = ModelSettings(**shape, activation="silu", output="identity", loss="mse")
    gappy, found = (
        observed_error(train_model(rows, model, **steps).model, night)
        for rows in (with_gaps(random, whole), whole)
    )

    assert gappy < 1.2 * found  # with the median in place of gaps: twice as much or more


def circle(random, n):
    angle = 2 * np.pi * random.random(n)
    rows = np.c_[np.cos(angle), np.sin(angle), np.cos(2 * angle)]
    return rows + 0.02 * random.normal(size=(n, 3))


@pytest.fixture(scope="module")
def of_gaps():
    """A model of rows on a circle with gaps in the last column."""
    random = np.random.default_rng(0)
    rows = with_gaps(random, circle(random, 3000))
    return train(rows, scaling="standard", epochs=20).model


def test_rows_with_usual_gaps_have_errors_like_others(of_gaps):
    night = circle(np.random.default_rng(1), 1000)
    gappy = night.copy()
    gappy[:, -1] = np.nan
    usual, lacking = (np.median(of_gaps.errors(rows)) for rows in (night, gappy))

    assert lacking < 1.5 * usual  # 16 with the median in place of gaps


def test_rows_with_gaps_have_the_same_scores_in_any_group_and_from_the_bundle(of_gaps):
    random = np.random.default_rng(1)
    night = with_gaps(random, circle(random, 200), 0.5)
    whole = of_gaps.scores(night)
    loaded = from_files(to_files(of_gaps))

    for scores, again, alone in zip(
        whole, loaded.scores(night), of_gaps.scores(night[70:71]), strict=True
    ):
        assert (scores == again).all()
        assert scores[70] == alone[0]


def filler_of(rows):
    fit = ScalerFit("none", Layout(row_shape=rows.shape[1:], dtype="float64"))
    fit.update(rows)
    return GapFiller.of(fit.finish(), None, "cpu")


def test_a_gap_is_filled_from_the_rows_that_are_most_similar_where_both_have_values():
    nan = np.nan
    donors = np.array([[0.0, nan, 5.0], [0.1, 7.0, nan], [9.0, 8.0, 5.0], [9.1, 8.0, 5.0]])
    filler = filler_of(donors)
    rows = torch.tensor([[0.05, nan, 5.0], [8.9, nan, nan]])
    found = filler(rows.nan_to_num(), filler.gaps(rows))

    np.testing.assert_allclose(found.numpy(), [[0.05, 7.0, 5.0], [8.9, 8.0, 5.0]], rtol=1e-4)


def test_only_columns_with_gaps_in_the_fit_rows_are_filled():
    random = np.random.default_rng(0)
    filler = filler_of(with_gaps(random, circle(random, 50)))
    gaps = filler.gaps(torch.full((1, 3), torch.nan))

    assert gaps.tolist() == [[False, False, True]]
    assert filler.weights[:2].tolist() == [1, 1]
    assert filler.weights[2] > 2
    assert filler_of(circle(random, 50)) is None


@pytest.mark.parametrize("scaling", ["minmax", "standard", "robust"])
def test_one_broken_value_among_thousands_does_not_blind_its_column(scaling):
    random = np.random.default_rng(0)
    clean, night = sensors(random, 3000), sensors(random, 300)
    clean[[11, 500, 900], 2] = 1e6
    night[7, 2] += 60
    trained = train(clean, scaling=scaling)
    errors = trained.model.errors(night)

    assert errors.argmax() == 7
    assert errors[7] > np.sort(trained.model.calibration)[-2]
    assert [each.column for each in trained.far_values] == [2]
    assert trained.validation_error < 1


def test_a_constant_column_that_changes_is_found_in_any_unit():
    random = np.random.default_rng(0)
    for unit in (1.0, 1000.0):
        rows = np.c_[sensors(random, 2000), np.full(2000, 2.0 * unit)]
        model = train(rows, scaling="standard").model
        changed = rows[:1].copy()
        changed[0, -1] = 2.05 * unit
        for name, [score] in zip(SCORES, model.scores(changed), strict=True):
            assert score > model.calibration_by(name)[-1], (unit, name)


def test_without_validation_rows_reference_rows_do_not_match_themselves():
    random = np.random.default_rng(0)
    rows = sensors(random, 1500)
    with_rows, without = (train(rows, validation=share).model for share in (0.2, 0.0))
    floors = [model.measured.reference.floor[0] for model in (with_rows, without)]
    typical = np.median(without.scores(sensors(random, 500))[1])

    assert floors[1] == pytest.approx(floors[0], rel=0.5)
    assert typical == pytest.approx(1.0, rel=0.5)


def test_a_model_of_integers_scores_rows_with_gaps_by_what_was_observed():
    random = np.random.default_rng(0)
    model = train(counts(random, 2000)).model
    gappy = counts(random, 50).astype(np.float64)
    gappy[3, 1] = np.nan

    assert all(np.isfinite(scores).all() for scores in model.scores(gappy))


def test_a_value_that_is_never_missing_in_clean_rows_is_evidence_where_it_is():
    random = np.random.default_rng(0)
    clean, night = sensors(random, 3000), sensors(random, 200)
    clean[random.random(3000) < 0.3, 0] = np.nan
    model = train(clean, scaling="standard").model
    usual, unusual = night.copy(), night.copy()
    usual[:, 0], unusual[:, 4] = np.nan, np.nan
    cut = np.quantile(model.calibration, 0.99)

    assert (model.errors(usual) > cut).mean() < 0.1
    assert (model.errors(unusual) > cut).all()


def test_a_sorted_file_streams_in_another_random_order_in_every_epoch():
    random, seeds, read = np.random.default_rng(0), [], []
    rows = np.concatenate([sensors(random, 2000), 3 + sensors(random, 2000)[:, ::-1]])

    def shuffled(seed):
        seeds.append(seed)
        for piece in np.random.default_rng(seed).permutation(40):
            yield 100 * piece, rows[100 * piece : 100 * piece + 100]
            read.append(piece)

    train(rows, memory=40_000, shuffled=shuffled, epochs=4)

    assert len({*seeds}) == 4
    assert sorted(read) == sorted(4 * [*range(40)])
