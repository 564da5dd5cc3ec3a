"""Points with levels: distances are those of one axis for each level."""

import numpy as np
import pytest
import torch

from aemodel.network.point_levels import PointLevels
from aemodel.scores import neighbors
from aemodel.scores.coreset import coreset
from aemodel.scores.neighbors import NearestRows

SIZES = [5, 34, 2]


def build(n_values):
    known = torch.rand(n_values + sum(SIZES), generator=torch.Generator().manual_seed(0))
    return PointLevels(n_values, SIZES, torch.cat([known, torch.tensor([3.0, 4.0, 5.0])]))


def draw(n, n_values, seed):
    random = np.random.default_rng(seed)
    values = random.normal(size=(n, n_values)).round(1)
    levels = [random.integers(0, size + 1, n) for size in SIZES]  # the last: never seen
    return torch.from_numpy(np.column_stack([values, *levels]).astype(np.float32))


def by_comparing_all(levels, rows, points):
    rows, points = (levels.one_hot(each).double() for each in (rows, points))
    return (rows[:, None] - points[None]).square().sum(dim=2).sqrt()


def test_a_level_that_no_fit_row_has_lies_on_an_axis_of_its_own():
    found = build(1).one_hot(torch.tensor([[0.5, 0, 34, 2]]))[0]
    assert found.nonzero().flatten().tolist() == [0, 1, 1 + 6 + 34, 1 + 6 + 35 + 2]
    assert found[[0, 41, 44]].tolist() == [0.5, 4.0, 5.0]


def test_distances_between_levels_are_those_on_their_axes():
    levels, rows, points = build(0), draw(60, 0, 1), draw(40, 0, 2)
    codes = [levels.codes(each) for each in (rows, points)]
    expected = by_comparing_all(levels, rows, points).square()
    found = levels.apart(codes[0][:, None], codes[1][None])
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=0)
    added = levels.table(codes[1], torch.float64)[levels.table_rows(codes[0])].sum(dim=1)
    torch.testing.assert_close(added, expected, rtol=1e-7, atol=0)


@pytest.mark.parametrize("device", ["host", "other"])
@pytest.mark.parametrize(("m", "n_values"), [(6, 4), (70, 0), (1500, 4), (1500, 0)])
def test_nearest_points_are_those_of_a_comparison_with_all(m, n_values, device, monkeypatch):
    monkeypatch.setattr(neighbors, "is_host", lambda _: device == "host")
    monkeypatch.setattr(neighbors, "DEVICE_BLOCK_ROWS", 64)
    levels, points, rows = build(n_values), draw(m, n_values, m), draw(300, n_values, 3)
    distances, places = NearestRows(points, levels)(rows, 5)

    expected = by_comparing_all(levels, rows, points)
    nearest = expected.sort(dim=1).values[:, :5].t()
    torch.testing.assert_close(distances, nearest, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(distances, expected.t().gather(0, places), rtol=1e-6, atol=1e-6)
    assert all(len({*column}) == 5 for column in places.t().tolist())


def test_of_equal_distances_another_device_finds_those_of_the_host(monkeypatch):
    levels, points, rows = build(2), draw(900, 2, 0), draw(200, 2, 1)
    points[:, :2], rows[:, :2] = points[:, :2].round(), rows[:, :2].round()
    expected = NearestRows(points, levels)(rows, 6)
    monkeypatch.setattr(neighbors, "is_host", lambda _: False)

    distances, places = NearestRows(points, levels)(rows, 6)
    torch.testing.assert_close(distances, expected[0], rtol=1e-14, atol=0)
    assert torch.equal(places, expected[1])


def test_a_row_with_levels_is_compared_as_alone():
    levels, points, rows = build(4), draw(700, 4, 0), draw(600, 4, 1)
    nearest = NearestRows(points, levels)
    together = nearest(rows, 5)
    alone = [nearest(row[None], 5) for row in rows[250:262]]
    for kind in (0, 1):
        parts = torch.cat([each[kind] for each in alone], dim=1)
        assert torch.equal(together[kind][:, 250:262], parts)


def test_a_row_with_levels_that_is_not_finite_is_infinitely_far():
    levels, points, rows = build(4), draw(100, 4, 0), draw(5, 4, 1)
    whole = NearestRows(points, levels)(rows, 5)
    rows[1, 0] = torch.inf
    distances, places = NearestRows(points, levels)(rows, 5)
    assert not distances[:, 1].isfinite().any()
    assert torch.equal(distances[:, ::2], whole[0][:, ::2])
    assert torch.equal(places[:, ::2], whole[1][:, ::2])


def test_far_ranks_are_those_of_a_comparison_with_all():
    levels, points, rows = build(4), draw(300, 4, 0), draw(50, 4, 1)
    nearest = NearestRows(points, levels)
    places = nearest.roughly(rows, 40)
    expected = by_comparing_all(levels, rows, points).sort(dim=1).values[:, :40].t()
    torch.testing.assert_close(nearest.distances(rows, places), expected, rtol=1e-5, atol=1e-5)


def test_points_that_cover_all_others_are_those_on_one_axis_for_each_level():
    levels, points = build(4), draw(500, 4, 0)
    points[:, :4] += torch.rand(500, 4, generator=torch.Generator().manual_seed(1))  # no ties
    found = coreset(points.numpy(), 60, levels)
    np.testing.assert_array_equal(found, coreset(levels.one_hot(points).numpy(), 60))
