"""The scikit-learn estimator of series."""

from __future__ import annotations

import doctest
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from moving import sensor_rows
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import check_estimator

import aemodel.series.detector.estimator
from aemodel import SeriesDetector
from aemodel.errors import DataError, SettingsError

CLEAN, TONIGHT = sensor_rows(8000), sensor_rows(2000, seed=4)
TONIGHT[900:1000, 2] = TONIGHT[900, 2]
RULE = "events 1/3000"


@pytest.fixture(scope="module")
def fitted():
    return SeriesDetector(window=64, rule=RULE).fit(CLEAN)


def seconds(n, step=60):
    return np.datetime64("2026-11-01", "s") + step * np.arange(n)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:There will be no events")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_scikit_learn_estimator_checks_pass_that_have_enough_rows():
    results = check_estimator(SeriesDetector(window=16), on_fail=None)
    failed = [each for each in results if each["status"] == "failed"]
    others = [each for each in failed if not isinstance(each["exception"], DataError)]

    assert {each["check_name"] for each in others} <= {
        "check_outliers_fit_predict",  # wants outliers among clean rows
        "check_outliers_train",
    }
    assert len(results) - len(failed) > 20


def test_the_docstring_example_runs():
    assert doctest.testmod(aemodel.series.detector.estimator).failed == 0


def test_an_event_names_rows_sensor_and_cause(fitted):
    (event,) = fitted.events(TONIGHT)

    assert event.start <= 900 <= event.peak <= 1000 <= event.end + 1
    assert event.sensors[0].name == "column 2"
    assert event.cause.startswith("column 2 flat for 100 rows while column ")


def test_rows_of_an_event_score_lower_and_are_predicted_as_outliers(fitted):
    scores, found = fitted.score_samples(TONIGHT), fitted.predict(TONIGHT)

    assert 830 <= scores.argmin() < 1070
    assert (found == np.where(scores < fitted.offset_, -1, 1)).all()
    assert (found[910:990] == -1).all()


def test_events_have_the_times_of_their_rows(fitted):
    times = seconds(2000)
    (event,) = fitted.events(TONIGHT, times=times)
    (by_row,) = fitted.events(TONIGHT)

    assert (event.start, event.end) == (times[by_row.start], times[by_row.end])


def test_rows_in_any_order_of_times_have_the_same_scores(fitted):
    times, order = seconds(2000), np.random.default_rng(0).permutation(2000)

    shuffled = fitted.score_samples(TONIGHT[order], times=times[order])

    np.testing.assert_array_equal(shuffled, fitted.score_samples(TONIGHT, times=times)[order])


def test_times_as_numbers_dates_and_texts_are_the_same(fitted):
    dates = [datetime(2026, 11, 1, tzinfo=UTC) + timedelta(seconds=i) for i in range(2000)]
    texts = [each.strftime("%Y-%m-%dT%H:%M:%S") for each in dates]
    by_number = fitted.score_samples(TONIGHT, times=np.arange(2000))

    for times in (dates, texts):
        np.testing.assert_array_equal(fitted.score_samples(TONIGHT, times=times), by_number)


def test_interleaved_entities_have_the_scores_they_have_alone(fitted):
    both = np.stack([TONIGHT, CLEAN[:2000]], axis=1).reshape(4000, 5)
    names = np.array(["a", "b"] * 2000)

    scores = fitted.score_samples(both, entities=names)

    np.testing.assert_array_equal(scores[::2], fitted.score_samples(TONIGHT))
    np.testing.assert_array_equal(scores[1::2], fitted.score_samples(CLEAN[:2000]))


def test_no_window_crosses_a_pause(fitted):
    times = np.arange(2000.0)
    times[1000:] += 3600
    apart = np.concatenate([fitted.score_samples(part) for part in np.split(TONIGHT, 2)])

    np.testing.assert_array_equal(fitted.score_samples(TONIGHT, times=times), apart)


def test_a_segment_shorter_than_a_window_has_the_score_of_a_usual_row(fitted):
    assert (fitted.score_samples(TONIGHT[:10]) == -fitted.model_.calibration.usual).all()


def test_each_entity_is_judged_against_its_own_clean_rows():
    rows = np.vstack([CLEAN, CLEAN * 3 + 1000])
    names = np.repeat(["small", "large"], 8000)
    detector = SeriesDetector(window=64, rule=RULE).fit(rows, entities=names)

    (event,) = detector.events(3 * TONIGHT + 1000, entities=["large"] * 2000)

    assert (event.entity, event.sensors[0].name) == ("large", "column 2")


def test_with_a_warm_up_a_night_is_judged_against_its_first_rows():
    detector = SeriesDetector(window=64, baseline="warmup 800", rule=RULE).fit(CLEAN)

    events = detector.events(5 * TONIGHT - 300)

    assert events[0].sensors[0].name == "column 2"
    assert (detector.score_samples(TONIGHT)[:800] == -detector.model_.calibration.usual).all()


def test_columns_of_a_frame_name_the_sensors():
    names = ["flow", "heat", "load", "pressure", "speed"]
    clean, tonight = (pa.table(dict(zip(names, rows.T, strict=True))) for rows in (CLEAN, TONIGHT))

    (event,) = SeriesDetector(window=64, rule=RULE).fit(clean).events(tonight)

    assert event.cause.startswith("load flat for 100 rows while ")


def test_too_few_clean_rows_for_the_rule_are_said():
    with pytest.warns(UserWarning, match=r"There will be no events.*are needed"):
        detector = SeriesDetector(window=64, rule="events 1/1000000").fit(CLEAN)

    assert detector.events(TONIGHT) == []


def test_a_rule_in_days_needs_times():
    with pytest.warns(UserWarning, match=r"rows have no times"):
        SeriesDetector(window=64, rule="events 1/7d").fit(CLEAN)


def test_times_need_one_value_for_each_row(fitted):
    with pytest.raises(ValueError, match=r"times must have shape \(2000,\).* Got \(3,\)"):
        fitted.score_samples(TONIGHT, times=[1, 2, 3])


def test_a_missing_time_is_refused(fitted):
    with pytest.raises(ValueError, match=r"times must not be missing. Got nan in row 7"):
        fitted.score_samples(TONIGHT, times=np.where(np.arange(2000) == 7, np.nan, 1.0))


def test_an_invalid_window_is_named():
    with pytest.raises(SettingsError, match=r"series.window must be 'auto'"):
        SeriesDetector(window=7).fit(CLEAN)


def test_an_unfitted_detector_says_so():
    with pytest.raises(NotFittedError, match="not fitted yet"):
        SeriesDetector().score_samples(TONIGHT)


def test_gaps_are_scored(fitted):
    rows = TONIGHT.copy()
    rows[200:240, 1] = np.nan

    assert np.isfinite(fitted.score_samples(rows)).all()


def test_fitting_leaves_its_rows_as_they_are():
    rows = CLEAN.copy()

    SeriesDetector(window=64, rule=RULE).fit(rows)

    np.testing.assert_array_equal(rows, CLEAN)
