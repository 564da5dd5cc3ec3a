"""Fault drills: processes killed at any moment, and bits flipped anywhere."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from bench import DAY, tree
from kills import done, killed_until_done


@pytest.fixture
def long_night(bench):
    """A night of many shards."""
    path = bench.night(n=400_000, outliers=30)
    bench.options = ["--set", "data.shard_bytes=1 MB"]
    return path


@pytest.mark.slow
def test_a_killed_score_ends_in_the_same_bytes_as_an_unbroken_one(bench, long_night, tmp_path):
    shutil.copytree(bench.folder, tmp_path / "other", copy_function=shutil.copy2)
    line = ["score", bench.job, "--date", DAY, *bench.options]
    seconds = done(line)
    broken = ["score", tmp_path / "other" / bench.job.name, "--date", DAY, *bench.options]

    results = [tmp_path / "other/workspace" / part for part in ("scores", "reports", "superseded")]
    killed_until_done(broken, longest=seconds, results=results)

    for part in ("scores", "reports", "superseded"):
        assert tree(tmp_path / "other/workspace" / part) == tree(bench.workspace / part)


@pytest.mark.slow
@pytest.mark.parametrize("where", range(12))
def test_a_publication_killed_at_any_step_is_completed_by_the_next_run(bench, tmp_path, where):
    """Stop the process at each rename and write of publishing a second revision, then run again."""
    path = bench.night()
    assert bench.score().code == 0
    rows = np.load(path)
    rows[7] += 5
    np.save(path, rows)
    shutil.copytree(bench.folder, tmp_path / "whole", copy_function=shutil.copy2)
    code = (
        "import os, sys, storage.nights as nights, storage.atomic as atomic\n"
        f"left = [{where}]\n"
        "def stopping(work):\n"
        "    def call(*args):\n"
        "        left[0] -= 1\n"
        "        if left[0] < 0: os._exit(9)\n"
        "        return work(*args)\n"
        "    return call\n"
        "for name in ('publish_folder', 'write_bytes', 'list_night', 'mark_ready'): setattr(nights, name, stopping(getattr(nights, name)))\n"
        "nights.shutil.rmtree = stopping(nights.shutil.rmtree)\n"
        "from flows.cli.app import app\n"
        f"sys.argv = ['nightglass', 'score', {str(bench.job)!r}, '--date', {DAY!r}, '--no-prefect']\n"
        "app()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    other = type(bench)(tmp_path / "whole")

    assert bench.score().code == other.score().code == 0
    for part in ("scores", "reports", "superseded"):
        assert tree(bench.workspace / part) == tree(other.workspace / part), where


@pytest.mark.parametrize("kind", ["model", "latents-hdf5", "latents-parquet", "scores", "report"])
def test_one_flipped_bit_anywhere_is_named(bench, kind):
    bench.night(outliers=3)
    name, _, format = kind.partition("-")
    folder = {
        "model": lambda: (
            bench.workspace
            / "models/small"
            / bench.run("models", "list", bench.job).facts["current"]
        ),
        "latents": lambda: Path(
            bench.run("encode", bench.job, "--set", f"encode.format={format}").facts["path"]
        ),
        "scores": lambda: bench.score() and bench.workspace / f"scores/small/date={DAY}",
        "report": lambda: Path(bench.score().facts["path"]),
    }[name]()
    files = [
        path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "run.json"
    ]
    generator = np.random.default_rng(0)

    for path in files:
        content = path.read_bytes()
        for _ in range(30):
            place, bit = int(generator.integers(len(content))), int(generator.integers(8))
            path.write_bytes(
                content[:place] + bytes([content[place] ^ (1 << bit)]) + content[place + 1 :]
            )
            result = bench.run("verify", folder)
            assert (result.code, [each["file"] for each in result.facts["problems"]]) == (
                1,
                [path.relative_to(folder).as_posix()],
            )
        path.write_bytes(content)
    assert bench.run("verify", folder).facts["ok"]
