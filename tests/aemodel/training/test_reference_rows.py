"""Which clean rows novelty compares with."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from blind import clean_rows

from aemodel.bundle import from_files, to_files
from aemodel.rows.layout import Layout
from aemodel.scores.novelty import Novelty, Reference
from aemodel.scores.pairs import pair_surprises
from aemodel.settings import ModelSettings, TrainSettings
from aemodel.training import reference_rows
from aemodel.training.loop import CleanRows, train_autoencoder
from aemodel.training.reference_rows import judge_of_changed_validation, judge_of_validation


def train(rows, **more):
    layout = Layout(row_shape=rows.shape[1:], dtype=rows.dtype.name)
    settings = TrainSettings(**{"epochs": 2, "calibration": 0.2, "validation": 0.2, **more})
    return train_autoencoder(
        CleanRows(lambda: [rows], layout, memory_bytes=10**8),
        model=ModelSettings(latent=2, output="identity", loss="mse", scaling="standard"),
        train=settings,
    )


def kept(trained):
    return len(trained.model.measured.reference.rows)


def test_a_small_table_is_compared_with_all_of_its_rows():
    trained = train(clean_rows(400))
    held_out = from_files(to_files(trained.model)).measured.reference.held_out
    assert kept(trained) == 400
    assert held_out.sum() == trained.n_validation + trained.n_calibration


@pytest.mark.parametrize(
    ("rows", "settings"),
    [
        (clean_rows(2_400), {}),
        (clean_rows(400).round(), {}),
        (clean_rows(400), {"trim": 0.05}),
    ],
    ids=["too many", "repeated", "some left out"],
)
def test_calibration_rows_stay_apart(rows, settings):
    trained = train(rows, **settings)
    held_out = trained.model.measured.reference.held_out.sum()
    assert 0.8 * trained.n_validation < held_out <= trained.n_validation
    assert np.isin(trained.model.measured.novelty_calibration, trained.model.scores(rows)[1]).all()


@pytest.mark.parametrize("split", ["occurrence", "content"])
@pytest.mark.parametrize("decimals", [1, 9])
def test_calibration_rows_of_a_small_table_are_as_novel_as_fresh_ones(split, decimals):
    shares = []
    for seed in range(5):
        model = train(clean_rows(400, seed=seed).round(decimals), split=split).model
        fresh = model.scores(clean_rows(2_000, seed=100).round(decimals))[1]
        shares.append((fresh > np.quantile(model.measured.novelty_calibration, 0.8)).mean())
    assert np.mean(shares) == pytest.approx(0.2, abs=0.05)


@pytest.mark.parametrize("trim", [0, 0.05])
def test_a_large_table_is_compared_with_fit_rows_only(trim):
    trained = train(clean_rows(4_000), trim=trim)
    assert kept(trained) <= min(trained.n_fit, 2_000)
    assert not trained.model.measured.reference.held_out.any()
    assert judge_of_validation(trained.model) is trained.model


@pytest.mark.parametrize("trim", [0, 0.05])
def test_validation_rows_count_towards_the_bytes_of_the_reference(monkeypatch, trim):
    rows = clean_rows(400)
    monkeypatch.setattr(reference_rows, "REFERENCE_BYTES", 100 * rows[:1].nbytes)
    trained = train(rows, trim=trim)
    assert kept(trained) <= 100
    assert trained.model.measured.reference.held_out.any()


@pytest.mark.parametrize("split", ["occurrence", "content"])
def test_a_fresh_row_of_a_small_table_has_a_novelty_of_about_one(split):
    model = train(clean_rows(400), split=split).model
    assert np.median(model.scores(clean_rows(500, seed=1))[1]) == pytest.approx(1, abs=0.15)


def test_known_rows_are_as_novel_as_fresh_ones_once_they_are_compared_with_all_others():
    rows = clean_rows(400)
    model = train(rows).model
    fresh = np.median(model.scores(clean_rows(2_000, seed=1))[1])
    known = model.measured.reference.rows
    assert np.median(model.scores(known)[1]) < 0.8 * fresh
    assert np.median(judge_of_validation(model).scores(known)[1]) == pytest.approx(fresh, rel=0.1)


def test_rows_made_of_validation_rows_are_compared_with_fit_rows_only():
    trained = train(np.concatenate([clean_rows(200)] * 2))  # every row twice
    reference = judge_of_changed_validation(trained.model).measured.reference
    assert reference.copies.sum() == trained.n_fit
    assert reference.copies.min() == 1
    assert not reference.held_out.any()


def novelty_of(copies, itself, points):
    reference = Reference(
        rows=points,
        copies=np.array(copies),
        held_out=np.zeros(len(copies), np.int64),
        floor=np.array([0.1, 0.1]),
        typical=np.zeros(2),
        itself=itself,
    )
    return Novelty(reference, torch.from_numpy(points))


def expected(copies, itself, points):
    """What novelty expects of the first point, if it is a clean row that occurs so often."""
    return novelty_of(copies, itself, points).expected(torch.from_numpy(points[:1])).numpy()


@pytest.mark.parametrize("levels", [3, 6, 1_000])
def test_without_itself_a_row_is_as_novel_as_if_it_had_never_been_known(levels):
    drawn = np.random.default_rng(0).integers(0, levels, (60, 3)).astype(np.float32)
    points, copies = np.unique(drawn, axis=0, return_counts=True)
    errors = torch.ones(1, dtype=torch.float64)
    known = novelty_of(copies, "row", points)
    for place, row in enumerate(points):
        fewer = copies - (np.arange(len(copies)) == place)
        others = novelty_of(fewer[fewer > 0], "", points[fewer > 0])
        far = known.parts(torch.from_numpy(row[None]), errors)[0]
        assert float(far) == pytest.approx(
            float(others.parts(torch.from_numpy(row[None]), errors)[0])
        )


def test_the_row_itself_does_not_count_once_or_with_all_of_its_copies():
    points = np.random.default_rng(0).normal(size=(30, 3)).astype(np.float32)
    three, one = [3, *[1] * 29], [1] * 30
    two = [2, *[1] * 29]
    assert expected(three, "row", points) == pytest.approx(expected(two, "", points))
    assert expected(three, "content", points) == pytest.approx(expected(one, "row", points))
    others = points[1:] - points[0]
    near = np.argsort((others**2).sum(axis=1))[:5]
    weights = 1 / (np.linalg.norm(others[near].astype(float), axis=1) + 0.1) ** 2
    mean = (weights[:, None] * points[1:][near]).sum(axis=0) / weights.sum()
    assert expected(one, "row", points)[0] == pytest.approx(mean)


def test_the_own_pair_of_a_row_does_not_count():
    counts = np.random.default_rng(0).poisson(20, (8, 8)).astype(np.int32)
    counts[2, 3] = 1
    fewer = counts.copy()
    fewer[2, 3] = 0
    found = pair_surprises(counts, without_itself=True)[2, 3]
    assert found == pytest.approx(pair_surprises(fewer)[2, 3], rel=0.01)
    assert found > 1.1 * pair_surprises(counts)[2, 3]
