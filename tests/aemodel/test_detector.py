"""The scikit-learn estimator: the estimator checks, unusual rows, and the bundle."""

from __future__ import annotations

import doctest
import pickle

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import RobustScaler
from sklearn.utils.estimator_checks import check_estimator

import aemodel.detector
from aemodel import AutoencoderDetector
from aemodel.bundle import to_files
from aemodel.errors import SettingsError
from aemodel.rows.layout import Layout
from aemodel.settings import SCORES, ModelSettings, TrainSettings
from aemodel.table_defaults import NOISE
from aemodel.training.loop import CleanRows, train_autoencoder

MAP = np.random.default_rng(99).normal(size=(2, 6))


def clean_rows(n=600, seed=0):
    random = np.random.default_rng(seed)
    return random.normal(size=(n, 2)) @ MAP + 0.05 * random.normal(size=(n, 6))


@pytest.fixture(scope="module")
def fitted():
    settings = {"latent": 2, "epochs": 30, "scaling": "minmax", "noise": NOISE}
    return AutoencoderDetector(**settings, by="error").fit(clean_rows())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:No row will be flagged as an outlier")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.parametrize("by", ["error", "novelty"])
def test_scikit_learn_estimator_checks_pass(by):
    results = check_estimator(AutoencoderDetector(epochs=2, by=by))

    assert {result["status"] for result in results} <= {"passed", "skipped"}
    assert not any(result["expected_to_fail"] for result in results)


def test_fitted_rows_of_a_small_table_are_as_novel_as_new_ones():
    rows = clean_rows(300)
    detector = AutoencoderDetector(epochs=5).fit(rows)
    fitted, new = detector.score_samples(rows), detector.score_samples(rows + 1e-9)

    assert fitted == pytest.approx(detector.score_samples(rows[::-1])[::-1])
    assert np.median(fitted) == pytest.approx(-1, abs=0.15)
    assert (fitted < new).mean() > 0.9  # a row beside it counts


def test_a_fitted_row_of_a_small_table_is_explained_by_the_others():
    rows = clean_rows(300)
    rows[7, 0] += 2 * np.ptp(rows[:, 0])
    detector = AutoencoderDetector(epochs=5).fit(rows)
    new, fitted = detector.explain(np.stack([rows[8] + 1e-9, rows[7]]))

    assert fitted.features[0].name == "feature 0"
    assert fitted.features[0].expected < np.sort(rows[:, 0])[-2]
    assert new == detector.explain(rows[8:9] + 1e-9)[0]


def test_the_docstring_example_runs():
    assert doctest.testmod(aemodel.detector).failed == 0


def test_defaults_match_what_init_proposes_for_a_table():
    with pytest.warns(UserWarning, match="No row will be flagged as an outlier"):
        model = AutoencoderDetector(rule="quantile 0.999", members=1).fit(clean_rows(50)).model_

    assert (model.settings.prototypes, model.settings.scaling, model.settings.latent) == (
        512,
        "minmax",
        6,
    )
    assert model.train_settings.epochs == 200, "one batch a pass"


def test_signs_follow_scikit_learn(fitted):
    rows = clean_rows(5, seed=1)
    rows[2, 3] += 20
    scores = fitted.score_samples(rows)

    assert np.argmin(scores) == 2
    assert fitted.predict(rows)[2] == -1
    np.testing.assert_array_equal(fitted.decision_function(rows), scores - fitted.offset_)
    np.testing.assert_array_equal(scores, -fitted.model_.errors(rows))


def test_the_promised_share_of_fresh_clean_rows_is_flagged():
    shares = [
        (
            AutoencoderDetector(epochs=1, calibration=0.5)
            .fit(clean_rows(400, seed))
            .predict(clean_rows(2000, 50 + seed))
            < 0
        ).mean()
        for seed in range(10)
    ]
    assert 0.02 < np.mean(shares) < 0.07
    # about 200 calibration rows each: the mean of ten has a standard error of 0.005


@pytest.mark.parametrize("n", [2, 10])
def test_too_few_rows_for_a_promise_fit_and_flag_nothing(n):
    rows = clean_rows(n)
    with pytest.warns(UserWarning, match="No row will be flagged as an outlier. Ranking only"):
        detector = AutoencoderDetector(epochs=2).fit(rows)

    assert (detector.predict(rows + 1e6) == 1).all()
    assert np.isfinite(detector.score_samples(rows)).all()


def test_one_row_is_refused_with_the_scikit_learn_message():
    with pytest.raises(
        ValueError, match=r"Found array with 1 sample.* while a minimum of 2 is required"
    ):
        AutoencoderDetector().fit(clean_rows(1))


@pytest.mark.filterwarnings("ignore:No row will be flagged as an outlier")
def test_duplicate_rows_and_constant_columns_fit():
    for rows in (
        np.repeat(clean_rows(1), 50, axis=0),
        np.repeat(clean_rows(20), 10, axis=0),
        np.full((50, 3), 7.0),
    ):
        detector = AutoencoderDetector(epochs=2, patience=1).fit(rows)
        assert np.isfinite(detector.score_samples(rows)).all()
        assert detector.score_samples(rows[:1] + 3) < detector.score_samples(rows[:1])


def test_the_same_seed_gives_the_same_scores_and_leaves_global_state_alone():
    rows = clean_rows(100)
    before = torch.get_rng_state()
    numpy_before = np.random.get_state()[1].copy()  # noqa: NPY002 # the test is about global state
    first, second, other = (
        AutoencoderDetector(epochs=2, random_state=seed).fit(rows).score_samples(rows)
        for seed in (3, 3, np.random.RandomState(3))
    )

    np.testing.assert_array_equal(first, second)
    assert (first != other).any()
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002


def test_a_bundle_restores_the_estimator(fitted):
    rows = clean_rows(50, seed=2)
    back = AutoencoderDetector.from_files(fitted.to_files())

    np.testing.assert_array_equal(back.predict(rows), fitted.predict(rows))
    assert back.to_files() == fitted.to_files()
    assert back.get_params() == fitted.get_params()
    with pytest.raises(
        ValueError, match="X has 4 features, but AutoencoderDetector is expecting 6"
    ):
        back.predict(rows[:, :4])


def test_an_image_bundle_scores_flat_rows():
    pictures = np.random.default_rng(0).integers(0, 255, (300, 4, 4)).astype(np.uint8)
    parts, layout = [pictures], Layout(row_shape=(4, 4), dtype="uint8")
    model = train_autoencoder(
        CleanRows(lambda: parts, layout, memory_bytes=10**6),
        model=ModelSettings(latent=4),
        train=TrainSettings(epochs=1),
    ).model
    detector = AutoencoderDetector.from_files(to_files(model))

    np.testing.assert_array_equal(
        detector.score_samples(pictures.reshape(300, 16)), -model.errors(pictures)
    )
    assert AutoencoderDetector.from_files(detector.to_files()).offset_ == detector.offset_


def test_a_bundle_restores_the_rule():
    rows = clean_rows()
    strict = AutoencoderDetector(epochs=2, rule="quantile 0.99").fit(rows)

    assert AutoencoderDetector.from_files(strict.to_files()).offset_ == strict.offset_


def test_it_works_in_a_pipeline_and_can_be_pickled(fitted):
    rows = clean_rows()
    pipeline = make_pipeline(RobustScaler(), AutoencoderDetector(epochs=2, scaling="none"))

    assert set(pipeline.fit(rows).predict(rows)) == {-1, 1}
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(fitted)).predict(rows), fitted.predict(rows)
    )


@pytest.mark.parametrize("by", ["novelty", "relative"])
def test_scores_and_ensembles_are_set_by_parameters(by):
    rows = clean_rows()
    detector = AutoencoderDetector(epochs=2, by=by, members=2, trim=0.1).fit(rows)
    back = AutoencoderDetector.from_files(detector.to_files())

    assert set(detector.predict(rows)) == {-1, 1}
    assert (back.by, back.members, back.offset_) == (by, 2, detector.offset_)
    np.testing.assert_array_equal(
        back.score_samples(rows), -detector.model_.scores(rows)[SCORES.index(by)]
    )
    with pytest.raises(SettingsError, match="by must be one of error, novelty, relative"):
        AutoencoderDetector(by="distance").fit(rows)


@pytest.mark.parametrize("rule", ["fdr 0.1", "top"])
def test_rules_over_whole_nights_are_refused(rule):
    with pytest.raises(SettingsError, match="rule must flag each row by its own score"):
        AutoencoderDetector(epochs=1, rule=rule).fit(clean_rows(50))


@pytest.mark.parametrize("rule", ["fdr 0.1", "quantil 0.9"])
def test_a_wrong_rule_is_refused_before_training(monkeypatch, rule):
    def train(*_, **__):
        raise AssertionError("trained")

    monkeypatch.setattr(aemodel.detector, "train_autoencoder", train)
    with pytest.raises(SettingsError, match="rule must"):
        AutoencoderDetector(rule=rule).fit(clean_rows(50))


@pytest.mark.parametrize("shape", [(8, 8), (8, 6, 3), (40, 2)])
def test_convolutions_take_images_and_signals_in_their_own_shape(shape):
    rows = np.random.default_rng(0).normal(size=(200, *shape))
    settings = {"network": "conv", "prototypes": 0, "hidden": (), "latent": 3, "by": "error"}
    detector = AutoencoderDetector(**settings, epochs=2, members=1).fit(rows)
    back = AutoencoderDetector.from_files(detector.to_files())
    scores = detector.score_samples(rows)

    assert detector.model_.layout.row_shape == shape
    np.testing.assert_array_equal(back.score_samples(rows), scores)
    np.testing.assert_array_equal(detector.score_samples(rows.reshape(200, -1)), scores)
    with pytest.raises(ValueError, match=r"X must have rows of the shape .* Got an array of"):
        detector.predict(rows[:, 1:])


def test_convolutions_say_what_shape_of_rows_they_need():
    settings = {"network": "conv", "prototypes": 0, "hidden": ()}
    with pytest.raises(SettingsError, match=r"needs rows \(height, width\), .* Got rows of the"):
        AutoencoderDetector(**settings).fit(np.ones((20, 2, 2)))


def test_predict_before_fit_raises_not_fitted_error():
    with pytest.raises(NotFittedError):
        AutoencoderDetector().predict(clean_rows(3))


def test_fit_names_columns_whose_differences_float64_loses():
    rows = np.column_stack([clean_rows(400)[:, :2], 2.0**60 + 256 * (np.arange(400) % 3)])
    detector = AutoencoderDetector(epochs=2, rule="quantile 0.9")

    with pytest.warns(UserWarning, match="'feature 2' .equal up to the rounding of float64"):
        detector.fit(rows)
