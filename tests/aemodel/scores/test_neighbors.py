"""The nearest reference rows, with exact distances."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aemodel.scores import neighbors
from aemodel.scores.neighbors import NearestRows


def as_rows(values):
    return torch.from_numpy(np.asarray(values, np.float32))


def by_comparing_all(rows, points, count):
    distances = (rows[:, None].double() - points[None].double()).square().sum(dim=2).sqrt()
    return distances.sort(dim=1, stable=True).values[:, :count].t()


@settings(max_examples=40, deadline=None)
@given(m=st.integers(6, 400) | st.just(1500), count=st.integers(1, 6), seed=st.integers(0, 99))
def test_distances_are_those_of_a_comparison_with_all_rows(m, count, seed):
    random = np.random.default_rng(seed)
    points, rows = as_rows(random.normal(size=(m, 7))), as_rows(random.normal(size=(300, 7)))
    distances, places = NearestRows(points)(rows, count)

    expected = by_comparing_all(rows, points, count)
    torch.testing.assert_close(distances, expected, rtol=1e-14, atol=0)
    again = (points[places].double() - rows.double()).square().sum(dim=2).sqrt()
    torch.testing.assert_close(distances, again, rtol=1e-14, atol=0)


@pytest.mark.parametrize("away", [0, 1, 1e3, 1e6])
def test_neighbors_are_exact_far_from_the_origin_and_where_rows_are_close(away):
    random = np.random.default_rng(0)
    points = as_rows(0.5 + 1e-4 * random.normal(size=(1000, 16)))
    points[::50] += 3 * torch.rand(20, 16)
    rows = as_rows(0.5 + 1e-4 * random.normal(size=(200, 16)) + away * np.eye(16)[0])

    found = NearestRows(points)(rows, 5)[0]
    torch.testing.assert_close(found, by_comparing_all(rows, points, 5), rtol=1e-14, atol=0)


def test_of_equal_distances_each_row_is_found_once():
    grid = as_rows(np.random.default_rng(0).integers(0, 3, size=(500, 3)))
    distances, places = NearestRows(grid)(grid[:40], 6)

    expected = by_comparing_all(grid[:40], grid, 6)
    torch.testing.assert_close(distances, expected, rtol=1e-14, atol=0)
    assert all(len({*column}) == 6 for column in places.t().tolist())


def test_a_row_that_is_not_finite_is_infinitely_far_and_leaves_others_unchanged():
    points, rows = torch.rand(100, 4), torch.rand(5, 4)
    nearest = NearestRows(points)
    whole = nearest(rows, 5)
    rows[1, 0], rows[3, 2] = torch.nan, -torch.inf
    distances, places = nearest(rows, 5)

    assert not distances[:, [1, 3]].isfinite().any()
    assert torch.equal(distances[:, ::2], whole[0][:, ::2])
    assert torch.equal(places[:, ::2], whole[1][:, ::2])


def test_a_row_is_compared_as_alone():
    points, rows = torch.rand(700, 64), torch.rand(600, 64)
    nearest = NearestRows(points)
    together = nearest(rows, 5)
    alone = [nearest(row[None], 5) for row in rows[250:262]]

    for kind in (0, 1):
        parts = torch.cat([each[kind] for each in alone], dim=1)
        assert torch.equal(together[kind][:, 250:262], parts)


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    """The CPU takes the steps of another device, in several blocks."""
    monkeypatch.setattr(neighbors, "is_host", lambda device: False)
    monkeypatch.setattr(neighbors, "DEVICE_BLOCK_ROWS", 64)


@pytest.mark.usefixtures("as_on_a_gpu")
@pytest.mark.parametrize(("m", "count"), [(1, 1), (6, 6), (70, 5), (400, 6), (2000, 5)])
def test_on_a_gpu_distances_are_those_of_a_comparison_with_all_rows(m, count):
    random = np.random.default_rng(m)
    points, rows = as_rows(random.normal(size=(m, 7))), as_rows(random.normal(size=(300, 7)))
    found = NearestRows(points)(rows, count)

    torch.testing.assert_close(found[0], by_comparing_all(rows, points, count), rtol=1e-14, atol=0)


@pytest.mark.parametrize("away", [0, 1e4, 1e30])
def test_of_equal_distances_a_gpu_finds_those_of_the_host(away, request):
    random = np.random.default_rng(0)
    grid = as_rows(random.integers(0, 3, size=(700, 5)))
    rows = as_rows(random.integers(0, 3, size=(200, 5)) + away * np.eye(5)[0])
    expected = NearestRows(grid)(rows, 6)
    request.getfixturevalue("as_on_a_gpu")

    for found, each in zip(NearestRows(grid)(rows, 6), expected, strict=True):
        assert torch.equal(found, each)


@pytest.mark.usefixtures("as_on_a_gpu")
def test_on_a_gpu_a_row_that_is_not_finite_is_infinitely_far_and_leaves_others_unchanged():
    points, rows = torch.rand(100, 4), torch.rand(5, 4)
    whole = NearestRows(points)(rows, 5)[0]
    rows[1, 0], rows[3, 2] = torch.nan, -torch.inf
    distances, places = NearestRows(points)(rows, 5)

    assert not distances[:, [1, 3]].isfinite().any()
    assert torch.equal(distances[:, ::2], whole[:, ::2])
    assert places.max() < 100
