"""fit_predict with trim: every row is judged by models that were not fitted on it."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from aemodel import AutoencoderDetector
from aemodel.errors import DataError
from aemodel.rows.layout import Layout
from aemodel.settings import ModelSettings, TrainSettings
from aemodel.training.cross_fit import cross_fit
from aemodel.training.loop import CleanRows

FAST = {"epochs": 15, "members": 1, "prototypes": 64}


def contaminated(n=480, bad=20):
    random = np.random.default_rng(0)
    rows = random.normal(size=(n + bad, 4))
    rows[:bad] = [2.5, -2.5, 2.5, -2.5] + 0.01 * rows[:bad]
    return rows, np.arange(n + bad) < bad


def test_fit_predict_finds_a_tight_group_among_the_rows_it_is_given():
    rows, bad = contaminated()
    detector = AutoencoderDetector(trim=0.05, **FAST)
    found = detector.fit_predict(rows)

    assert (found[bad] == -1).all()
    assert (found == -1).mean() <= 0.05
    assert roc_auc_score(bad, -detector.out_of_fold_scores_) > 0.97


def test_scores_do_not_depend_on_the_order_of_a_row_s_copies():
    rows, _ = contaminated()
    rows = np.concatenate([rows, rows[:40]])
    detector = AutoencoderDetector(trim=0.1, **FAST)
    detector.fit_predict(rows)

    assert detector.out_of_fold_scores_[:40].tolist() == detector.out_of_fold_scores_[500:].tolist()


def test_without_trim_fit_predict_is_fit_and_predict():
    rows, _ = contaminated()
    detector = AutoencoderDetector(**FAST)

    assert detector.fit_predict(rows).tolist() == detector.fit(rows).predict(rows).tolist()
    assert not hasattr(detector, "out_of_fold_scores_")


@pytest.mark.parametrize("n", [12, 40])
def test_few_rows_are_judged_too(n):
    rows = np.random.default_rng(2).normal(size=(n, 3))
    detector = AutoencoderDetector(trim=0.1, rule="absolute 3", **FAST)

    assert set(detector.fit_predict(rows)) <= {-1, 1}
    assert np.isfinite(detector.out_of_fold_scores_).all()


def test_rows_that_are_all_copies_of_one_are_refused_with_the_reason():
    rows = np.ones((100, 3))
    clean = CleanRows(lambda: [rows], Layout(row_shape=(3,), dtype="float64"), 10_000_000)
    model = ModelSettings(hidden=(), latent=1, output="identity", loss="mse", scaling="standard")

    with pytest.raises(DataError, match="rows other than those it scores and their copies"):
        cross_fit(clean, model=model, train=TrainSettings(epochs=1))
