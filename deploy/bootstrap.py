"""Set up a Prefect server: work pool, queues, concurrency limits, automations and deployments.

    python deploy/bootstrap.py JOB.toml [JOB.toml …]

PREFECT_API_URL names the server. Running it again changes nothing; run it after an upgrade or a
change of [schedule] to bring everything up to date.

Environment variables, all optional:
    NIGHTGLASS_ALERT_BLOCK    notification block for failed, late and crashed runs, e.g.
                              slack-webhook/operators
    NIGHTGLASS_RECHECK_CRON   when to recheck nights without data (default: every half hour)
    NIGHTGLASS_TRAIN_CRON     when to train models (default: Sundays at noon)
    NIGHTGLASS_GPUS           number of GPUs (default: as many as torch detects here)
    NIGHTGLASS_HEARTBEAT      seconds between heartbeats of a run; must match the worker's
                              PREFECT_FLOWS_HEARTBEAT_FREQUENCY (default: 30)
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from prefect import get_client
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import (
    GlobalConcurrencyLimitCreate,
    GlobalConcurrencyLimitUpdate,
    WorkPoolCreate,
)
from prefect.client.schemas.objects import StateType
from prefect.events import AutomationCore, EventTrigger, Posture
from prefect.events.actions import ActionTypes, ChangeFlowRunState, DoNothing, SendNotification
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

from flows.jobs.job_file import read_job

POOL = "nightglass"
QUEUES = {"default": 2, "gpu": 1}  # name: priority
MISSED_HEARTBEATS = 3  # in a row, before a run is marked as crashed
BEGUN_OR_ENDED = {
    f"prefect.flow-run.{state}"
    for state in ("Running", "Completed", "Failed", "Cancelled", "Crashed")
}
ANY_STATE = "prefect.flow-run.*"  # final states of nights are named after verdicts
ALL_RUNS: dict[str, str | list[str]] = {"prefect.resource.id": "prefect.flow-run.*"}
# skips subflow runs, so that there is one message per night
OF_DEPLOYMENTS: dict[str, str | list[str]] = {"prefect.resource.role": "deployment"}
MESSAGE = """\
{{ flow.name }} {{ flow_run.name }}: {{ flow_run.state.name }}
{{ flow_run.state.message }}
{{ flow_run|ui_url }}"""


async def set_up(jobs: Sequence[Path]) -> None:
    """Set up the server, then deploy the flows of each job file."""
    async with get_client() as client:
        await make_pool(client)
        for number in range(n_gpus()):
            await make_limit(client, f"gpu-{number}")
        await make_automations(client)
    for job in jobs:
        deploy(job)


async def make_pool(client: PrefectClient) -> None:
    """Create the work pool, of type process, and its queues."""
    pool = WorkPoolCreate(name=POOL, type="process", description="One process per nightglass run")
    with contextlib.suppress(ObjectAlreadyExists):
        await client.create_work_pool(pool)
    for name, priority in QUEUES.items():
        await make_queue(client, name, priority=priority)
    print_line(f"work pool {POOL} with queues {', '.join(QUEUES)}")


async def make_queue(client: PrefectClient, name: str, *, priority: int) -> None:
    """Create or update a work queue; the gpu queue runs one flow per GPU."""
    try:
        queue = await client.read_work_queue_by_name(name, work_pool_name=POOL)
    except ObjectNotFound:
        queue = await client.create_work_queue(name, work_pool_name=POOL)
    limit = max(1, n_gpus()) if name == "gpu" else None
    await client.update_work_queue(queue.id, priority=priority, concurrency_limit=limit)


async def make_limit(client: PrefectClient, name: str) -> None:
    """Create the global concurrency limit of one GPU."""
    try:
        await client.update_global_concurrency_limit(name, GlobalConcurrencyLimitUpdate(limit=1))
    except ObjectNotFound:
        created = GlobalConcurrencyLimitCreate(name=name, limit=1)
        await client.create_global_concurrency_limit(created)
    print_line(f"concurrency limit {name}")


def n_gpus() -> int:
    """Return the number of GPUs to create limits for."""
    if given := os.environ.get("NIGHTGLASS_GPUS"):
        return int(given)
    import torch

    return torch.cuda.device_count()


async def make_automations(client: PrefectClient) -> None:
    """Create the automations, or replace those that have changed.

    An unchanged automation is kept, since a new one would not know the events seen so far.
    """
    notify = await notification(client)
    heartbeat = timedelta(seconds=float(os.environ.get("NIGHTGLASS_HEARTBEAT", "30")))
    for automation in automations(notify, dead_after=MISSED_HEARTBEATS * heartbeat):
        await make_automation(client, automation)


async def make_automation(client: PrefectClient, automation: AutomationCore) -> None:
    """Create an automation unless the server has the same one."""
    found = await client.read_automations_by_name(automation.name)
    existing = [AutomationCore.model_validate(each.model_dump(exclude={"id"})) for each in found]
    if existing != [automation]:
        for old in found:
            await client.delete_automation(old.id)
        await client.create_automation(automation)
    print_line(f"automation '{automation.name}'")


async def notification(client: PrefectClient) -> list[ActionTypes]:
    """Return the action that notifies an operator through the block, if one is set.

    Without a block, the events still show in the UI's event feed.
    """
    given = os.environ.get("NIGHTGLASS_ALERT_BLOCK", "")
    if not given:
        return [DoNothing()]
    block_type, _, name = given.partition("/")
    block = await client.read_block_document_by_name(name, block_type)
    subject = "nightglass: {{ flow_run.name }}"
    return [SendNotification(block_document_id=block.id, subject=subject, body=MESSAGE)]


def automations(notify: list[ActionTypes], *, dead_after: timedelta) -> list[AutomationCore]:
    """Return the automations for failed, late, crashed and stuck runs."""
    return [failed_runs(notify), late_runs(notify), crashed_runs(dead_after), stuck_runs()]


def failed_runs(notify: list[ActionTypes]) -> AutomationCore:
    """Notify when a run fails or crashes."""
    return AutomationCore(
        name="nightglass: run failed",
        description="Includes PARTIAL, NO DATA, DRIFT and FLOOD nights, by these names.",
        trigger=EventTrigger(
            expect={ANY_STATE},
            match={**ALL_RUNS, "prefect.state-type": ["FAILED", "CRASHED"]},
            match_related=OF_DEPLOYMENTS,
            posture=Posture.Reactive,
        ),
        actions=notify,
    )


def late_runs(notify: list[ActionTypes]) -> AutomationCore:
    """Notify when no worker picks up a run."""
    return AutomationCore(
        name="nightglass: run late",
        description="No worker picked it up; check that one is running.",
        trigger=unless_followed(
            "prefect.flow-run.Late",
            {"prefect.flow-run.Pending", *BEGUN_OR_ENDED},
            within=timedelta(minutes=10),
        ),
        actions=notify,
    )


def crashed_runs(dead_after: timedelta) -> AutomationCore:
    """Mark a run as crashed when its heartbeats stop."""
    return AutomationCore(
        name="nightglass: run crashed",
        description="Heartbeats stopped: marks the run as crashed. The next recheck resumes it.",
        trigger=unless_followed("prefect.flow-run.heartbeat", {ANY_STATE}, within=dead_after),
        actions=[mark_crashed("No heartbeat: the process of this run is gone.")],
    )


def stuck_runs() -> AutomationCore:
    """Mark a run as crashed when a worker picks it up but does not start it."""
    return AutomationCore(
        name="nightglass: run stuck in Pending",
        description="Never started: marks the run as crashed, so that it blocks no other run.",
        trigger=unless_followed(
            "prefect.flow-run.Pending", BEGUN_OR_ENDED, within=timedelta(minutes=15)
        ),
        actions=[mark_crashed("Pending for 15 minutes: its worker is gone.")],
    )


def unless_followed(event: str, expected: set[str], *, within: timedelta) -> EventTrigger:
    """Trigger when an event of a run is not followed by any of the expected ones in time."""
    return EventTrigger(
        after={event},
        expect=expected,
        match=ALL_RUNS,
        for_each={"prefect.resource.id"},
        posture=Posture.Proactive,
        within=within,
    )


def mark_crashed(message: str) -> ChangeFlowRunState:
    """Return the action that marks a run as crashed."""
    return ChangeFlowRunState(state=StateType.CRASHED, message=message)


def deploy(path: Path) -> None:
    """Deploy the flows of one job file, with the schedule it sets."""
    job = read_job(path)
    environment = {
        **os.environ,
        "NIGHTGLASS_JOB": str(path.resolve()),
        "NIGHTGLASS_NAME": job.name,
        "NIGHTGLASS_CRON": job.schedule.cron,
        "NIGHTGLASS_TIMEZONE": job.zone.key,
        "NIGHTGLASS_RECHECK_CRON": os.environ.get("NIGHTGLASS_RECHECK_CRON", "*/30 * * * *"),
        "NIGHTGLASS_TRAIN_CRON": os.environ.get("NIGHTGLASS_TRAIN_CRON", "0 12 * * 0"),
    }
    file = Path(__file__).resolve().with_name("prefect.yaml")
    prefect = [sys.executable, "-m", "prefect", "--no-prompt"]
    command = [*prefect, "deploy", "--all", "--prefect-file", str(file)]
    done = subprocess.run(  # noqa: S603 (no outside input)
        command, env=environment, cwd="/", capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{path}: deployment failed\n{done.stdout}{done.stderr}")
    print_line(f"deployments of {job.name}: nightly, backfill, train, encode")


def print_line(text: str) -> None:
    """Print what was done."""
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    if not os.environ.get("PREFECT_API_URL"):
        raise SystemExit("PREFECT_API_URL is not set; set it, e.g. http://127.0.0.1:4200/api")
    if not sys.argv[1:]:
        raise SystemExit(__doc__)
    asyncio.run(set_up([Path(each) for each in sys.argv[1:]]))
