"""A night whose input cannot be read for a moment, or whose publication was interrupted."""

from __future__ import annotations

import errno
import fcntl
import itertools

import pytest
from bench import DAY
from nights import TONIGHT, promoted_on, run

from flows.engine import run_all
from flows.jobs.job_file import read_job
from flows.scoring.catch_up import due_nights
from storage.files.manifest import read_manifest
from storage.nights import revisions
from storage.sources.arrays.npy import NpySource


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


class Killed(BaseException):
    """Ends a run as a kill does: no handler of the product sees it."""


@pytest.fixture
def half_published(bench, monkeypatch):
    """Force a second revision and kill the run at one of the renames that publish it."""

    def kill_at(step):
        bench.night()
        promoted_on(bench, DAY)
        bench.score()
        publish, calls = revisions.publish_folder, itertools.count()

        def publish_or_die(work, final):
            if next(calls) == step:
                raise Killed("killed")
            publish(work, final)

        with monkeypatch.context() as patch:
            patch.setattr(revisions, "publish_folder", publish_or_die)
            with pytest.raises(Killed, match="killed"):
                bench.score("--force")

    return kill_at


def newest(bench) -> tuple[int, int]:
    """Revisions of the newest report and of the scores; 0 if there are no scores."""
    place = revisions.NightPlace(bench.workspace, "small", DAY)
    scores = place.scores
    return place.newest(), read_manifest(scores)["revision"] if scores.exists() else 0


@pytest.mark.parametrize(("step", "left"), [(0, (1, 1)), (1, (2, 1)), (2, (2, 0))])
def test_a_publication_that_was_killed_is_finished_by_catch_up(bench, half_published, step, left):
    half_published(step)
    assert newest(bench) == left  # the scores are never newer than the report
    [due] = due_nights(read_job(bench.job), TONIGHT)
    assert (due.date, due.why) == (DAY, "its publication was interrupted")

    done = run(bench).results[DAY]

    assert (done.revision, done.written, newest(bench)) == (2, True, (2, 2))
    assert due_nights(read_job(bench.job), TONIGHT) == []


def test_status_names_a_publication_that_was_killed(bench, half_published):
    half_published(1)

    problems = bench.run("status", bench.job).facts["problems"]

    assert f"{DAY}: its publication was interrupted" in problems


def test_without_file_locks_scoring_is_refused_by_name(bench, monkeypatch):
    def refuse(descriptor, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    result = bench.score()

    assert (result.code, "the file system has no file locks" in result.err) == (2, True)
    assert bench.run("status", bench.job).facts["problems"] != []
