"""Expansion: what a network sees of columns of several kinds, and the errors of its outputs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from aemodel.network.expansion import Expansion
from aemodel.rows.layout import CATEGORY, HOUR, NUMBER
from aemodel.rows.levels import LevelCounts

KINDS = (NUMBER, CATEGORY, HOUR)
LEVELS = [7.0, 7.0, 7.0, 5.0, 5.0, 9.0]  # ranks 0, 1, 2; two are kept


@pytest.fixture
def expansion():
    counts = LevelCounts([1])
    counts.update(np.array([[0.0, key, 0.0] for key in LEVELS]))
    return Expansion(KINDS, counts.finish(2), "cpu")


def rows(*values):
    return torch.tensor(values, dtype=torch.float32)


def test_a_row_becomes_its_number_a_point_on_a_circle_and_one_value_per_level(expansion):
    found = expansion(rows([0.5, 1.0, 0.25]))
    torch.testing.assert_close(found, rows([0.5, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0]))


@pytest.mark.parametrize(
    ("rank", "levels"), [(2.0, [0, 0, 1, 0]), (3.0, [0, 0, 0, 1]), (4.0, [0] * 4)]
)
def test_other_levels_share_a_value_gaps_have_one_and_unseen_levels_none(expansion, rank, levels):
    assert expansion(rows([0.0, rank, 0.0]))[0, 3:].tolist() == levels


def test_midnight_is_as_near_to_the_last_hour_as_to_the_first(expansion):
    late, midnight, early = expansion(rows([0, 0, 23 / 24], [0, 0, 0], [0, 0, 1 / 24]))
    torch.testing.assert_close((late - midnight).norm(), (early - midnight).norm())


def test_the_error_of_a_category_is_the_negative_log_probability_of_its_level(expansion):
    outputs = rows([0.0, 1.0, 0.0, math.log(6), math.log(2), 0.0, 0.0])
    scaled = rows([0.5, 1.0, 0.0])
    errors = expansion.errors(expansion.finish(outputs), scaled)
    torch.testing.assert_close(errors, rows([0.25, math.log(10 / 2), 0.0]))


def test_an_unseen_level_is_an_error_whatever_the_network_expects(expansion):
    outputs = expansion.finish(torch.zeros(1, expansion.width))
    errors = expansion.errors(outputs, rows([0.0, 4.0, 0.0]))
    assert float(errors[0, 1]) == pytest.approx(math.log(len(LEVELS) + 2))


def test_outputs_are_rebuilt_as_number_most_likely_level_and_hour(expansion):
    outputs = rows([0.5, 0.0, 1.0, 0.0, 3.0, 9.0, 9.0])
    rebuilt = expansion.rebuilt(expansion.finish(outputs))
    torch.testing.assert_close(rebuilt, rows([0.5, 1.0, 0.25]))


def test_usual_errors_are_variance_and_entropy(expansion):
    scaled = rows([-1.0, 0.0, 0.0], [1.0, 1.0, 0.5])
    variance, entropy, circle = expansion.usual_errors(scaled)
    assert (float(variance), float(circle)) == pytest.approx((1.0, 1.0))
    assert float(entropy) == pytest.approx(math.log(2))


def test_noise_swaps_levels_between_rows_and_leaves_numbers_alone(expansion):
    scaled = torch.rand(1, 500, 3)
    scaled[..., 1] = torch.arange(500) % 3
    swapped = expansion.swap(scaled, 0.5, torch.Generator().manual_seed(0))
    torch.testing.assert_close(swapped[..., [0, 2]], scaled[..., [0, 2]])
    changed = float((swapped[..., 1] != scaled[..., 1]).float().mean())
    assert changed == pytest.approx(0.5 * 2 / 3, abs=0.1)


def test_errors_of_logits_and_their_gradients_are_those_of_finished_outputs(expansion):
    random = torch.Generator().manual_seed(0)
    outputs = (3 * torch.randn(2, 60, expansion.width, generator=random)).requires_grad_()
    scaled = torch.rand(2, 60, 3, generator=random)
    scaled[..., 1] = torch.randint(5, (2, 60), generator=random)
    weights = torch.rand(2, 60, 3, generator=random)

    expected = expansion.errors(expansion.finish(outputs), scaled)
    found = expansion.errors_of_logits(outputs, scaled)
    torch.testing.assert_close(found, expected)
    gradients = [torch.autograd.grad((each * weights).sum(), outputs) for each in (found, expected)]
    torch.testing.assert_close(*gradients)


def test_errors_of_extreme_logits_are_exact_and_have_a_gradient(expansion):
    outputs = rows([0.0, 1.0, 0.0, -900.0, 900.0, -900.0, -900.0]).requires_grad_()
    unlikely = expansion.errors_of_logits(outputs, rows([0.0, 0.0, 0.0]))[0, 1]
    (gradient,) = torch.autograd.grad(unlikely, outputs)
    assert unlikely.item() == 1800
    assert gradient[0, 3:5].tolist() == [-1, 1]

    outputs = rows([0.0, 1.0, 0.0, 1e6, 1e6 - 1, -900.0, -900.0])
    likely = expansion.errors_of_logits(outputs, rows([0.0, 0.0, 0.0]))[0, 1]
    assert likely.item() == pytest.approx(math.log1p(math.exp(-1)), rel=1e-6)
