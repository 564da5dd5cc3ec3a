"""Which nights are due, with which model, and how they end."""

from __future__ import annotations

import json
import os
import shutil
import time
from datetime import date, timedelta

import numpy as np
import pytest
from bench import DAY
from nights import TONIGHT, promoted_on, run

from flows.engine.shard_tasks import group_shards
from flows.jobs.job_file import read_job
from flows.orchestration.local import LocalBackend
from flows.scoring.catch_up import due_nights
from storage.models import read_champion

pytestmark = pytest.mark.slow


def due(bench, *settings: str, day: date = TONIGHT) -> list[tuple[str, str]]:
    return [(night.date, night.model) for night in due_nights(read_job(bench.job, settings), day)]


def verdicts(result) -> list[tuple[str, str]]:
    return [(day, getattr(each, "verdict", str(each))) for day, each in result.results.items()]


def test_nights_since_the_first_promotion_are_backfilled_oldest_first(bench):
    promoted_on(bench, "2026-11-20")

    assert due(bench) == [("2026-11-20", "as-of"), ("2026-11-21", "as-of"), (DAY, "")]
    assert due(bench, "schedule.max_catch_up_days=1") == [("2026-11-21", "as-of"), (DAY, "")]


def test_only_tonight_is_due_before_the_first_promotion(bench):
    (bench.workspace / "models/small/champion.json").unlink()

    assert due(bench) == [(DAY, "")]


def test_a_machine_that_was_off_for_three_nights_backfills_all_of_them(bench):
    promoted_on(bench, "2026-11-19")
    for day in ("2026-11-19", "2026-11-20", "2026-11-21", DAY):
        bench.night(day)
    first = run(bench, day=date(2026, 11, 19))
    later = run(bench)

    assert [day for day, _ in verdicts(first)] == ["2026-11-19"]
    assert [day for day, _ in verdicts(later)] == ["2026-11-20", "2026-11-21", DAY]
    assert later.exit_code == 0


def test_a_finished_night_is_not_due_even_with_a_newer_model(bench):
    promoted_on(bench, DAY)
    bench.night()
    assert bench.score().code == 0
    other = bench.run("train", bench.job, "--set", "train.seed=1").facts["model_id"]
    bench.run("models", "promote", bench.job, other)

    assert due(bench) == []
    assert [each.written for each in run(bench).results.values()] == [False]


def test_a_night_without_data_says_where_it_was_sought_as_the_job_file_does(bench):
    bench.score()
    report = bench.workspace / f"reports/small/{DAY}/rev=1"
    where = json.loads((report / "summary.json").read_text())["promise"]

    assert where.startswith(f"nights/{DAY}.npy: no files found")


@pytest.mark.parametrize(
    ("key", "path", "said"),
    [
        ("incoming", "elsewhere/{date}.npy", f"{DAY}.npy: no files found"),
        ("ready", "elsewhere/{date}.done", f"{DAY}.done"),
    ],
)
def test_an_absolute_path_of_a_night_without_data_is_not_in_its_report(
    bench, tmp_path, key, path, said
):
    bench.night()
    bench.score("--set", f"data.{key}={tmp_path}/{path}")
    report = bench.workspace / f"reports/small/{DAY}/rev=1"
    where = json.loads((report / "summary.json").read_text())["promise"]

    assert where.startswith(said)


def test_a_night_without_data_is_due_again_once_its_data_arrive(bench):
    promoted_on(bench, "2026-11-21")
    assert verdicts(run(bench, day=date(2026, 11, 21))) == [("2026-11-21", "NO DATA")]
    assert due(bench) == [(DAY, "")]

    bench.night("2026-11-21")
    bench.night()

    assert due(bench) == [("2026-11-21", "as-of"), (DAY, "")]
    done = run(bench)
    assert [each.revision for each in done.results.values()] == [2, 1]
    assert due(bench) == []


def test_late_data_become_a_revision_scored_by_the_same_model(bench):
    promoted_on(bench, "2026-11-21")
    path = bench.night("2026-11-21")
    bench.night()
    run(bench)
    first = read_champion(bench.workspace / "models/small").current
    other = bench.run("train", bench.job, "--set", "train.seed=1").facts["model_id"]
    bench.run("models", "promote", bench.job, other)
    np.save(path, np.concatenate([np.load(path), np.load(path)[:10] + 1]))

    assert due(bench) == [("2026-11-21", first)]
    done = run(bench).results["2026-11-21"]
    assert (done.revision, done.rows) == (2, 310)
    assert due(bench) == []


def test_an_input_that_was_only_touched_is_rechecked_once(bench):
    promoted_on(bench, DAY)
    path = bench.night()
    bench.score()
    os.utime(path, (1, 1))
    assert due(bench) == [(DAY, read_champion(bench.workspace / "models/small").current)]

    assert [each.written for each in run(bench).results.values()] == [False]
    assert due(bench) == []
    assert bench.run("verify", bench.workspace / f"reports/small/{DAY}/rev=1").facts["ok"]


def test_a_partial_night_is_finished_by_the_model_that_started_it(bench):
    path = bench.night("2026-11-21", n=50_000)
    promoted_on(bench, "2026-11-21")
    rows = np.load(path)
    np.save(path, np.concatenate([rows[:-1], np.full((1, 8), np.nan)]))
    assert bench.score(day="2026-11-21").facts["verdict"].startswith("PARTIAL")

    assert due(bench)[0] == ("2026-11-21", read_champion(bench.workspace / "models/small").current)


def test_an_unexpected_error_at_the_oldest_night_does_not_block_tonight(bench, monkeypatch):
    promoted_on(bench, "2026-11-21")
    bench.night("2026-11-21")
    bench.night()
    score = LocalBackend.score

    def fail_once(backend, request):
        if request.date == "2026-11-21":
            raise ZeroDivisionError("a bug")
        return score(backend, request)

    monkeypatch.setattr(LocalBackend, "score", fail_once)
    nights = run(bench)
    in_range = bench.run("score", bench.job, "--from", "2026-11-21", "--to", DAY)

    assert "see the log: ZeroDivisionError: a bug" in nights.to_text()
    assert (nights.exit_code, nights.results[DAY].written) == (1, True)
    assert [each["code"] for each in in_range.facts["nights"]] == [1, 0]


def test_an_unreadable_revision_of_an_older_night_does_not_block_tonight(bench):
    promoted_on(bench, "2026-11-21")
    bench.night("2026-11-21")
    bench.night()
    run(bench, day=date(2026, 11, 21))
    (bench.workspace / "reports/small/2026-11-21/rev=1/summary.json").write_text("{")

    assert due(bench) == [("2026-11-21", "as-of"), (DAY, "")]
    nights = run(bench)
    assert isinstance(nights.results["2026-11-21"], Exception)
    assert nights.results[DAY].written


def test_an_input_counts_only_with_its_marker(bench):
    bench.night()
    wanted = ["--set", "data.ready=nights/{date}.done"]
    early = bench.score(*wanted)
    (bench.folder / f"nights/{DAY}.done").touch()

    assert (early.code, early.facts["verdict"]) == (3, "NO DATA")
    assert bench.score(*wanted).code == 0


def test_an_input_that_is_still_being_written_is_not_scored_until_it_settles(bench):
    path = bench.night()
    early = bench.score("--set", "data.settle=10 min")
    os.utime(path, (time.time() - 700, time.time() - 700))
    later = bench.score("--set", "data.settle=10 min")

    assert (early.code, early.facts["verdict"], early.facts["revision"]) == (3, "NO DATA", 1)
    assert (later.code, later.facts["revision"], later.facts["rows"]) == (0, 2, 300)


def test_an_empty_input_is_an_error_only_after_it_settles(bench):
    path = bench.night()
    path.write_bytes(b"")
    early = bench.score("--set", "data.settle=10 min")
    os.utime(path, (time.time() - 700, time.time() - 700))
    later = bench.score("--set", "data.settle=10 min")

    assert (early.code, early.facts["verdict"]) == (3, "NO DATA")
    assert (later.code, "empty; expected a file with rows" in later.err) == (1, True)


def test_an_input_that_changes_while_it_is_read_is_not_published(bench, monkeypatch):
    path = bench.night()
    rows = np.load(path)
    np.save(path, rows[:200])

    def change_input(source, shards):
        np.save(path, rows)
        return group_shards(source, shards)

    with monkeypatch.context() as patch:
        patch.setattr("flows.engine.shard_job.group_shards", change_input)
        early = bench.score()
    assert (early.code, "changed while it was read" in early.err) == (2, True)
    assert not list((bench.workspace / "reports").glob("*/*/rev=*"))
    assert (bench.score().facts["rows"], bench.score().facts["revision"]) == (300, 1)


def test_an_old_model_is_noted_in_the_report_then_refused(bench):
    trained = date.today()
    for days, code in ((1, 0), (5, 0), (9, 1)):
        day = (trained + timedelta(days=days)).isoformat()
        bench.night(day)
        result = bench.score("--set", "schedule.max_model_age_days=4", day=day)
        assert result.code == code
        if code == 0:
            summary = bench.workspace / f"reports/small/{day}/rev=1/summary.json"
            assert ("was trained" in summary.read_text()) == (days == 5)
    assert "run 'nightglass train'" in result.err


def test_a_full_disk_is_an_error_before_anything_is_written(bench, monkeypatch):
    bench.night()
    usage = shutil.disk_usage(bench.folder)
    monkeypatch.setattr(
        "flows.engine.disk_space.shutil.disk_usage", lambda _: usage._replace(free=1_000_000)
    )
    result = bench.score()

    assert (result.code, "nothing was written" in result.err) == (2, True)
    assert not (bench.workspace / "reports").exists()


@pytest.mark.parametrize(
    "text",
    [
        "data.settle=soon",
        "schedule.cron=daily",
        "data.ready=done",
        "score.runner=ray",
        "alert.block=slack",
        "alert.webhook=https://x",
    ],
)
def test_the_error_for_a_wrong_setting_names_its_key(bench, text):
    result = bench.score("--set", text)

    assert (result.code, text.partition("=")[0] in result.err) == (2, True)
