"""A training that is killed resumes, and ends in the same bytes as an unbroken one."""

from __future__ import annotations

import errno
import math
import os
import shutil
import signal
from contextlib import ExitStack
from datetime import date, timedelta

import numpy as np
import pytest
from bench import Bench, rows_of, run_command, tree
from kills import PROCESSES

import storage.checkpoints
from flows.operations.prune import prune
from flows.training import checkpoint
from flows.training.epochs_shown import EpochsShown
from storage.files.atomic import refusals

pytestmark = pytest.mark.slow

SETTINGS = ("--set", "train.seed=1", "--set", "model.noise=0.1", "--set", "train.patience=5")
LAST = 6  # epochs until the interruption
RESUMING = f"resuming after epoch {LAST} of 15"


class EveryEpoch:
    """Writes checkpoints, and calls `end` after the last one."""

    def __init__(self, end):
        self.end, self.written, self.write = end, 0, checkpoint.write_checkpoint

    def __call__(self, *args, **options):
        self.write(*args, **options)
        self.written += 1
        if self.written == LAST:
            self.end()


def interrupt():
    raise KeyboardInterrupt


@pytest.fixture
def work(bench):
    return bench.workspace / ".work/small-train"


@pytest.fixture
def unbroken(bench, tmp_path):
    """A copy of the job, in which a second model is trained without interruption."""
    shutil.copytree(bench.folder, tmp_path / "unbroken", copy_function=shutil.copy2)
    return Bench(tmp_path / "unbroken")


@pytest.fixture
def interrupted(bench, work, monkeypatch):
    """The job, of which a second training was interrupted."""
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "SHORTEST", 0.0)
        patch.setattr(checkpoint, "COST", math.inf)
        patch.setattr(checkpoint, "write_checkpoint", EveryEpoch(interrupt))
        assert bench.run("train", bench.job, *SETTINGS).code == 130
    assert (work / "checkpoint").exists()
    return bench


def train(bench):
    found = bench.run("train", bench.job, *SETTINGS)
    assert found.code == 0, found.err
    return found


def train_until(number, words, output):
    def end():
        os.kill(os.getpid(), number)
        while True:
            pass

    checkpoint.SHORTEST, checkpoint.COST = 0.0, math.inf
    checkpoint.write_checkpoint = EveryEpoch(end)
    run_command(words, output)


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [
        (signal.SIGKILL, -9, ""),
        (signal.SIGINT, 130, "Interrupted; rerun to resume after the last checkpoint, or to"),
    ],
)
def test_a_killed_training_ends_in_the_same_bytes(
    bench, work, unbroken, tmp_path, number, code, said
):
    words = ["train", str(bench.job), *SETTINGS, "--no-prefect"]
    killed = PROCESSES.Process(target=train_until, args=(number, words, tmp_path / "output"))
    killed.start()
    killed.join()
    assert (killed.exitcode, said in (tmp_path / "output").read_text()) == (code, True)

    resumed, whole = train(bench), train(unbroken)
    assert RESUMING in resumed.err
    assert "resuming" not in whole.err
    assert resumed.facts["model_id"] == whole.facts["model_id"]
    assert tree(bench.workspace / "models") == tree(unbroken.workspace / "models")
    assert not work.exists()


def test_progress_of_a_resumed_training_starts_at_its_checkpoint(interrupted, monkeypatch):

    reported, on_epoch = [], EpochsShown.on_epoch

    def noted(self, epoch):
        reported.append(epoch.number)
        on_epoch(self, epoch)

    monkeypatch.setattr(EpochsShown, "on_epoch", noted)
    train(interrupted)

    assert reported == [*range(LAST, 16)]


@pytest.mark.parametrize("change", ["setting", "rows", "file"])
def test_other_settings_or_rows_start_over(interrupted, change):
    if change == "setting":
        text = interrupted.job.read_text()
        interrupted.job.write_text(text.replace("latent = 3", "latent = 2"))
    elif change == "rows":
        path = interrupted.folder / "clean.npy"
        before = path.stat()
        np.save(path, rows_of(1500, 1))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    else:
        os.utime(interrupted.folder / "clean.npy", ns=(0, 0))

    assert "resuming" not in train(interrupted).err


def test_a_damaged_checkpoint_is_named_and_training_starts_over(interrupted, work, unbroken):
    path = work / "checkpoint"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    found = train(interrupted)

    assert f"{path}: does not match its checksum; training starts over" in found.err
    assert found.facts["model_id"] == train(unbroken).facts["model_id"]
    assert not work.exists()


def test_a_full_disk_costs_the_checkpoint_and_not_the_training(bench, work, monkeypatch):
    def full(path, _):
        with refusals(path):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(checkpoint, "SHORTEST", 0.0)
    monkeypatch.setattr(storage.checkpoints, "write_bytes", full)
    found = train(bench)

    assert "training goes on without this checkpoint" in found.err
    assert "No space left on device" in found.err
    assert not work.exists()


def test_a_short_training_writes_no_checkpoint(bench, monkeypatch):
    monkeypatch.setattr(checkpoint, "SHORTEST", 600.0)
    monkeypatch.setattr(checkpoint, "write_checkpoint", None)
    train(bench)


def test_checkpoints_take_a_small_share_of_the_time(tmp_path, monkeypatch):
    """Time passes only in writes, 2 seconds each, and in epochs, 1 second each."""
    now, written = [0.0], []

    def write(*_, **__):
        now[0] += 2.0
        written.append(now[0])

    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(checkpoint, "write_checkpoint", write)
    monkeypatch.setattr(checkpoint, "state_bytes", lambda _: b"")
    shown = EpochsShown(9, print, ExitStack())
    between = checkpoint.Checkpoint(tmp_path / "none", lambda: "", epochs=9).between(shown)
    for _ in range(1_000):
        now[0] += 1.0
        between.keep(lambda: None)

    assert written[:3] == [3.0, 105.0, 207.0]


def test_an_abandoned_checkpoint_is_pruned_as_old_work(interrupted, work):
    soon, later = (date.today() + timedelta(days=days) for days in (10, 20))

    assert prune(interrupted.job, yes=False, today=soon).facts["folders"] == []
    assert [
        each["path"] for each in prune(interrupted.job, yes=True, today=later).facts["folders"]
    ] == [str(work)]
    assert not work.exists()
