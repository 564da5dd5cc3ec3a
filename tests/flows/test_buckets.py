"""A job whose rows lie in a bucket: the same results as from local files."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench import JOB, Bench, tree, write_rows
from buckets import KEY, SECRET

pytestmark = pytest.mark.slow

DAYS = ("2026-11-20", "2026-11-21", "2026-11-22")


def job_at(folder: Path, rows: Path | str) -> Bench:
    """A job that reads clean rows and nights below `rows`."""
    folder.mkdir()
    job = JOB.replace("clean.npy", f"{rows}/clean.parquet")
    job = job.replace("nights/{date}.npy", f"{rows}/nights/{{date}}.parquet")
    (folder / "small.toml").write_text(job)
    return Bench(folder)


@pytest.fixture
def data(tmp_path) -> Path:
    """A folder with clean rows and three nights."""
    write_rows(tmp_path / "data/clean.parquet", 1500, 0)
    for seed, day in enumerate(DAYS, start=1):
        write_rows(tmp_path / f"data/nights/{day}.parquet", 400, seed)
    return tmp_path / "data"


def run(bench: Bench, *words: object) -> None:
    result = bench.run(words[0], bench.job, *words[1:])
    assert result.code == 0, result.err


def run_all_commands(bench: Bench) -> None:
    run(bench, "train")
    run(bench, "encode")
    for day in DAYS:
        run(bench, "score", "--date", day)


def shards(bench: Bench) -> list[bytes]:
    return [file.read_bytes() for file in sorted(bench.workspace.glob("latents/*/*/shard-*"))]


def test_all_commands_write_the_same_bytes_as_from_local_files(bucket, tmp_path, data):
    local = job_at(tmp_path / "local", data)
    remote = job_at(tmp_path / "remote", bucket.upload(data, "same"))
    run_all_commands(local)
    run_all_commands(remote)

    assert tree(remote.workspace / "scores") == tree(local.workspace / "scores")
    assert shards(remote) == shards(local) != []
    files = [file.read_bytes() for file in remote.workspace.rglob("*") if file.is_file()]
    assert not any(secret.encode() in content for content in files for secret in (KEY, SECRET))


def test_a_night_that_arrives_late_or_again_is_scored_then(bucket, tmp_path, data):
    bench = job_at(tmp_path / "job", bucket.upload(data, "late"))
    run(bench, "train")
    none = bench.run("score", bench.job, "--date", "2026-11-23")
    bucket.put("late/nights/2026-11-23.parquet", write_rows(tmp_path / "first.parquet", 400, 7))
    run(bench, "score", "--date", "2026-11-23")
    bucket.put("late/nights/2026-11-23.parquet", write_rows(tmp_path / "again.parquet", 500, 8))
    run(bench, "score", "--date", "2026-11-23")

    revisions = sorted(bench.workspace.glob("reports/small/2026-11-23/rev=*"))
    assert none.facts["verdict"] == "NO DATA"
    assert [each.name for each in revisions] == ["rev=1", "rev=2", "rev=3"]


def test_the_workspace_must_be_local(tmp_path):
    bench = job_at(tmp_path / "job", "s3://rows/none")
    bench.job.write_text('workspace = "s3://rows/results"\n' + bench.job.read_text())

    result = bench.run("train", bench.job)

    assert result.code == 2
    assert "workspace must be a local folder. Got 's3://rows/results' instead." in result.err
