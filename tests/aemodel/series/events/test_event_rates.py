"""Rules of false events in a time, and their cuts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aemodel.errors import SettingsError
from aemodel.series.calibration import Calibration
from aemodel.series.events.event_rate import EventRate
from aemodel.series.events.promise import cut_of_rate

DAY = 86_400


def stretches(n, rows=100):
    return Calibration(np.arange(1.0, n + 1), n * rows, 0.5)


def cut(text, calibration, *, step=1.0, at_once=1.0):
    return cut_of_rate(EventRate.parse(text), calibration, step=step, at_once=at_once)


@pytest.mark.parametrize("text", ["1/7d", "2/12h", "1/30min", "1/10000"])
def test_a_rate_is_written_as_it_is_read(text):
    assert str(EventRate.parse(text)) == text


@pytest.mark.parametrize("text", ["0/7d", "1/0d", "1/7w", "1", "-1/7d", "1.5/7d", ""])
def test_what_is_not_a_rate_is_refused(text):
    with pytest.raises(SettingsError, match=r"must look like 'events 1/7d'"):
        EventRate.parse(text)


@pytest.mark.parametrize(("text", "rows"), [("1/7d", 7 * 1440), ("1/2h", 120), ("1/500", 500)])
def test_a_period_has_so_many_rows_of_a_minute(text, rows):
    assert EventRate.parse(text).rows(60.0) == rows


def test_the_cut_is_the_highest_stretch_where_one_exceedance_is_allowed():
    assert cut("1/10000", stretches(99)).score == 99  # (99 + 1) stretches of 100 rows: j = 1


def test_one_stretch_less_than_needed_promises_nothing():
    found = cut("1/10000", stretches(98))

    assert (found.score, found.promises) == (np.inf, False)
    assert "10,000" in found.promise


def test_more_allowed_events_lower_the_cut_one_stretch_at_a_time():
    scores = [cut(f"{count}/10000", stretches(99)).score for count in (1, 2, 3)]

    assert scores == [99, 98, 97]


def test_a_rate_that_is_not_exact_in_binary_has_the_exact_rank():
    assert cut("1/1min", stretches(99, rows=2), step=0.3).score == 99  # 200 rows in a minute


def test_series_at_the_same_time_share_the_false_events():
    assert cut("1/1000", stretches(99), at_once=10.0).score == 99


def test_without_stretches_there_is_no_cut():
    assert cut("1/7d", stretches(0)).score == np.inf


@given(n=st.integers(1, 400), count=st.integers(1, 50), rows=st.integers(50, 500))
def test_clean_stretches_exceed_the_cut_at_most_as_often_as_promised(n, count, rows):
    calibration = stretches(n, rows)
    found = cut(f"{count}/10000", calibration)

    above = int((calibration.highest >= found.score).sum())
    assert not found.promises or above <= n
    assert not found.promises or above * 10_000 <= count * (n + 1) * rows or above == n
