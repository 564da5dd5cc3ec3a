"""A night whose input cannot be read for a moment, or whose publication was interrupted."""

from __future__ import annotations

import errno
import itertools

import pytest

from flows.engine import run_all
from storage.sources.arrays import NpySource


@pytest.fixture
def refusals(monkeypatch):
    """Let reads of rows fail: `refusals(n)` refuses the next n."""
    monkeypatch.setattr(run_all, "FIRST_DELAY", 0)
    read = NpySource._read_rows

    def refuse(count):
        tries = itertools.count()

        def read_rows(source, *words):
            if next(tries) < count:
                raise OSError(errno.EIO, "Input/output error")
            return read(source, *words)

        monkeypatch.setattr(NpySource, "_read_rows", read_rows)

    return refuse


def test_a_read_that_fails_for_a_moment_is_retried(bench, refusals):
    bench.night()
    refusals(2)

    result = bench.score()

    assert (result.code, result.facts["rows"]) == (0, 300)


def test_a_read_that_keeps_failing_is_reported_as_a_read(bench, refusals):
    bench.night()
    refusals(100)
    result = bench.score()
    report = bench.workspace / "reports/small/2026-11-22/rev=1/report.html"

    assert result.code == 1
    assert "2026-11-22.npy: cannot be read (Input/output error); check its disk" in result.err
    assert "free disk space" not in report.read_text()
