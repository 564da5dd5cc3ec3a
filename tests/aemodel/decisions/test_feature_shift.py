"""Which features moved: sums that merge, robust to heavy tails, gaps and overflow."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from aemodel.decisions.feature_shift import FeatureTally, center_and_spread
from aemodel.model import Autoencoder
from aemodel.network.dense import DenseAutoencoder
from aemodel.rows.layout import Layout
from aemodel.rows.scaling import Scaler
from aemodel.settings import ModelSettings
from aemodel.training.measure import feature_scales


def tally_of(rows, clean):
    return FeatureTally.of(rows.astype(np.float32), *center_and_spread(clean.astype(np.float32)))


def moved(night, clean):
    return tally_of(night, clean).moved(tally_of(clean, clean).usual())


@given(st.lists(st.integers(0, 60), max_size=4), st.integers(0, 3))
def test_feature_sums_of_parts_merge_to_those_of_the_whole(cuts, gap):
    rows = np.random.default_rng(0).standard_t(2, size=(60, 4))
    rows[gap * 7 : gap * 9, gap] = np.nan
    first, *parts = np.split(rows, sorted(cuts))
    merged = tally_of(first, np.eye(4))
    for part in parts:
        merged = merged.merge(tally_of(part, np.eye(4)))

    for name, value in vars(tally_of(rows, np.eye(4))).items():
        np.testing.assert_allclose(vars(merged)[name], value, rtol=1e-5, atol=1e-5)


def test_features_that_moved_are_listed_by_how_far_they_moved(random):
    clean, night = random.normal(size=(2000, 8)), random.normal(size=(500, 8))
    night[:, 5] += 1.5
    night[:, 2] *= 1.8
    first, second, *_ = moved(night, clean)

    assert (first.index, second.index) == (5, 2)
    assert first.mean == pytest.approx(1.5, abs=0.15)
    assert second.deviation == pytest.approx(1.8, abs=0.2)


def test_a_heavy_tailed_feature_that_stays_is_listed_after_one_that_moved(random):
    clean, night = random.normal(size=(2000, 6)), random.normal(size=(1000, 6))
    for rows in (clean, night):
        rows[:, :3] = random.standard_t(1, size=(len(rows), 3)) ** 3
    night[:, 4] += 0.5

    assert moved(night, clean)[0].index == 4


def test_features_with_values_too_rare_to_recur_are_listed_after_one_that_moved(random):
    clean, night = random.normal(size=(3000, 6)), random.normal(size=(1500, 6))
    clean[:, :3], night[:, :3] = 0, 0
    clean[[5, 900], :3], night[7, :3] = 1, 0.1
    night[:, 4] += 0.5

    assert moved(night, clean)[0].index == 4


def test_a_feature_that_is_missing_all_night_is_listed_first(random):
    clean, night = random.normal(size=(2000, 6)), random.normal(size=(1000, 6))
    night[:, 3] = np.nan
    night[:, 1] += 1
    first, second, *_ = moved(night, clean)

    assert (first.index, first.missing) == (3, 1.0)
    assert second.index == 1


def test_missing_and_infinite_values_leave_feature_sums_finite(random):
    night = random.normal(size=(50, 3))
    night[:, 0], night[3, 1], night[4, 1] = np.nan, np.inf, -np.inf
    kept = night.copy()
    clean = random.normal(size=(100, 3))
    tally = tally_of(night, clean)

    assert tally.count.tolist() == [0, 50, 50]
    assert np.isfinite([[each.mean, each.deviation] for each in moved(night, clean)]).all()
    assert night.tobytes() == kept.tobytes()


def test_an_overflowing_clean_row_does_not_hide_a_moved_feature():
    rows = np.random.default_rng(0).normal(size=(400, 3))
    rows[::20] = 1e300
    model = ModelSettings(latent=2, output="identity", loss="mse", scaling="none")
    network = DenseAutoencoder(3, model, torch.Generator().manual_seed(0))
    layout = Layout(row_shape=(3,), dtype="float64")
    bare = Autoencoder(
        (network,), model, layout, Scaler.inverse_only(np.zeros(3), np.ones(3)), None
    )
    center, spread, _ = feature_scales(bare, rows)

    assert center == pytest.approx(np.zeros(3), abs=0.2)
    assert spread == pytest.approx(np.ones(3), abs=0.15)


SHAPES = (  # of columns, from standard normal values: tails, rare flags, counts, mostly zeros
    lambda values: values,
    np.exp,
    lambda values: np.sign(values) * values**2,
    lambda values: (values > 1).astype(float),
    lambda values: np.round(1.5 * values),
    lambda values: np.where(values > 0.3, values, 0.0),
)


def table_of(seed: int, n: int, sample: int) -> np.ndarray:
    """Rows (n, 20) of a table whose columns have other shapes and scales for every seed."""
    of_table, of_rows = np.random.default_rng(seed), np.random.default_rng([seed, sample])
    mixing = of_table.normal(size=(4, 20))
    mixed = of_rows.normal(size=(n, 4)) @ mixing + 2 * of_rows.normal(size=(n, 20))
    mixed /= np.sqrt((mixing**2).sum(axis=0) + 4)
    shapes = of_table.integers(len(SHAPES), size=20)
    columns = [SHAPES[shape](column) for shape, column in zip(shapes, mixed.T, strict=True)]
    return np.stack(columns, axis=1) * 10 ** of_table.uniform(-3, 3, size=20)


@pytest.mark.parametrize("seed", range(20))
def test_three_columns_that_moved_by_one_deviation_are_the_three_named_first(seed):
    clean, night = table_of(seed, 3_000, 1), table_of(seed, 1_500, 2)
    columns = np.random.default_rng(seed).choice(20, 3, replace=False)
    night[:, columns] += clean.std(axis=0)[columns]
    center, scale = clean.mean(axis=0), clean.std(axis=0)
    found = moved((night - center) / scale, (clean - center) / scale)

    assert {each.index for each in found[:3]} == set(columns.tolist())
