"""The map of flagged rows among clean ones."""

from __future__ import annotations

import numpy as np
import pytest
from blind import blind_model, clean_rows

from aemodel.explain.latent_map import MOST_CLEAN, MOST_OTHERS, _principal, map_of_rows


@pytest.fixture(scope="module")
def model():
    return blind_model(clean_rows()).model


def far_rows(count, away):
    return clean_rows(count, seed=3) + np.array([0.0, 0.0, away])


def test_two_groups_of_far_rows_lie_apart_from_clean_rows_and_from_each_other(model):
    rows = np.concatenate([far_rows(20, 50.0), far_rows(20, -50.0)])
    found = map_of_rows(model, rows, by="novelty")
    first, second = found.others[:20], found.others[20:]
    apart = np.linalg.norm(first.mean(axis=0) - second.mean(axis=0))

    assert found.clean.shape[1] == 2
    assert 0 < found.share <= 1
    assert apart > 3 * max(first.std(), second.std(), found.clean.std())


@pytest.mark.parametrize(("by", "away"), [("novelty", 0.0), ("error", 50.0)])
def test_a_map_that_does_not_tell_rows_from_clean_ones_is_left_out(model, by, away):
    assert map_of_rows(model, far_rows(300, away), by=by) is None  # latents are blind to `away`


@pytest.mark.parametrize("count", [1, 2, 3, 10, 30])
def test_clean_rows_however_few_are_not_shown_as_if_they_stood_apart(model, count):
    rows = far_rows(10 * count, 0.0).reshape(10, count, 3)
    shown = [map_of_rows(model, each, by="novelty") is not None for each in rows]

    assert sum(shown) <= 1  # of ten


def test_rows_beyond_all_bounds_have_a_finite_place(model):
    rows = np.array([[np.nan, 1e39, 2.0], [1e300, 0.0, 0.0], [0.0, -1e39, 0.0]]).repeat(4, axis=0)
    found = map_of_rows(model, rows, by="novelty")

    assert np.isfinite(found.others).all()
    assert np.isfinite(found.clean).all()


def test_the_map_is_bounded_whatever_the_number_of_rows(model):
    found = map_of_rows(model, far_rows(2_000, 9.0), by="novelty")

    assert len(found.others) == MOST_OTHERS
    assert len(found.clean) <= MOST_CLEAN
    assert map_of_rows(model, far_rows(1, 9.0)[:0], by="novelty") is None


def test_columns_without_spread_do_not_change_the_map(random):
    points, weights = random.normal(size=(12, 4)), random.uniform(size=12)
    wide = np.pad(points, ((0, 0), (0, 30)))
    (places, share), (same_places, same_share) = (
        _principal(each, weights) for each in (points, wide)
    )

    np.testing.assert_allclose(same_places, places, atol=1e-9)
    assert same_share == pytest.approx(share)
