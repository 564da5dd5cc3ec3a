"""`run_all` as Prefect tasks.

One task run for each item, with Prefect's retries, and a progress artifact.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import httpx
from prefect import task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.futures import as_completed
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from prefect.tasks import Task, exponential_backoff

from flows.engine.run_all import RETRIES, Item, Outcome, Progress, RunAll, Value, silent
from storage.sources import Shard

log = logging.getLogger(__name__)
STEP = 0.05  # an update of the artifact is a call to the server: every twentieth is enough


def run_as_tasks(name: str, progress: Progress = silent) -> RunAll:
    """A `RunAll` that makes a task run of each item, on the task runner of the flow run around it."""

    def run_all(
        work: Callable[[Item], Value], items: Sequence[Item]
    ) -> Iterator[Outcome[Item, Value]]:
        one: Task[[str, int], Value] = task(
            name=name,
            task_run_name="{what}",
            retries=RETRIES,
            retry_delay_seconds=exponential_backoff(2),
            retry_jitter_factor=0.5,
            retry_condition_fn=refused_by_system,
            cache_policy=NO_CACHE,
            persist_result=False,
        )(lambda what, index: work(items[index]))  # noqa: ARG005 (Prefect puts `what` into the task run's name)
        futures = [one.submit(describe(name, item), index) for index, item in enumerate(items)]
        places = {future.task_run_id: index for index, future in enumerate(futures)}
        progress(0, len(items))
        for done, future in enumerate(as_completed(futures), start=1):
            value: Any = future.result(raise_on_failure=False)
            item = items[places[future.task_run_id]]
            progress(done, len(items))
            yield (
                Outcome(item, error=value)
                if isinstance(value, BaseException)
                else Outcome(item, value)
            )

    return run_all


def refused_by_system(_task: object, _run: TaskRun, state: State[Any]) -> bool:
    """Whether a failed task run is worth another try: only where the operating system refused."""
    return isinstance(state.result(raise_on_failure=False), OSError)


def describe(name: str, item: object) -> str:
    """The name of an item's task run, as operators see it in the Gantt chart."""
    if isinstance(item, tuple) and item and isinstance(item[0], Shard):
        first, last = item[0].index, item[-1].index
        return f"{name} shard {first}" if first == last else f"{name} shards {first}-{last}"
    return name


def progress_artifact(key: str, description: str) -> Progress:
    """A `Progress` that keeps one progress artifact of the flow run up to date.

    While the server is away it is behind, and holds nobody up.
    """
    identity = create_progress_artifact(progress=0.0, key=key, description=description)
    shown = 0.0

    def progress(done: int, total: int) -> None:
        nonlocal shown
        share = done / max(1, total)
        if share - shown >= STEP or done == total:
            shown = share
            try:
                with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
                    update_progress_artifact(artifact_id=identity, progress=100 * share)  # type: ignore[arg-type] # the id is a UUID in sync use
            except httpx.HTTPError as error:
                log.warning("progress is not shown: the Prefect server is away (%s)", error)

    return progress
