"""The flows on a temporary Prefect server: states, names, artifacts, and identical bytes."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from datetime import datetime, timedelta

import numpy as np
import pytest
from bench import DAY, Bench, tree
from hook import listening

from flows.jobs.dates import yesterday
from flows.jobs.job_file import read_job

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

CODE = """
import asyncio, json, os, sys
from flows.cli.demo import TEMPORARY_SERVER
os.environ.update(TEMPORARY_SERVER, PREFECT_HOME=sys.argv[2])
from pathlib import Path
from flows.scoring.alerts import send_alert
from flows.errors import FlowError, WorkFailed
from flows.jobs.job_file import read_job
from flows.scoring.result import NightsResult
from flows.jobs.requests import EncodeRequest, ScoreRequest, TrainRequest
from flows.orchestration.prefect_flows import PrefectBackend
from prefect import get_client
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.testing.utilities import prefect_test_harness

async def read_server():
    async with get_client() as client:
        runs = await client.read_flow_runs()
        artifacts = await client.read_artifacts()
        tasks = await client.read_task_runs()
        return {
            "runs": {run.name: [run.state_type.value, run.state_name] for run in runs},
            "artifacts": {a.key: [a.type, a.description, str(a.data)[:200000]] for a in artifacts},
            "tags": {run.name: sorted(run.tags) for run in runs},
            "stopped": [a.data for a in artifacts if str(a.data).startswith("# FAILED")],
            "tasks": sorted(task.name for task in tasks),
        }

def alert(path):
    body = {"text": "{{subject}}|{{body}}"}
    block = CustomWebhookNotificationBlock(name=path, url=sys.argv[3] + path, json_data=body)
    block.save(path, overwrite=True)
    block_name = f"{block.get_block_type_slug()}/{path}"
    settings = [f"alert.block={block_name}", "data.shard_bytes=1 MB"]
    try:
        return send_alert(read_job(Path(sys.argv[1]), settings), nights)
    except FlowError as error:
        return str(error)

with prefect_test_harness(server_startup_timeout=120):
    backend = PrefectBackend()
    common = {"job": sys.argv[1], "overrides": ("data.shard_bytes=1 MB",)}
    backend.train(TrainRequest(**common))
    backend.encode(EncodeRequest(**common))
    days = ("2026-11-22", "2026-11-23", "2026-11-24")
    nights = NightsResult({day: backend.score(ScoreRequest(**common, date=day)) for day in days})
    codes = {day: night.exit_code for day, night in nights.results.items()}
    try:
        backend.score(ScoreRequest(**common, date="2026-11-25"))
    except WorkFailed as error:
        print("stopped:", error)
    alerts = [alert("refuse"), alert("accept"), alert("accept")]
    print(json.dumps({"codes": codes, "alerts": alerts, **asyncio.run(read_server())}))
"""


@pytest.fixture(scope="module")
def recorded(trained_folder, tmp_path_factory):
    """Records of a server after train, encode, and three nights: outliers, garbage, no data."""
    import shutil

    folder = tmp_path_factory.mktemp("prefect")
    shutil.copytree(trained_folder, folder / "job", copy_function=shutil.copy2)
    bench = Bench(folder / "job")
    bench.night(DAY, n=60_000, outliers=150)
    bench.night("2026-11-23", n=500, outliers=400)
    (bench.folder / "nights/2026-11-25.npy").write_bytes(b"broken")
    with listening() as (address, got):
        command = [sys.executable, "-c", CODE, bench.job, folder / "home", address]
        found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    traces = [line for line in found.stderr.splitlines() if line.startswith("Traceback")]
    seen = json.loads(found.stdout.splitlines()[-1])
    return bench, seen | {"got": got, "traces": traces}


def test_an_alert_is_sent_once_through_a_notification_block_and_a_rejected_one_is_an_error(
    recorded,
):
    _, seen = recorded
    rejected, accepted, again = seen["alerts"]

    assert "alert.block: delivery to custom-webhook/refuse failed (" in rejected
    assert "500" in rejected
    assert (accepted, again) == (True, False), "the same message is not sent twice"
    [message] = seen["got"]
    assert message.startswith("small 2026-11-24: NO DATA|small 2026-11-24: NO DATA\n")
    assert "small 2026-11-23: FLOOD, " in message
    assert "rows flagged (budget 200)\n- " in message
    assert f"/reports/small/{DAY}/rev=1/report.html" in message


def test_a_run_is_named_after_job_and_date_and_its_state_after_the_verdict(recorded):
    _, seen = recorded

    assert seen["runs"]["train-small"] == ["COMPLETED", "PROMOTED"]
    assert seen["runs"]["encode-small"] == ["COMPLETED", "Completed"]
    kind, name = seen["runs"][f"score-small-{DAY}"]
    assert (kind, name.split()[0]) in [("COMPLETED", "REVIEW"), ("FAILED", "FLOOD")]
    assert seen["runs"]["score-small-2026-11-23"] == ["FAILED", "FLOOD"]
    assert seen["runs"]["score-small-2026-11-24"] == ["FAILED", "NO DATA"]
    assert seen["codes"] == {DAY: 0, "2026-11-23": 0, "2026-11-24": 3}


def test_runs_carry_the_name_of_their_job_as_a_tag(recorded):
    _, seen = recorded

    assert seen["tags"]["train-small"] == ["nightglass", "small"]
    assert seen["tags"]["score-small-2026-11-23"] == ["nightglass", "small"]


def test_a_night_that_its_input_stops_has_a_page_and_a_state_and_no_traceback(recorded):
    bench, seen = recorded
    report = bench.workspace / "reports/small/2026-11-25/rev=1/report.html"

    assert seen["runs"]["score-small-2026-11-25"] == ["FAILED", "FAILED"]
    assert report.exists()
    assert seen["traces"] == []
    [artifact] = seen["stopped"]
    assert artifact.startswith("# FAILED\n\n**Fix the cause and run it again.** Report: ")


def test_progress_is_on_the_page_of_its_run_and_not_in_the_list_of_artifacts(recorded):
    _, seen = recorded

    assert seen["artifacts"]["null"][0] == "progress"
    assert not [key for key in seen["artifacts"] if key.endswith("progress")]


def test_task_runs_are_named_after_their_shards(recorded):
    _, seen = recorded

    assert {"fit", "encode shard 0", "score shard 0", "score shard 3"} <= set(seen["tasks"])


def test_artifact_descriptions_summarize_the_run(recorded):
    _, seen = recorded
    artifacts = seen["artifacts"]

    assert {
        "small-train",
        "small-encode",
        "small-shards",
        "small-score",
        "small-outliers",
    } <= set(artifacts)
    assert "promoted" in artifacts["small-train"][1]
    assert "smaller than the source" in artifacts["small-encode"][1]
    assert "data:image/svg+xml" in artifacts["small-train"][2]
    assert artifacts["small-outliers"][0] == "table"
    assert "NaN" not in artifacts["small-outliers"][2]


def test_results_are_identical_with_and_without_prefect(recorded, tmp_path, trained_folder):
    import shutil

    bench, _ = recorded
    shutil.copytree(trained_folder, tmp_path / "job", copy_function=shutil.copy2)
    plain = Bench(tmp_path / "job")
    np.save(plain.night(DAY), np.load(bench.folder / f"nights/{DAY}.npy"))
    assert plain.score("--set", "data.shard_bytes=1 MB").code == 0

    for folder in (f"scores/small/date={DAY}", f"reports/small/{DAY}"):
        assert tree(plain.workspace / folder) == tree(bench.workspace / folder)


@pytest.mark.parametrize("cron", ["0 4 * * *", "30 2 * * *"])
@pytest.mark.parametrize("day", ["2026-03-27", "2026-10-23"])
def test_the_schedule_starts_one_run_per_data_date_across_clock_changes(bench, cron, day):
    from prefect.server.schemas.schedules import CronSchedule

    job = read_job(bench.job, [f"schedule.cron={cron}", "schedule.timezone=Europe/Berlin"])
    noon = datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=job.zone)
    schedule = CronSchedule(cron=job.schedule.cron, timezone=job.zone.key)
    starts = asyncio.run(schedule.get_dates(5, start=noon))
    dates = [noon.date() + timedelta(days=number) for number in range(5)]

    assert [yesterday(job, start) for start in starts] == dates
