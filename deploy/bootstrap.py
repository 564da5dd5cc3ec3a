"""Set up a Prefect server for nightglass, once or again: work pool, queues, limits, automations, and the deployments of job files.

    python deploy/bootstrap.py JOB.toml [JOB.toml …]

PREFECT_API_URL says which server. Running it twice changes nothing; running it after an upgrade brings everything up to date.
Environment, all optional:
    NIGHTGLASS_ALERT_BLOCK    a notification block for runs that fail, start late, or die, as in slack-webhook/operators
    NIGHTGLASS_LOOK_AGAIN     when nights without data are looked at again; default: every half hour
    NIGHTGLASS_TRAIN_CRON     when models are trained; default: Sundays at noon
    NIGHTGLASS_GPUS           number of GPUs; default: as many as torch sees here
    NIGHTGLASS_HEARTBEAT      seconds between the heartbeats of runs, as PREFECT_FLOWS_HEARTBEAT_FREQUENCY on the worker; default: 30
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from prefect import get_client
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import (
    GlobalConcurrencyLimitCreate,
    GlobalConcurrencyLimitUpdate,
    WorkPoolCreate,
)
from prefect.client.schemas.objects import StateType
from prefect.events import AutomationCore, EventTrigger, Posture
from prefect.events.actions import ChangeFlowRunState, DoNothing, SendNotification
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

from flows.jobs.job_file import read_job

POOL = "nightglass"
QUEUES = {"default": 2, "gpu": 1}  # name: priority
BEATS = 3  # heartbeats that may fail to come before a run counts as dead
BEGUN_OR_ENDED = {
    f"prefect.flow-run.{state}"
    for state in ("Running", "Completed", "Failed", "Cancelled", "Crashed")
}
ANY = "prefect.flow-run.*"  # also the state of a night that is over: its name is the verdict
RUNS = {"prefect.resource.id": "prefect.flow-run.*"}
ASKED_FOR = {
    "prefect.resource.role": "deployment"
}  # and not the runs below them, so that one message comes of one night
MESSAGE = "{{ flow.name }} {{ flow_run.name }}: {{ flow_run.state.name }}\n{{ flow_run.state.message }}\n{{ flow_run|ui_url }}"


async def set_up(jobs: list[Path]) -> None:
    """Everything but the deployments."""
    async with get_client() as client:
        await make_pool(client)
        for number in range(gpus()):
            await make_limit(client, f"gpu-{number}")
        await make_automations(client)
        for job in jobs:
            deploy(job)


async def make_pool(client: PrefectClient) -> None:
    """The work pool, of type process, and its queues."""
    with contextlib.suppress(ObjectAlreadyExists):
        await client.create_work_pool(
            WorkPoolCreate(
                name=POOL, type="process", description="One process for each run of nightglass"
            )
        )
    for name, priority in QUEUES.items():
        try:
            queue = await client.read_work_queue_by_name(name, work_pool_name=POOL)
        except ObjectNotFound:
            queue = await client.create_work_queue(name, work_pool_name=POOL)
        limit = max(1, gpus()) if name == "gpu" else None
        await client.update_work_queue(queue.id, priority=priority, concurrency_limit=limit)
    say(f"work pool {POOL} with the queues {', '.join(QUEUES)}")


async def make_limit(client: PrefectClient, name: str) -> None:
    """A global limit of one, taken with a lease, for one GPU."""
    try:
        await client.update_global_concurrency_limit(name, GlobalConcurrencyLimitUpdate(limit=1))
    except ObjectNotFound:
        await client.create_global_concurrency_limit(
            GlobalConcurrencyLimitCreate(name=name, limit=1)
        )
    say(f"limit {name}")


def gpus() -> int:
    """Number of GPUs that limits are made for."""
    if given := os.environ.get("NIGHTGLASS_GPUS"):
        return int(given)
    import torch

    return torch.cuda.device_count()


async def make_automations(client: PrefectClient) -> None:
    """Automations by name.

    One that is as it should be is left alone: a new one in its place would not know what the old
    one has seen.
    """
    notify = await notification(client)
    for automation in automations(notify, beat=float(os.environ.get("NIGHTGLASS_HEARTBEAT", "30"))):
        found = await client.read_automations_by_name(automation.name)
        if [AutomationCore.model_validate(each.model_dump(exclude={"id"})) for each in found] != [
            automation
        ]:
            for old in found:
                await client.delete_automation(old.id)
            await client.create_automation(automation)
        say(f"automation '{automation.name}'")


async def notification(client: PrefectClient) -> list[Any]:
    """The action that tells an operator.

    The notification block, if one is named; else the event stands in the UI's feed alone.
    """
    given = os.environ.get("NIGHTGLASS_ALERT_BLOCK", "")
    if not given:
        return [DoNothing()]
    kind, _, name = given.partition("/")
    block = await client.read_block_document_by_name(name, kind)
    return [
        SendNotification(
            block_document_id=block.id, subject="nightglass: {{ flow_run.name }}", body=MESSAGE
        )
    ]


def automations(notify: list[Any], *, beat: float) -> list[AutomationCore]:
    """What is watched: failed and late runs, runs whose process is gone, runs that a worker took and never started."""
    return [
        AutomationCore(
            name="nightglass: a run failed",
            description="Also PARTIAL nights and nights without data, which end as failed under that name.",
            trigger=EventTrigger(
                expect={ANY},
                match={**RUNS, "prefect.state-type": ["FAILED", "CRASHED"]},
                match_related=ASKED_FOR,
                posture=Posture.Reactive,
            ),
            actions=notify,
        ),
        AutomationCore(
            name="nightglass: a run is late",
            description="No worker took it: see whether one runs.",
            trigger=EventTrigger(
                after={"prefect.flow-run.Late"},
                expect={"prefect.flow-run.Pending", *BEGUN_OR_ENDED},
                match=RUNS,
                for_each={"prefect.resource.id"},
                posture=Posture.Proactive,
                within=timedelta(minutes=10),
            ),
            actions=notify,
        ),
        AutomationCore(
            name="nightglass: a run died",
            description="Its process sends no heartbeat any more. It is marked as crashed, and the next look finishes what it left.",
            trigger=EventTrigger(
                after={"prefect.flow-run.heartbeat"},
                expect={ANY},
                match=RUNS,
                for_each={"prefect.resource.id"},
                posture=Posture.Proactive,
                within=timedelta(seconds=BEATS * beat),
            ),
            actions=[
                ChangeFlowRunState(
                    state=StateType.CRASHED,
                    message="No heartbeat: the process of this run is gone.",
                )
            ],
        ),
        AutomationCore(
            name="nightglass: a run hangs before its start",
            description="Taken by a worker and never begun. It is marked as crashed, so that it holds no other run up.",
            trigger=EventTrigger(
                after={"prefect.flow-run.Pending"},
                expect=BEGUN_OR_ENDED,
                match=RUNS,
                for_each={"prefect.resource.id"},
                posture=Posture.Proactive,
                within=timedelta(minutes=15),
            ),
            actions=[
                ChangeFlowRunState(
                    state=StateType.CRASHED, message="Pending for 15 minutes: its worker is gone."
                )
            ],
        ),
    ]


def deploy(path: Path) -> None:
    """Deploy one job file's flows, with the schedule that it names."""
    job = read_job(path)
    given = {
        "NIGHTGLASS_JOB": str(path.resolve()),
        "NIGHTGLASS_NAME": job.name,
        "NIGHTGLASS_CRON": job.schedule.cron,
        "NIGHTGLASS_TIMEZONE": job.schedule.timezone,
        "NIGHTGLASS_LOOK_AGAIN": os.environ.get("NIGHTGLASS_LOOK_AGAIN", "*/30 * * * *"),
        "NIGHTGLASS_TRAIN_CRON": os.environ.get("NIGHTGLASS_TRAIN_CRON", "0 12 * * 0"),
    }
    file = Path(__file__).resolve().with_name("prefect.yaml")
    line = [
        sys.executable,
        "-m",
        "prefect",
        "--no-prompt",
        "deploy",
        "--all",
        "--prefect-file",
        str(file),
    ]
    done = subprocess.run(
        line, env={**os.environ, **given}, cwd="/", capture_output=True, text=True, check=False
    )  # noqa: S603 (the line is our own)
    if done.returncode:
        raise SystemExit(f"{path}: could not be deployed\n{done.stdout}{done.stderr}")
    say(f"deployments of {job.name}: nightly, backfill, train, encode")


def say(words: str) -> None:
    """What was done."""
    sys.stdout.write(words + "\n")


if __name__ == "__main__":
    if not os.environ.get("PREFECT_API_URL"):
        raise SystemExit(
            "PREFECT_API_URL is not set; it names the server to set up, as in http://127.0.0.1:4200/api"
        )
    if not sys.argv[1:]:
        raise SystemExit(__doc__)
    asyncio.run(set_up([Path(each) for each in sys.argv[1:]]))
