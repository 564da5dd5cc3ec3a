"""The promotion gate through the commands: the training report, and rollback."""

from __future__ import annotations

import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from bench import DAY, rows_of

import storage.models
from aemodel.training.promotion_gate import judge_challenger
from flows.training import train
from storage.models import champion_lock, read_champion


def page_of(result):
    from pathlib import Path

    return (Path(result.facts["path"]) / "training.html").read_text()


def scores_of(bench):
    return pq.read_table(bench.workspace / f"scores/small/date={DAY}/part-00000.parquet").select(
        ["error", "p_value"]
    )


def test_the_report_of_a_promoted_challenger_shows_every_check(bench):
    np.save(bench.folder / "clean.npy", rows_of(1500, 7))
    result = bench.run("train", bench.job, "--set", "train.epochs=30")
    page = page_of(result)

    assert (result.code, result.facts["promoted"]) == (0, True)
    assert "PASSED THE GATE" in page
    assert page.count('class="good">passed') == 5
    assert all(
        words in page
        for words in (
            "synthetic anomalies AUROC",
            "dead latents",
            "champion&#39;s scores moved by",
            "error difference low",
        )
    )


def test_training_again_on_the_same_rows_keeps_the_champion(bench):
    history = bench.run("models", "show", bench.job).facts
    result = bench.run("train", bench.job)

    assert (result.code, result.facts["promoted"]) == (0, True)
    assert result.facts["why"] == "already champion: the same rows and settings give the same model"
    assert bench.run("models", "show", bench.job).facts == history


def test_a_model_of_clean_rows_in_other_units_is_refused(bench):
    before = bench.run("models", "list", bench.job).facts["current"]
    np.save(bench.folder / "clean.npy", rows_of(1500, 7) * 1.5)
    result = bench.run("train", bench.job)

    assert (result.code, result.facts["promoted"]) == (0, False)
    assert 'class="bad">refused' in page_of(result)
    assert "contaminated or have changed" in result.facts["why"]
    assert bench.run("models", "list", bench.job).facts["current"] == before


def test_a_challenger_is_judged_again_if_the_champion_changed_meanwhile(bench, monkeypatch):
    first = bench.run("models", "list", bench.job).facts["current"]
    other = bench.run("train", bench.job, "--set", "train.seed=1").facts["model_id"]
    bench.run("models", "promote", bench.job, first)
    judged = []

    def judge(trained, champion, passes, *, by, blocks):
        judged.append(champion.calibration.tolist())
        if len(judged) == 1:
            bench.run("models", "promote", bench.job, other)
        return judge_challenger(trained, champion, passes, by=by, blocks=blocks)

    monkeypatch.setattr(train, "judge_challenger", judge)
    result = bench.run("train", bench.job, "--set", "train.seed=2")

    assert result.code == 0
    assert len(judged) == 2
    assert judged[0] != judged[1]
    log = (bench.workspace / "logs/train.log").read_text()
    assert f"model {other} became champion meanwhile; judging against it" in log


def test_promoting_by_hand_and_rolling_back_take_the_lock_of_the_champion(bench, monkeypatch):
    monkeypatch.setattr(storage.models, "CHANGE_SECONDS", 0)
    models = bench.workspace / "models/small"
    model_id = read_champion(models).current
    with champion_lock(models):
        promoted = bench.run("models", "promote", bench.job, model_id)
        rolled_back = bench.run("models", "rollback", bench.job)

    assert (promoted.code, rolled_back.code) == (2, 2)
    assert len(read_champion(models).history) == 1


def test_rollback_restores_errors_and_p_values(bench):
    bench.night()
    bench.score()
    before = scores_of(bench)
    other = bench.run(
        "train", bench.job, "--set", "train.seed=1", "--set", "train.calibration=0.2"
    ).facts["model_id"]
    bench.run("models", "promote", bench.job, other)
    bench.score()
    between = scores_of(bench)
    bench.run("models", "rollback", bench.job)
    bench.score()

    assert before != between
    assert scores_of(bench) == before


@pytest.mark.parametrize("damage", ["weights", "folder"])
def test_training_beside_a_damaged_champion_says_how_to_do_without_it(bench, damage):
    models = bench.workspace / "models/small"
    folder = models / read_champion(models).current
    if damage == "folder":
        shutil.rmtree(folder)
    else:
        (folder / "model.safetensors").write_bytes(b"x")
    failed = bench.run("train", bench.job)
    assert failed.code == 1
    assert f"train without one, delete {folder} and {models / 'champion.json'}" in failed.err

    shutil.rmtree(folder, ignore_errors=True)
    (models / "champion.json").unlink()
    assert bench.run("train", bench.job).facts["promoted"] is True
