"""Progress: rows are counted inside shards, and shown with their rate and the time left."""

from __future__ import annotations

import io
import logging
import pickle
import sys

import numpy as np
import pytest

from flows.engine import progress
from flows.engine.progress import Part, counted, counting_for, part, short_count
from flows.engine.progress_bars import progress_shown
from storage.sources import Chunk


class Clock:
    """A clock that the test moves."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch):
    monkeypatch.setattr(progress, "time", Clock())
    return progress.time


def test_words_say_rows_rate_time_left_and_loss(clock):
    running = Part("epoch 2/6", 5_000_000, "rows")
    running.note = "loss 0.031"
    clock.now += 4
    running.advance(1_240_000)

    assert running.words == "1.24M of 5M rows, 310k/s, 0:12 left, loss 0.031"


def test_the_rate_does_not_count_what_an_earlier_run_has_done(clock):
    running = Part("scoring", 1_000, "rows")
    running.skip(800)
    clock.now += 1
    running.advance(100)

    assert running.words == "900 of 1k rows, 100/s, 0:01 left"


def test_a_part_without_a_total_shows_its_time(clock):
    running = Part("night of 2026-11-22", None, "rows")
    clock.now += 3_725

    assert running.words == "1:02:05"


def test_rows_of_chunks_count_once_they_are_used():
    running = Part("scoring", 5, "rows")
    chunks = [Chunk(0, np.zeros((3, 2)), None, "a"), Chunk(3, np.zeros((2, 2)), None, "a")]
    with counting_for(running):
        done = [running.done for _ in counted(chunks)]

    assert (done, running.done) == ([0, 3], 5)


def test_a_long_part_writes_a_line_into_the_log_now_and_then(clock, caplog):
    with caplog.at_level(logging.INFO), part("scoring", 1_000) as running:
        for _ in range(9):
            clock.now += 10
            running.advance(100)

    assert [record.getMessage() for record in caplog.records] == [
        "scoring: 300 of 1k rows, 10/s, 1:10 left",
        "scoring: 600 of 1k rows, 10/s, 0:40 left",
        "scoring: 900 of 1k rows, 10/s, 0:10 left",
    ]


def test_nothing_is_drawn_unless_stderr_is_a_terminal(capsys):
    with progress_shown(), part("scoring", 10) as running:
        running.advance(10)

    assert capsys.readouterr().err == ""


def test_bars_show_the_parts_that_last_and_leave_nothing_behind(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    from flows.engine import progress_bars

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    monkeypatch.setattr(progress_bars, "QUIET", 0.0)
    with progress_shown(), part("scoring", 10) as running:
        running.advance(5)
        progress._Shown.display.draw()
    shown = terminal.getvalue()

    assert "scoring" in shown
    assert "5 of 10 rows" in shown
    assert progress._Shown.display is None


def test_a_part_can_be_sent_to_another_process():
    copied = pickle.loads(pickle.dumps(Part("scoring", 10, "rows")))

    assert (copied.label, copied.total, copied.unit) == ("scoring", 10, "rows")


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (999, "999"), (999.7, "1k"), (12_345, "12.3k"), (5e9, "5G")]
)
def test_counts_are_short(value, text):
    assert short_count(value) == text
