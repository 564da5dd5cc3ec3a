"""Which sensors count as lost: clean nights differ in how often values are missing."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from aemodel.series.levels import EntityLevels
from flows.scoring.series.gaps import Gaps, lost_sensors

ROWS = 86_400


def lost(usual, missing, rows=ROWS):
    one = np.ones((2, 1))
    model = SimpleNamespace(
        levels=EntityLevels(("p0",), one, one, usual * one),
        sensors=("speed",),
        scorer=SimpleNamespace(window=128),
    )
    gaps = Gaps(np.zeros(1, np.int32), np.array([rows]), np.array([[missing]]))
    return lost_sensors(gaps, model, ["p0"]).count


@pytest.mark.parametrize("usual", [0.01, 0.3, 0.6, 1.0])
def test_a_night_that_lacks_a_few_more_values_than_clean_rows_has_all_sensors(usual):
    missing = np.random.default_rng(0).binomial(ROWS, usual, 200)

    assert sum(lost(usual, each) for each in missing) == 0


@pytest.mark.parametrize(
    ("usual", "missing"), [(0, 128), (0.01, 1_800), (0.3, 60_000), (0.9, ROWS)]
)
def test_a_sensor_that_lacks_far_more_values_than_in_clean_rows_is_lost(usual, missing):
    assert lost(usual, missing) == 1
    assert lost(usual, round(usual * ROWS)) == 0


def test_in_a_night_shorter_than_a_window_all_values_must_be_missing():
    assert [lost(0.01, missing, rows=50) for missing in (49, 50)] == [0, 1]


def test_only_gaps_of_a_window_or_more_are_counted(random):
    rows = np.ones((4_000, 3))
    rows[random.permutation(2_000)[:200], 0] = np.nan  # scattered
    rows[500:700, 1] = rows[1_900:2_060, 1] = rows[3_000:3_100, 1] = np.nan
    rows[3_990:, 2] = np.nan  # a third entity, of ten rows
    entities = np.repeat(np.array([0, 1, 2], np.int32), [2_000, 1_990, 10])

    gaps = Gaps.of(entities, rows, window=100)

    assert gaps.rows.tolist() == [2_000, 1_990, 10]
    assert gaps.missing.tolist() == [[0, 300, 0], [0, 100, 0], [0, 0, 10]]
