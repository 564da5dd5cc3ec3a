"""The parts of a score, and how much they count."""

from __future__ import annotations

import numpy as np
import pytest
from moving import fitted, sensor_rows

from aemodel.series.files import series_arrays, series_facts, take_series
from aemodel.series.fitting.fit_scorer import ScorerFit
from aemodel.series.windows.parts import ENOUGH, FEWEST, N_PARTS, weight_of_activity
from aemodel.series.windows.pyramid import Pyramid


def test_activity_counts_for_nothing_until_there_are_enough_windows():
    assert weight_of_activity(FEWEST) == weight_of_activity(1) == 0
    assert weight_of_activity(FEWEST + ENOUGH) == pytest.approx(0.5)
    assert weight_of_activity(1e9) == pytest.approx(1)


@pytest.mark.parametrize("part", range(N_PARTS))
def test_held_out_windows_rarely_exceed_the_scale_of_a_part(part):
    scorer = fitted().scorer
    parts = scorer.parts(fitted().scaled(sensor_rows(4000, seed=9), 0))

    assert (parts[:, part] > scorer.scale[part]).mean() < 0.02


def test_a_sensor_that_stands_still_is_beyond_its_usual_activity():
    model, rows = fitted(), sensor_rows(400, seed=3)
    rows[100:300, 1] = rows[100, 1]

    activity = model.scorer.parts(model.scaled(rows, 0))[:, -1]

    assert activity.max() > model.scorer.scale[-2]


def test_parts_do_not_depend_on_how_windows_are_grouped():
    model = fitted()
    rows = model.scaled(sensor_rows(3000, seed=2), 0)
    hop, window = model.scorer.hop, model.scorer.window
    at_once = model.scorer.parts(rows)

    for first in (0, 7, 150, 300):
        start = first * hop
        alone = model.scorer.parts(rows[start : start + window])
        np.testing.assert_array_equal(alone[0], at_once[first])


def test_a_warm_up_counts_activity_by_its_own_windows():
    model = fitted(sensor_rows(9600))
    fit = ScorerFit(Pyramid(64), 8, seed=0)

    _, scorer = fit.on_warmup(sensor_rows(960), model.scorer.scale)

    assert scorer.scale[-1] == weight_of_activity(960 / 64) < model.scorer.scale[-1]
    np.testing.assert_array_equal(scorer.scale[:-1], model.scorer.scale[:-1])


def test_a_model_read_from_its_arrays_gives_the_same_bits():
    model, rows = fitted(), sensor_rows(500, seed=1)
    read = take_series({"series": series_facts(model)}, series_arrays(model))

    np.testing.assert_array_equal(
        read.scorer.scores(read.scaled(rows, 0)), model.scorer.scores(model.scaled(rows, 0))
    )
