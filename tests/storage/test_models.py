"""Model bundles named by their content, the champion and its history, and the lock of a run."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date
from socket import gethostname
from zoneinfo import ZoneInfo

import pytest

import storage.models
from storage.errors import DamagedError, LockedError, WorkspaceError
from storage.files.locks import lock
from storage.models import (
    Promotion,
    champion_lock,
    list_models,
    load_bundle,
    previous_model,
    promote,
    read_champion,
    save_bundle,
)

HOLD_LOCK = """
from pathlib import Path
from storage.files.locks import lock
with lock(Path({path!r})):
    print("held", flush=True)
    input()
"""
FILES = {"model.safetensors": b"weights", "model.json": b"{}"}


def save(models, text=b"{}"):
    return save_bundle(
        models,
        {**FILES, "model.json": text},
        work=models.parent / "work",
        extra={"training.html": b"<p>"},
        run={},
    )


def promotion(model_id, since):
    return Promotion(model_id, since, by="train", why="better")


def test_the_same_bundle_has_the_same_id_and_is_written_once(tmp_path):
    first = save(tmp_path / "models")

    assert save(tmp_path / "models") == first
    assert list_models(tmp_path / "models") == [first]
    assert load_bundle(tmp_path / "models", first) == FILES


def test_promotion_and_rollback_keep_the_history(tmp_path):
    models = tmp_path / "models"
    one, two = save(models), save(models, b'{"a": 1}')
    assert read_champion(models) is None
    promote(models, promotion(one, "2026-01-01T00:00:00+00:00"))
    promote(models, promotion(two, "2026-02-01T00:00:00+00:00"))

    assert read_champion(models).current == two
    assert previous_model(models) == one
    assert [read_champion(models).as_of(date(2026, month, 15), UTC) for month in (1, 2)] == [
        one,
        two,
    ]


@pytest.mark.parametrize(
    ("zone", "expected"), [("UTC", 1), ("Pacific/Auckland", 0), ("America/New_York", 1)]
)
def test_the_champion_of_a_day_depends_on_the_time_zone(tmp_path, zone, expected):
    models = tmp_path / "models"
    both = save(models), save(models, b'{"a": 1}')
    for model_id, since in zip(
        both, ("2026-01-01T00:00:00+00:00", "2026-02-01T20:00:00+00:00"), strict=True
    ):
        promote(models, promotion(model_id, since))

    assert read_champion(models).as_of(date(2026, 2, 1), ZoneInfo(zone)) == both[expected]


def test_without_a_champion_there_is_no_earlier_model(tmp_path):
    with pytest.raises(WorkspaceError, match="no earlier model"):
        previous_model(tmp_path)


def test_an_unknown_model_lists_the_known_ones(tmp_path):
    known = save(tmp_path / "models")

    with pytest.raises(WorkspaceError, match=f"no such model; there are: {known}"):
        load_bundle(tmp_path / "models", "123")


def test_a_missing_champion_says_what_to_do(tmp_path):
    model_id = save(tmp_path / "models")
    promote(tmp_path / "models", promotion(model_id, "2026-11-22T00:00:00+00:00"))
    (tmp_path / "models" / model_id).rename(tmp_path / "elsewhere")

    with pytest.raises(
        DamagedError,
        match=r"the champion is missing; restore the folder, or remove champion.json beside it",
    ):
        load_bundle(tmp_path / "models", model_id)


def test_a_changed_model_is_refused_by_file(tmp_path):
    model_id = save(tmp_path / "models")
    (tmp_path / "models" / model_id / "model.safetensors").write_bytes(b"Weights")

    with pytest.raises(DamagedError, match=r"model.safetensors: does not match its checksum"):
        load_bundle(tmp_path / "models", model_id)


def test_a_damaged_champion_is_named(tmp_path):
    (tmp_path / "champion.json").write_text("{")

    with pytest.raises(DamagedError, match=r"champion.json: not readable"):
        read_champion(tmp_path)


def test_promotions_and_rollbacks_side_by_side_wait_for_each_other(tmp_path, monkeypatch):
    monkeypatch.setattr(storage.models, "CHANGE_SECONDS", 0)

    with (
        champion_lock(tmp_path),
        pytest.raises(LockedError, match=r"champion\.json: process .* is at work on it"),
        champion_lock(tmp_path),
    ):
        pass


def test_a_held_lock_names_its_holder_and_is_freed_when_the_holder_dies(tmp_path):
    path = tmp_path / "a.lock"
    code = HOLD_LOCK.format(path=str(path))
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(LockedError, match=f"process {holder.pid} on {gethostname()} is"),
            lock(path),
        ):
            pass
        holder.kill()
        holder.wait()
    with lock(path):
        pass
