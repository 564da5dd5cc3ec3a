"""Disk space is checked before anything is written, and only if something will be written."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from bench import DAY, rows_of

from flows.engine.disk_space import RESERVE, bytes_below, require_space, score_bytes, store_bytes
from storage.errors import WorkspaceError
from storage.sources import open_source, plan_shards


@pytest.fixture
def free(monkeypatch):
    """Set the free bytes of the disk."""
    usage = shutil.disk_usage("/")
    return lambda amount: monkeypatch.setattr(
        "flows.engine.disk_space.shutil.disk_usage", lambda _: usage._replace(free=amount)
    )


def test_encoding_without_space_is_refused_unless_the_store_is_finished(bench, free):
    free(RESERVE + 1000)
    refused = bench.run("encode", bench.job)
    before = bytes_below(bench.workspace / "latents")
    free(RESERVE + 10**6)
    written = bench.run("encode", bench.job)
    free(0)
    again = bench.run("encode", bench.job)

    assert (refused.code, before) == (2, 0)
    assert "this run may need 200 MB" in refused.err
    assert (
        "but only 200 MB is free; nothing was written. Free disk space ('nightglass prune JOB'"
        in refused.err
    )
    assert (written.code, written.facts["written"]) == (0, True)
    assert (again.code, again.facts["written"]) == (0, False)


def test_a_finished_night_needs_no_space(bench, free):
    bench.night()
    assert bench.score().code == 0
    free(0)

    assert bench.score().facts["written"] is False
    assert bench.score("--force").code == 2


def test_bytes_written_by_an_interrupted_run_are_subtracted(tmp_path, free):
    work = tmp_path / ".work/store"
    free(RESERVE + 400)
    with pytest.raises(WorkspaceError, match="may need"):
        require_space(work, 1000)
    work.mkdir(parents=True)
    (work / "shard-00000.h5").write_bytes(bytes(600))

    require_space(work, 1000)


def test_the_disk_of_the_final_folder_needs_space_too(tmp_path, monkeypatch):
    usage, other = shutil.disk_usage("/"), Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second disk on this machine")
    monkeypatch.setattr(
        "flows.engine.disk_space.shutil.disk_usage",
        lambda place: usage._replace(free=10**12 * (place != other)),
    )

    require_space(tmp_path / "work", 1000, final=tmp_path / "deep/store")
    with pytest.raises(WorkspaceError, match="/dev/shm: this run may need"):
        require_space(tmp_path / "work", 1000, final=other / "deep/store")


@pytest.mark.parametrize(
    "settings",
    [(), ("precision=float32", "format=parquet"), ("keep_exact=0.1",), ("max_error=0.01",)],
)
def test_a_store_stays_within_its_estimate(bench, monkeypatch, settings):
    np.save(bench.folder / "clean.npy", rows_of(10_000, 2))
    estimates = []

    def keep(*given, **named):
        estimates.append(store_bytes(*given, **named))
        return estimates[-1]

    monkeypatch.setattr("flows.encoding.encode.store_bytes", keep)
    found = bench.run(
        "encode", bench.job, *[word for each in settings for word in ("--set", f"encode.{each}")]
    )
    [store] = (bench.workspace / "latents/small").iterdir()

    assert found.code == 0, found.err
    assert bytes_below(store) - bytes_below(store / "model") <= estimates[0] + 50_000, (
        "reports and manifest beside"
    )
    assert estimates[0] < 3 * 10_000 * 8 * 8


def test_scores_stay_within_their_estimate(bench):
    path = bench.night(n=40_000)
    assert bench.score().code == 0
    with open_source(path) as source:
        needed = score_bytes(source, plan_shards(source, 10**6), keep=200)

    assert bytes_below(bench.workspace / f"scores/small/date={DAY}") <= needed
