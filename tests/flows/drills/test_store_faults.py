"""Fault drills for latent stores: kills, full and read-only disks, flipped bits, other machines.

Finished shards are never lost, and damage never goes unnoticed.
"""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager

import kills
import numpy as np
import pytest
from bench import rows_of, tree
from flips import verified_files, with_flipped_bit
from kills import done, killed_until_done, run_unprivileged

from flows.encoding.decode import decoder_of
from storage.errors import DamagedError
from storage.files.locks import lock
from storage.files.manifest import verify_folder
from storage.latents import open_store

pytestmark = pytest.mark.slow

KINDS = [("hdf5", 0), ("parquet", 0), ("hdf5", 0.05), ("parquet", 0.05)]
KILLS, LIMITS, FLIPS = (13, 13, 12, 12), 10, 50


def encode_line(bench, format, bound, *more):
    """The encode command, whose last word, --out, lacks its value."""
    settings = [f"encode.format={format}", f"encode.max_error={bound}", "data.shard_bytes=1 MB"]
    options = [word for setting in (*settings, *more) for word in ("--set", setting)]
    return ["encode", bench.job, "--source", bench.folder / "night.npy", *options, "--out"]


@pytest.fixture(autouse=True)
def small_codec_sample(monkeypatch):
    """Make codec selection, which is not tested here, fast."""
    monkeypatch.setattr("flows.encoding.plan.SAMPLE_VALUES", kills.SAMPLE_VALUES)


def write_night(bench, n):
    np.save(bench.folder / "night.npy", rows_of(n, 3))


class FinishedShards:
    """Checks that no run repeats a shard that an earlier run has finished, until the store is done.

    Then the run removes them, and may be killed halfway.
    """

    def __init__(self, bench, store):
        self.work, self.store, self.seen = bench.workspace / ".work", store, {}

    def check(self):
        now = {
            path: (path.stat().st_ino, path.read_bytes())
            for path in self.work.glob("*/shard-0*.json")
        }
        if now and not self.store.exists():
            assert self.seen.items() <= now.items()
        self.seen = now


@pytest.mark.parametrize(("kind", "times"), list(zip(KINDS, KILLS, strict=True)))
def test_after_fifty_kills_no_shard_is_repeated_and_the_bytes_are_the_same(
    bench, tmp_path, kind, times
):
    write_night(bench, 100_000)
    line = encode_line(bench, *kind, "encode.speed=fast")
    finished = FinishedShards(bench, tmp_path / "broken")
    seconds = done([*line, tmp_path / "whole"])

    killed_until_done(
        [*line, tmp_path / "broken"],
        longest=seconds,
        results=[tmp_path / "broken"],
        kills=times,
        check=finished.check,
    )

    assert tree(tmp_path / "broken") == tree(tmp_path / "whole")
    assert list((bench.workspace / ".work").glob("*/*")) == []


@contextmanager
def max_file_size(size):
    """Make system calls fail that would grow a file beyond `size` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(("format", "bound"), [("hdf5", 0.05), ("parquet", 0.05)])
def test_a_disk_that_fills_up_at_any_byte_loses_nothing_and_the_message_says_how_to_resume(
    bench, tmp_path, format, bound
):
    write_night(bench, 20_000)
    line = encode_line(bench, format, bound, "encode.speed=fast")
    finished = FinishedShards(bench, tmp_path / "store")
    assert bench.run(*line, tmp_path / "whole").code == 0
    largest = max(path.stat().st_size for path in (tmp_path / "whole").rglob("*"))

    for limit in np.linspace(1, largest - 1, LIMITS).astype(int):
        with max_file_size(int(limit)):
            result = bench.run(*line, tmp_path / "store")
        assert result.code in (1, 2)
        assert "File too large" in result.err
        assert "rerun to resume" in result.err
        assert not (tmp_path / "store").exists()
        finished.check()

    assert bench.run(*line, tmp_path / "store").code == 0
    assert tree(tmp_path / "store") == tree(tmp_path / "whole")


@pytest.mark.parametrize("name", ["back.h5", "back.npy", "back.parquet"])
def test_decode_and_pack_leave_no_partial_file_on_a_full_disk(bench, tmp_path, name):
    write_night(bench, 20_000)
    assert bench.run(*encode_line(bench, "hdf5", 0.05), tmp_path / "store").code == 0
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_bytes(b"an older file")
    for limit in (1, 9_000, 40_000):
        with max_file_size(limit):
            assert (
                "File too large"
                in bench.run("decode", tmp_path / "store", "--out", tmp_path / "out" / name).err
            )
            assert (
                "File too large"
                in bench.run("pack", tmp_path / "store", "--out", tmp_path / "out/packed.h5").err
            )

    assert tree(tmp_path / "out") == {name: b"an older file"}


@pytest.mark.parametrize("format", ["hdf5", "parquet"])
def test_flipped_bits_in_bounded_stores_are_named_and_never_decode_to_other_values(
    bench, tmp_path, format
):
    write_night(bench, 1_500)
    assert bench.run(*encode_line(bench, format, 0.05), tmp_path / "store").code == 0
    whole = decoded(tmp_path / "store")
    files, values = verified_files(tmp_path / "store"), next((tmp_path / "store").glob("values-*"))
    generator, outcomes = np.random.default_rng(0), Counter()

    for index in range(FLIPS):
        path = files[index % len(files)] if index % 2 else values
        content = path.read_bytes()
        path.write_bytes(with_flipped_bit(content, generator))
        assert [problem.file for problem in verify_folder(tmp_path / "store")] == [
            path.relative_to(tmp_path / "store").as_posix()
        ]
        try:
            assert decoded(tmp_path / "store") == whole
            outcomes["harmless"] += 1
        except DamagedError:
            outcomes["noticed"] += 1
        path.write_bytes(content)

    assert outcomes["noticed"] > FLIPS / 3
    assert decoded(tmp_path / "store") == whole


def decoded(folder):
    with open_store(folder) as store:
        return store.decode(0, store.n_rows, decoder_of(store)).tobytes()


def test_a_read_only_store_is_unchanged_and_the_message_says_how_to_resume(bench, tmp_path):
    write_night(bench, 1_500)
    line = [*encode_line(bench, "hdf5", 0.05)[:-1], "--no-prefect"]
    latents = bench.workspace / "latents/small"
    latents.mkdir(parents=True)
    latents.chmod(0o555)
    assert run_unprivileged(line, tmp_path / "output") == 2
    assert "Permission denied" in (tmp_path / "output").read_text()
    assert "rerun to resume" in (tmp_path / "output").read_text()
    assert list(latents.iterdir()) == []

    latents.chmod(0o755)
    assert bench.run(*line).code == 0
    [store] = latents.iterdir()
    before, target = tree(store), tmp_path / "target"
    target.mkdir()
    for folder in (store, target):
        folder.chmod(0o555)
    for words in (
        ["decode", store, "--out", target / "back.npy"],
        ["decode", store, "--out", target / "back.h5"],
        ["pack", store, "--out", target / "p.h5"],
    ):
        assert run_unprivileged(words, tmp_path / "output") == 2
        assert "fix permissions, then rerun to resume" in (tmp_path / "output").read_text()
    assert (
        run_unprivileged(["decode", store, "--out", tmp_path / "back.npy"], tmp_path / "output")
        == 0
    )
    target.chmod(0o755)
    store.chmod(0o755)

    assert tree(store) == before
    assert list(target.iterdir()) == []


def test_a_read_only_workspace_is_rejected_before_any_work(bench, tmp_path):
    write_night(bench, 1_500)
    (bench.workspace / ".work").chmod(0o555)
    before = tree(bench.folder)

    assert (
        run_unprivileged([*encode_line(bench, "hdf5", 0)[:-1], "--no-prefect"], tmp_path / "output")
        == 2
    )
    (bench.workspace / ".work").chmod(0o755)
    assert "the workspace cannot be written" in (tmp_path / "output").read_text()
    assert tree(bench.folder) == before


def test_of_two_encoders_of_one_store_the_second_names_the_first(bench, tmp_path, monkeypatch):
    write_night(bench, 1_500)
    line = [*encode_line(bench, "hdf5", 0), tmp_path / "store"]
    assert bench.run(*line).code == 0
    whole = tree(tmp_path / "store")
    [name] = (path for path in (bench.workspace / ".work").glob("*encode-*.lock"))
    shutil.rmtree(tmp_path / "store")

    monkeypatch.setattr("flows.encoding.encode.WAIT", 0.0)
    with lock(name):
        result = bench.run(*line)
    assert result.code == 2
    assert "is using it; wait for it to end, then rerun to resume" in result.err
    assert not (tmp_path / "store").exists()
    assert bench.run(*line).facts["written"]
    assert not bench.run(*line).facts["written"]
    assert tree(tmp_path / "store") == whole


def test_a_store_is_written_to_another_disk(bench, tmp_path, monkeypatch):
    write_night(bench, 1_500)
    line = encode_line(bench, "hdf5", 0.05)
    assert bench.run(*line, tmp_path / "here").code == 0
    monkeypatch.setattr("storage.files.atomic.device_of", lambda path: hash(path))
    assert bench.run(*line, tmp_path / "there/store").code == 0

    assert tree(tmp_path / "there/store") == tree(tmp_path / "here")
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["store"]
    assert list((bench.workspace / ".work").glob("*/*")) == []


DECODE = """
import sys
from flows.cli.app import app
for store, out in zip(sys.argv[1::2], sys.argv[2::2]):
    app(["decode", store, "--out", out], standalone_mode=False)
"""


def test_a_store_decodes_on_another_machine(bench, tmp_path):
    """In a new process in an empty folder, without source, job and models."""
    write_night(bench, 1_500)
    stores = [tmp_path / f"{format}-{bound}" for format, bound in KINDS]
    for store, kind in zip(stores, KINDS, strict=True):
        assert bench.run(*encode_line(bench, *kind), store).code == 0
    assert bench.run("pack", stores[3], "--out", tmp_path / "packed.h5").code == 0
    expected = [decoded(store) for store in (*stores, stores[3])]
    away = tmp_path / "away"
    away.mkdir()
    moved = [shutil.move(path, away / path.name) for path in (*stores, tmp_path / "packed.h5")]
    shutil.rmtree(bench.folder)
    (tmp_path / "empty").mkdir()

    words = [str(word) for path in moved for word in (path, away / f"{path.name}.npy")]
    result = subprocess.run(
        [sys.executable, "-c", DECODE, *words],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path / "empty",
    )

    assert result.returncode == 0, result.stderr
    assert [np.load(away / f"{path.name}.npy").tobytes() for path in moved] == expected
