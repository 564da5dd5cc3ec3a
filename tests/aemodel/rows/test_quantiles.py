"""Quantiles of columns equal those of NumPy, gaps or not."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from aemodel.rows.quantiles import column_quantiles


@pytest.mark.parametrize("n", [1, 2, 7, 300])
@pytest.mark.parametrize("gaps", [0.0, 0.3])
def test_quantiles_are_those_of_numpy(random, n, gaps):
    values = random.normal(size=(n, 20))
    values[random.random(values.shape) < gaps] = np.nan
    values[:, 1] = 7.0
    shares = [0.01, 0.25, 0.5, 0.99]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # columns of NaN only
        expected = np.nanquantile(values, shares, axis=0)

    assert np.array_equal(column_quantiles(values, shares), expected, equal_nan=True)


def test_a_column_without_values_has_no_quantile():
    assert np.isnan(column_quantiles(np.full((5, 1), np.nan), [0.5])).all()
