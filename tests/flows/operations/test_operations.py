"""status, label, prune, serve and alerts, as an operator uses them."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow.parquet as pq
import pytest
from bench import DAY, tree
from hook import listening
from nights import promoted_on, run

from flows.errors import FlowError
from flows.jobs.dates import due_date, last_start, next_start, yesterday
from flows.jobs.job_file import read_job
from flows.operations.prune import prune
from flows.operations.status import status_of
from flows.orchestration import serve as serving
from flows.scoring.alerts import send_alert, top_causes
from storage.errors import WorkspaceError
from storage.models import read_champion

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)


@pytest.fixture
def hook(monkeypatch):
    """A web server that records what is posted to it."""
    with listening() as (url, got):
        monkeypatch.setenv("SMALL_HOOK", url)
        yield got


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-03-28", 23), ("2026-10-24", 25), ("2026-11-22", 24)]
)
@pytest.mark.parametrize("cron", ["0 4 * * *", "30 2 * * *"])
def test_each_day_has_one_run_across_daylight_saving_changes(bench, day, hours, cron):
    job = read_job(bench.job, ["schedule.timezone=Europe/Berlin", f"schedule.cron={cron}"])
    noon = datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=BERLIN)
    starts = [next_start(job, noon)]
    for _ in range(3):
        starts.append(next_start(job, starts[-1]))

    first = noon.date()
    assert [yesterday(job, start) for start in starts] == [
        first + timedelta(days=back) for back in range(4)
    ]
    next_noon = datetime.combine(noon.date() + timedelta(days=1), noon.timetz())
    assert next_noon.astimezone(UTC) - noon.astimezone(UTC) == timedelta(hours=hours)
    assert last_start(job, starts[1] + timedelta(minutes=1)) == starts[1]


def test_the_last_start_at_the_exact_second_of_a_start_is_that_start(bench):
    job = read_job(bench.job, ["schedule.timezone=Europe/Berlin"])
    start = datetime(2026, 11, 22, 4, tzinfo=BERLIN)

    moments = [start + timedelta(microseconds=each) for each in (-1, 0, 1, 999_999)]
    assert [last_start(job, moment).day for moment in moments] == [21, 22, 22, 22]
    assert [due_date(job, moment).day for moment in moments] == [20, 21, 21, 21]
    assert next_start(job, start).day == 23


@pytest.mark.parametrize(
    ("zone", "cron", "noon"),
    [
        ("America/Nuuk", "59 23 * * *", "2026-03-26T12:00"),
        ("America/Nuuk", "59 23 * * *", "2026-10-22T12:00"),
        ("Africa/Cairo", "30 0 * * *", "2026-04-21T12:00"),
        ("America/Santiago", "0 0 * * *", "2026-09-03T12:00"),
    ],
)
def test_no_data_date_is_skipped_or_repeated_where_the_clock_changes_at_night(
    bench, zone, cron, noon
):
    job = read_job(bench.job, [f"schedule.timezone={zone}", f"schedule.cron={cron}"])
    starts = [next_start(job, datetime.fromisoformat(noon).replace(tzinfo=ZoneInfo(zone)))]
    for _ in range(5):
        starts.append(next_start(job, starts[-1]))

    days = [due_date(job, start) for start in starts]
    assert days == [days[0] + timedelta(days=number) for number in range(6)]
    assert [due_date(job, start + timedelta(minutes=50)) for start in starts] == days


def test_status_reports_problems_until_they_are_solved(bench):
    promoted_on(bench, DAY)
    early = status_of(bench.job, now=NOW)
    bench.night()
    bench.score()
    late = status_of(bench.job, now=NOW)

    assert (early.exit_code, early.problems) == (1, [f"{DAY}: not scored yet"])
    assert early.to_json()["last_good_night"] is None
    assert (late.exit_code, late.problems) == (0, [])
    assert late.to_json()["last_good_night"] == DAY
    assert late.to_json()["next_run"].startswith("2026-11-24T04:00")


def test_status_lists_nights_too_old_to_be_backfilled_with_the_command_that_scores_them(bench):
    promoted_on(bench, "2026-11-10")
    old = ["2026-11-10", "2026-11-12", "2026-11-13"]
    for day in [*old, "2026-11-20", "2026-11-21", DAY]:
        bench.night(day)
    bench.job.write_text(bench.job.read_text() + "[schedule]\nmax_catch_up_days = 2\n")
    run(bench)
    found = status_of(bench.job, now=NOW).problems

    why = "input but no scores, and older than schedule.max_catch_up_days = 2: run 'nightglass"
    assert found == [
        f"2026-11-10: {why} score JOB --model as-of --date 2026-11-10'",
        f"2026-11-12 to 2026-11-13: {why} score JOB --model as-of --from 2026-11-12 "
        "--to 2026-11-13'",
    ]
    for problem in found:
        words = problem.rpartition("nightglass ")[2].rstrip("'").replace("JOB", str(bench.job))
        assert bench.run(*words.split()).code == 0
    assert status_of(bench.job, now=NOW).problems == []


def test_the_text_of_status_has_a_line_for_each_fact(bench):
    promoted_on(bench, DAY)
    bench.night()
    bench.score()
    found = status_of(bench.job, now=NOW)
    text = found.to_text()

    assert text.startswith("small: nothing to do\n  last night       2026-11-22: ")
    assert f"\n  last good night  {DAY}\n" in text
    assert f"\n  model            {found.to_json()['model_id']}, trained " in text
    assert "\n  next run         2026-11-24 04:00 UTC\n" in text
    assert "None" not in text


def test_status_lists_open_problems_first_and_nights_without_data(bench):
    promoted_on(bench, "2026-11-21")
    bench.score(day="2026-11-21")
    np.save(bench.night(), np.ones((5, 3)))
    run(bench)
    found = status_of(bench.job, now=NOW)
    lines = found.to_text().splitlines()

    assert lines[0] == "small: 1 open problem"
    assert lines[1].startswith(f"  ! {DAY}: stopped before scoring: ")
    assert "  without data     2026-11-21" in lines
    assert found.exit_code == 1
    assert found.to_json()["last_good_night"] is None
    assert found.to_json()["without_data"] == ["2026-11-21"]
    assert found.to_json()["last_night"] == {
        "date": DAY,
        "verdict": "FAILED",
        "revision": 1,
        "rows": 0,
        "flagged": 0,
        "events": False,
    }


def test_status_does_not_import_torch():
    code = "import sys, flows.operations.status; sys.exit('torch' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_status_reports_a_missing_champion(bench):
    current = bench.run("models", "list", bench.job).facts["current"]
    (bench.workspace / "models/small" / current).rename(bench.folder / "elsewhere")

    problems = bench.run("status", bench.job).facts["problems"]
    assert any(f"champion {current} is missing from " in problem for problem in problems)


def test_status_of_a_job_without_a_champion(bench):
    found = bench.run("status", bench.job, "--json")
    for path in (bench.workspace / "models/small").rglob("champion.json"):
        path.unlink()
    result = bench.run("status", bench.job)

    assert found.facts["model_id"]
    assert (result.code, result.facts["problems"]) == (
        1,
        [
            f"no champion: the newest model, {found.facts['model_id']}, is not promoted; see "
            "training.html in its folder, train again, or run "
            f"'nightglass models promote JOB {found.facts['model_id']}'"
        ],
    )


def test_prune_keeps_what_is_needed_and_deletes_only_with_yes(bench):
    path = bench.night()
    bench.score()
    np.save(path, np.load(path)[:-1])
    bench.score()
    first = read_champion(bench.workspace / "models/small").current
    other = bench.run("train", bench.job, "--set", "train.seed=1").facts["model_id"]
    third = bench.run("train", bench.job, "--set", "train.seed=2").facts["model_id"]
    for each in (first, other):  # the last two champions, whatever the gate decided
        bench.run("models", "promote", bench.job, each)
    (bench.workspace / ".work/small-left").mkdir()
    (bench.workspace / "models/small-two").mkdir()
    (bench.workspace / ".work/small-two-score-2026-11-22").mkdir()
    later = date.today() + timedelta(days=400)

    dry = prune(bench.job, yes=False, today=later)
    kinds = {(each["kind"], each["path"].rpartition("/")[2]) for each in dry.facts["folders"]}
    assert {("superseded", f"date={DAY}"), ("models", third), ("work", "small-left")} <= kinds
    assert not {other, "small-two-score-2026-11-22"} & {name for _, name in kinds}
    assert (bench.workspace / "models/small" / third).exists()

    prune(bench.job, yes=True, today=later)
    assert not (bench.workspace / "models/small" / third).exists()
    assert bench.run("models", "rollback", bench.job).code == 0
    assert bench.run("verify", bench.workspace / f"scores/small/date={DAY}").facts["ok"]
    assert bench.score().code == 0
    assert prune(bench.job, yes=False, today=later).facts["folders"] == []


def test_an_alert_has_verdict_budget_causes_and_link_of_each_night(bench, hook):
    promoted_on(bench, "2026-11-21")
    bench.night("2026-11-21")
    bench.night(outliers=9)
    settings = ("alert.webhook=SMALL_HOOK", "alert.reports_url=http://reports/")
    job = read_job(bench.job, settings)
    assert send_alert(job, run(bench, *settings))
    assert not send_alert(job, run(bench, *settings))

    [text] = hook
    assert text.startswith(f"small {DAY}: REVIEW")
    assert "(budget 200)" in text
    assert f"http://reports/small/{DAY}/rev=1/report.html" in text
    assert "small 2026-11-21" in text
    rows = pq.read_table(
        bench.workspace / f"reports/small/{DAY}/rev=1/outliers.parquet"
    ).to_pylist()
    causes = [line for line in text.partition("\n\n")[0].splitlines() if line.startswith("- ")]
    assert causes == top_causes([(row["id"], row["cause"]) for row in rows if row["flagged"]])
    assert 0 < len(causes) <= 3


def test_prune_deletes_what_an_interrupted_prune_left(bench, monkeypatch):
    (bench.workspace / ".work/small-left").mkdir()
    (bench.workspace / ".work/small-left/rows").touch()
    later = date.today() + timedelta(days=400)
    with monkeypatch.context() as patch:
        patch.setattr("flows.operations.prune.shutil.rmtree", Path.rmdir)  # fails: not empty
        with pytest.raises(WorkspaceError, match="could not be deleted"):
            prune(bench.job, yes=True, today=later)
    (bench.workspace / ".work/small-left").mkdir()  # the same work, started again
    prune(bench.job, yes=True, today=later)
    prune(bench.job, yes=True, today=later)

    assert not [path for path in (bench.workspace / ".work").iterdir() if path.is_dir()]


def test_the_most_frequent_cause_comes_first():
    flow = "flow is 2, above the 1 expected"
    cold = [
        (f"c{each}", f"heat is {each}, below the 20 expected (9{each}% of the error); {flow}")
        for each in range(4)
    ]
    other = [
        ("a", "heat is 99, above the 20 expected (80% of the error)"),
        ("b", "left (rows 3–5, columns 0–2): lower than expected, 50%"),
    ]

    assert top_causes([*other, *cold, ("z", "something else"), ("y", "and more")]) == [
        f"- 4 rows like row c0: {cold[0][1]}",
        f"- row a: {other[0][1]}",
        f"- row b: {other[1][1]}",
    ]


def test_a_failure_that_is_rechecked_is_reported_once(bench, hook):
    promoted_on(bench, DAY)
    np.save(bench.night(), np.ones((5, 3)))
    job = read_job(bench.job, ["alert.webhook=SMALL_HOOK"])
    sent = [send_alert(job, run(bench)) for _ in range(3)]

    assert sent == [True, False, False]
    assert hook[0].startswith(f"small {DAY}: FAILED\n")
    assert "rows must have shape" in hook[0]
    assert hook[0].endswith("/workspace/reports/small/index.html")


def test_an_alert_that_cannot_be_delivered_is_an_error(bench, monkeypatch):
    promoted_on(bench, DAY)
    bench.night()
    monkeypatch.setenv("SMALL_HOOK", "http://127.0.0.1:9/")

    with pytest.raises(FlowError, match="delivery to the URL in SMALL_HOOK failed"):
        send_alert(read_job(bench.job, ["alert.webhook=SMALL_HOOK"]), run(bench))


def test_an_undelivered_alert_is_sent_with_the_next_one(bench, hook, monkeypatch):
    promoted_on(bench, DAY)
    bench.night(outliers=9)
    job = read_job(bench.job, ["alert.webhook=SMALL_HOOK"])
    url = os.environ["SMALL_HOOK"]
    monkeypatch.setenv("SMALL_HOOK", f"{url}refuse")
    for _ in range(2):
        with pytest.raises(FlowError, match="delivery to the URL in SMALL_HOOK failed"):
            send_alert(job, run(bench))
    monkeypatch.setenv("SMALL_HOOK", url)

    assert [send_alert(job, run(bench)) for _ in range(2)] == [True, False]
    assert [text.count(f"small {DAY}: REVIEW") for text in hook] == [1]


def test_the_scheduler_scores_due_nights_and_prints_each_once(bench, capsys, monkeypatch):
    first = last_start(read_job(bench.job), datetime.now(UTC))
    day = yesterday(read_job(bench.job), first).isoformat()
    promoted_on(bench, day)
    bench.night(day)
    waits = []

    def stop(seconds):
        waits.append(seconds)
        if len(waits) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(serving.time, "sleep", stop)
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with pytest.raises(KeyboardInterrupt):
        serving.serve([bench.job], prefect=None)

    printed = capsys.readouterr().out
    assert "small: next run" in printed
    assert printed.count(f"\nsmall: {day}: OK, ") == 1
    assert all(0 < seconds <= 1800 for seconds in waits)
    assert (bench.workspace / f"reports/small/{day}/rev=1/report.html").exists()


def test_a_broken_job_file_does_not_stop_other_jobs(bench, capsys, monkeypatch):
    broken = bench.folder / "broken.toml"
    broken.write_text(bench.job.read_text())

    def stop(_):
        if "[data" in broken.read_text()[-5:]:
            raise KeyboardInterrupt
        broken.write_text("[data")

    monkeypatch.setattr(serving.time, "sleep", stop)
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with pytest.raises(KeyboardInterrupt):
        serving.serve([broken, bench.job], prefect=None)

    assert "broken.toml: not valid TOML" in capsys.readouterr().out


def test_an_unexpected_error_in_one_job_does_not_stop_other_jobs(bench, capsys, monkeypatch):
    def fail(job, *_):
        raise ZeroDivisionError(f"a bug in {job.name}")

    def stop(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(serving, "score_due", fail)
    monkeypatch.setattr(serving.time, "sleep", stop)
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with pytest.raises(KeyboardInterrupt):
        serving.serve([bench.job, bench.job], prefect=None)

    assert capsys.readouterr().out.count("see the log: ZeroDivisionError: a bug in small") == 2


@pytest.mark.slow
def test_finished_shards_survive_a_full_disk(bench, tmp_path, monkeypatch):
    """The workspace is on a disk that is too small for the night, then larger."""
    import shutil

    monkeypatch.setattr("flows.engine.disk_space.RESERVE", -(10**9))  # disables the early check
    path = bench.night(n=300_000)
    assert bench.score("--set", "data.shard_bytes=1 MB").code == 0
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=5m", "tmpfs", disk], check=False, capture_output=True
    ).returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        shutil.copytree(bench.workspace / "models", disk / "models", copy_function=shutil.copy2)
        options = ["--set", f"workspace={disk}", "--set", "data.shard_bytes=1 MB", "--source", path]
        full = bench.score(*options)
        assert full.code in (1, 2)
        assert "No space left" in full.err, full.err
        assert not (disk / "reports").exists()
        kept = list((disk / ".work").glob("*/parts-*/note-*.json"))
        subprocess.run(["mount", "-o", "remount,size=200m", disk], check=True)

        assert bench.score(*options).code == 0
        assert kept, "finished shards were kept"
        assert tree(disk / f"scores/small/date={DAY}") == tree(
            bench.workspace / f"scores/small/date={DAY}"
        )
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)  # the log is still open
