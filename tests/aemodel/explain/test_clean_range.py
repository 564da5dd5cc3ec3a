from dataclasses import replace

import numpy as np
import pytest
from blind import blind_model, clean_rows

from aemodel.decisions import feature_shift
from aemodel.explain.clean_range import count_outside
from aemodel.rows.layout import Layout

LIMITS = np.array([[-1.0, 0.0, np.nan], [1.0, 0.5, np.nan]])


@pytest.fixture
def limited():
    """A model of three named columns with these limits."""
    blind = blind_model(clean_rows()).model
    measured = replace(blind.measured, feature_range=LIMITS)
    layout = Layout(row_shape=(3,), dtype="float64", columns=("a", "b", "c"))
    return replace(blind, measured=measured, layout=layout)


def test_values_beyond_their_limits_are_counted_but_no_gaps(limited, monkeypatch):
    monkeypatch.setattr(feature_shift, "BLOCK_VALUES", 6)  # two rows at once
    rows = [[0, 0.5, 9], [-1.1, -0.1, -9], [np.nan, 0.6, np.nan], [np.inf, -np.inf, 0], [1, 0, 0]]
    scaled = np.array(rows, np.float32)
    before = scaled.copy()

    assert count_outside(limited, scaled).tolist() == [2, 3, 0]
    np.testing.assert_array_equal(scaled, before)
