"""prune deletes under the lock of whoever writes a folder; looking writes nothing."""

from __future__ import annotations

import tempfile
from datetime import date, timedelta
from pathlib import Path

import pytest
from bench import DAY

from flows.operations import prune as module
from flows.operations.prune import prune
from storage.files.locks import is_locked, lock
from storage.models import read_champion
from storage.nights.revisions import NIGHT, mark_ready

LATER = date.today() + timedelta(days=400)


@pytest.fixture
def old(bench):
    """Old folders of several kinds, by the lock of who writes them."""
    bench.job.write_text(f"{bench.job.read_text()}\n[retention]\nscores = 1\nlatents = 1\n")
    folders = {
        "small-left.lock": bench.workspace / ".work/small-left",
        "small-score-2020-01-01.lock": bench.workspace / "scores/small/date=2020-01-01",
        "small-encode-rows-1.lock": bench.workspace / "latents/small/rows-1",
    }
    for folder in folders.values():
        folder.mkdir(parents=True)
        (folder / "manifest.json").touch()
    return {bench.workspace / ".work" / name: folder for name, folder in folders.items()}


def test_a_folder_is_deleted_under_the_lock_of_whoever_writes_it(bench, old, monkeypatch):
    held = {}
    names = {folder: name for name, folder in old.items()}
    monkeypatch.setattr(
        module, "_delete", lambda _, folder: held.update({folder: is_locked(names[folder])})
    )
    prune(bench.job, yes=True, today=LATER)

    assert held == dict.fromkeys(old.values(), True)


def test_work_in_progress_is_not_listed(bench, old):
    [(path, folder), *_] = old.items()

    with lock(path):
        facts = prune(bench.job, yes=True, today=LATER).facts
    assert folder.exists()
    assert str(folder) not in {each["path"] for each in facts["folders"]}


def test_what_another_process_writes_is_kept_and_named(bench, old):
    [_, (path, folder), _] = old.items()
    with lock(path):
        done = prune(bench.job, yes=True, today=LATER)

    assert folder.exists()
    assert [each["path"] for each in done.facts["in_use"]] == [str(folder)]
    assert f"{folder.relative_to(bench.workspace)}  kept: in use" in done.text


def test_a_model_promoted_after_the_listing_is_kept(bench, monkeypatch):
    models = bench.workspace / "models/small"
    first = read_champion(models).current
    others = [
        bench.run("train", bench.job, "--set", f"train.seed={seed}").facts["model_id"]
        for seed in (1, 2)
    ]
    for each in (others[0], first, others[0], first):
        bench.run("models", "promote", bench.job, each)
    measure = module.bytes_below

    def promote_meanwhile(folder):
        if folder == models / others[1]:
            bench.run("models", "promote", bench.job, others[1])
        return measure(folder)

    monkeypatch.setattr(module, "bytes_below", promote_meanwhile)
    prune(bench.job, yes=True, today=LATER)

    assert (models / others[1]).exists()


def test_a_night_whose_publication_was_interrupted_is_kept(bench):
    night = bench.workspace / f".work/small-score-{DAY}" / NIGHT
    night.mkdir(parents=True)
    mark_ready(night, 2)

    prune(bench.job, yes=True, today=LATER)

    assert night.exists()


@pytest.mark.parametrize("words", [["status"], ["models", "list"], ["models", "show"], ["prune"]])
def test_looking_needs_no_write_permission(bench, old, monkeypatch, words):
    more = [read_champion(bench.workspace / "models/small").current] if words[-1] == "show" else []
    before = everything(bench.workspace)

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    monkeypatch.setattr(Path, "mkdir", refuse)
    result = bench.run(*words, bench.job, *more)

    assert (result.code, result.err) == (words == ["status"], "")
    assert everything(bench.workspace) == before


def test_status_before_anything_was_written_creates_nothing(bench, tmp_path):
    job = tmp_path / "new.toml"
    job.write_text(bench.job.read_text())

    assert bench.run("status", job).code == 1
    assert not (tmp_path / "workspace").exists()


def everything(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in [folder, *folder.rglob("*")]}
