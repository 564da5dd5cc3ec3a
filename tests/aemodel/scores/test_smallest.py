"""The smallest values of every column, as topk finds them."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aemodel.scores.smallest import smallest


def topk(values, count):
    return values.topk(count, dim=0, largest=False).indices


@settings(max_examples=40)
@given(rows=st.integers(5, 2500), count=st.integers(1, 5), seed=st.integers(0, 99))
def test_the_rows_of_the_smallest_values_are_those_of_topk(rows, count, seed):
    values = torch.from_numpy(np.random.default_rng(seed).normal(size=(rows, 7)))

    assert torch.equal(smallest(values, count), topk(values, count))


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_columns_with_values_that_are_not_finite_are_as_of_topk(odd):
    random = np.random.default_rng(0)
    values = torch.from_numpy(random.normal(size=(2000, 6)).astype(np.float32))
    values[:, 1] = odd
    values[::3, 2] = odd
    values[7, 3] = odd

    assert torch.equal(smallest(values, 5), topk(values, 5))


def test_equal_values_are_chosen_and_ordered_as_by_topk():
    values = torch.from_numpy(np.random.default_rng(0).integers(0, 9, size=(2000, 50)).astype("f4"))
    values[:, ::2] += torch.rand(2000, 25)

    assert torch.equal(smallest(values, 5), topk(values, 5))
