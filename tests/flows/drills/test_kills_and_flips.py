"""Fault drills: processes killed at any moment, and flipped bits."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from bench import DAY, run_command, tree
from flips import verified_files, with_flipped_bit
from kills import PROCESSES, done, killed_until_done

import storage.nights.index.page as page
import storage.nights.index.year_lists as year_lists
import storage.nights.revisions as revisions

RESULTS = ("scores", "reports", "superseded")


@pytest.fixture
def long_night(bench):
    """A night with many shards."""
    path = bench.night(n=150_000, outliers=30)
    bench.options = ["--set", "data.shard_bytes=1 MB"]
    return path


@pytest.mark.slow
def test_a_killed_score_resumes_to_the_same_bytes_as_an_uninterrupted_one(
    bench, long_night, tmp_path
):
    shutil.copytree(bench.folder, tmp_path / "other", copy_function=shutil.copy2)
    line = ["score", bench.job, "--date", DAY, *bench.options]
    seconds = done(line)
    killed = ["score", tmp_path / "other" / bench.job.name, "--date", DAY, *bench.options]

    results = [tmp_path / "other/workspace" / part for part in RESULTS]
    killed_until_done(killed, longest=seconds, results=results)

    for part in RESULTS:
        assert tree(tmp_path / "other/workspace" / part) == tree(bench.workspace / part)


def exit_at_step(step, words):
    """Run a command, and exit before this of the renames, writes and deletions that publish."""
    left = [step]

    def counted(call):
        def wrapper(*args, **options):
            left[0] -= 1
            if left[0] < 0:
                os._exit(9)
            return call(*args, **options)

        return wrapper

    for name in ("publish_folder", "list_night"):
        setattr(revisions, name, counted(getattr(revisions, name)))
    for module in (year_lists, page):
        module.write_bytes = counted(module.write_bytes)
    revisions.shutil.rmtree = counted(revisions.shutil.rmtree)
    run_command(words)


@pytest.mark.slow
@pytest.mark.parametrize("step", range(9))
def test_a_publication_killed_at_any_step_is_completed_by_the_next_run(bench, tmp_path, step):
    """Exit at one of the renames, writes and deletions that publish a second revision."""
    path = bench.night()
    assert bench.score().code == 0
    rows = np.load(path)
    rows[7] += 5
    np.save(path, rows)
    shutil.copytree(bench.folder, tmp_path / "whole", copy_function=shutil.copy2)
    words = ["score", str(bench.job), "--date", DAY, "--no-prefect"]
    killed = PROCESSES.Process(target=exit_at_step, args=(step, words))
    killed.start()
    killed.join()
    uninterrupted = type(bench)(tmp_path / "whole")

    assert killed.exitcode == 9
    assert bench.score().code == uninterrupted.score().code == 0
    for part in RESULTS:
        assert tree(bench.workspace / part) == tree(uninterrupted.workspace / part)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["model", "latents-hdf5", "latents-parquet", "scores", "report"])
def test_any_flipped_bit_is_found_and_its_file_named(bench, kind):
    bench.night(outliers=3)
    folder = made(bench, kind)
    generator = np.random.default_rng(0)

    for path in verified_files(folder):
        content = path.read_bytes()
        for _ in range(10):
            path.write_bytes(with_flipped_bit(content, generator))
            result = bench.run("verify", folder)
            found = [each["file"] for each in result.facts["problems"]]
            assert (result.code, found) == (1, [path.relative_to(folder).as_posix()])
        path.write_bytes(content)
    assert bench.run("verify", folder).facts["ok"]


def made(bench, kind) -> Path:
    """The folder of a model, a latent store, scores or a report."""
    name, _, format = kind.partition("-")
    if name == "model":
        current = bench.run("models", "list", bench.job).facts["current"]
        return bench.workspace / "models/small" / current
    if name == "latents":
        encoded = bench.run("encode", bench.job, "--set", f"encode.format={format}")
        return Path(encoded.facts["path"])
    report = Path(bench.score().facts["path"])
    return report if name == "report" else bench.workspace / f"scores/small/date={DAY}"
