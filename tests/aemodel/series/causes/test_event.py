"""Shares of sensors, and what was expected of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from moving import fitted, sensor_rows

from aemodel.series.causes.clean_moves import CleanMoves
from aemodel.series.causes.event import EventRows, explain_event
from aemodel.series.causes.expected import expected_rows

CLEAN = sensor_rows(8000)


@pytest.fixture(scope="module")
def model():
    return fitted(CLEAN)


def event(rows, **where):
    return EventRows(rows=rows, **{"start": 300, "stop": 400, **where})


@pytest.mark.parametrize("sensor", range(5))
def test_a_shifted_sensor_is_named_first(model, sensor):
    rows = sensor_rows(700, seed=4)
    rows[300:400, sensor] += 3 * CLEAN[:, sensor].std()

    assert explain_event(model, event(rows)).sensors[0].name == f"s{sensor}"


def test_a_sensor_that_never_moves_is_nothing_unusual_until_it_does():
    still = np.full((len(CLEAN), 1), 2013.0)
    model = fitted(np.hstack([CLEAN, still]))
    rows = np.hstack([sensor_rows(700, seed=4), still[:700]])
    moved = rows.copy()
    rows[300:400, 1] += 3 * CLEAN[:, 1].std()
    moved[350:, 5] += 1

    shares = {each.index: each.share for each in explain_event(model, event(rows)).sensors}

    assert shares[5] == 0
    assert explain_event(model, event(moved)).sensors[0].index == 5


@pytest.mark.parametrize("start", [500, 2_000])
def test_a_part_of_a_long_event_is_compared_with_what_was_expected_before_it(model, start):
    rows = sensor_rows(4_000, seed=4)
    rows[500:3_500, 1] += 8 * CLEAN[:, 1].std()
    near = slice(start - 256, start + 1_256)
    whole = (500 - near.start, 3_500 - near.start)
    found = explain_event(model, event(rows[near], start=256, stop=1_256, whole=whole))

    assert np.median(found.expected[256:1_256, 1]) == pytest.approx(50, abs=CLEAN[:, 1].std())
    assert found.words.endswith("(seen in 1,000 of 3,000 rows, around the peak)")


def test_shares_of_all_sensors_add_up_to_one_worst_first(model):
    shares = [each.share for each in explain_event(model, event(sensor_rows(700))).sensors]

    assert sum(shares) == pytest.approx(1)
    assert shares == sorted(shares, reverse=True)


def test_the_clean_energies_of_sensors_are_recovered_from_the_whitening(model):
    scaled = model.scaled(CLEAN, 0)
    moves = CleanMoves.of(model.scorer.whitening)

    found = [(each**2).mean(axis=(0, 1)) for each in moves.coefficients(scaled)]

    np.testing.assert_allclose(moves.energies, found, rtol=0.02)


def test_expected_values_of_a_shifted_sensor_are_what_the_others_imply(model):
    clean = sensor_rows(700, seed=4)
    rows = clean.copy()
    rows[300:400, 1] += 4 * CLEAN[:, 1].std()

    expected = explain_event(model, event(rows)).expected

    off = np.abs(expected - clean)[300:400, 1].mean()
    assert off < 0.5 * CLEAN[:, 1].std()


def test_a_suspect_does_not_affect_what_is_expected_of_others(model):
    moves = CleanMoves.of(model.scorer.whitening)
    rows = model.scaled(sensor_rows(200), 0)
    changed = rows.copy()
    changed[:, 2] += 9

    one, other = (expected_rows(moves, each, suspects=np.array([2])) for each in (rows, changed))

    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("window", [16, 24, 48, 64])
def test_expected_values_have_the_shape_of_the_rows(window):
    model = fitted(window=window)
    moves = CleanMoves.of(model.scorer.whitening)

    found = expected_rows(moves, model.scaled(CLEAN[:101], 0), suspects=np.array([0]))

    assert found.shape == (101, 5)
    assert np.isfinite(found).all()


def test_a_single_sensor_is_expected_where_it_stood_before():
    model = fitted(CLEAN[:, :1])
    rows = np.full((700, 1), 52.0)
    rows[300:400] = 70

    cause = explain_event(model, event(rows))

    np.testing.assert_allclose(cause.expected, 52)
    assert cause.words.startswith("s0 ")


def test_a_constant_sensor_that_moves_is_named():
    clean = CLEAN.copy()
    clean[:, 4] = 7
    rows = sensor_rows(700, seed=4)
    rows[:, 4] = 7
    rows[300:400, 4] = 8

    cause = explain_event(fitted(clean), event(rows))

    assert cause.words == "s4 1 above its clean range for 100 s"
    assert np.isfinite(cause.expected).all()


def test_an_event_shorter_than_a_window_uses_rows_around_it(model):
    rows = sensor_rows(700, seed=4)
    rows[3, 0] += 30

    assert explain_event(model, event(rows, start=2, stop=5)).sensors[0].name == "s0"


def test_fewer_rows_than_a_window_are_refused(model):
    with pytest.raises(ValueError, match=r"at least one window, 64 rows. Got 63"):
        explain_event(model, event(CLEAN[:63], start=0, stop=63))


def test_a_step_in_minutes_makes_durations_longer(model):
    rows = sensor_rows(700, seed=4)
    rows[300:400, 3] = np.nan

    assert explain_event(replace(model, step=60.0), event(rows)).words == "s3 missing for 100 min"


def test_explaining_leaves_its_rows_as_they_are(model):
    rows = sensor_rows(700, seed=4)
    before = rows.copy()

    explain_event(model, event(rows))

    np.testing.assert_array_equal(rows, before)
