"""Small groups: walks from row to similar row that start in one rarely leave it."""

from __future__ import annotations

import torch

from aemodel.scores.small_groups import NEAREST, walks_that_stay


def group(n, center, seed, spread=1.0, d=8):
    generator = torch.Generator().manual_seed(seed)
    return center + spread * torch.randn(n, d, generator=generator)


def test_walks_stay_in_a_group_of_few_rows_but_not_in_the_bulk():
    points = torch.cat([group(400, 0.0, seed=1), group(20, 4.0, seed=2)])
    stay = walks_that_stay(points, 25)

    assert stay[400:].min() > 0.99
    assert stay[:400].median() < 0.5


def test_a_group_need_not_be_denser_than_the_bulk():
    points = torch.cat([group(400, 0.0, seed=1, spread=0.1), group(20, 4.0, seed=2, spread=1.0)])

    assert walks_that_stay(points, 25)[400:].min() > 0.99


def test_a_group_of_more_rows_than_asked_for_is_no_small_one():
    points = torch.cat([group(400, 0.0, seed=1), group(100, 4.0, seed=2)])

    assert walks_that_stay(points, 25)[400:].median() < 0.9


def test_the_unit_of_distance_does_not_matter():
    points = torch.cat([group(100, 0.0, seed=1), group(20, 4.0, seed=2)])

    assert torch.equal(walks_that_stay(points, 20), walks_that_stay(points * 4, 20))


def test_single_far_rows_are_in_no_small_group():
    far = 50.0 * torch.eye(8)[:3]

    assert walks_that_stay(torch.cat([group(300, 0.0, seed=1), far]), 20)[300:].max() < 0.5


def test_fewer_rows_than_neighbors_have_no_groups():
    assert (walks_that_stay(group(NEAREST, 0.0, seed=1), 5) == 0).all()
