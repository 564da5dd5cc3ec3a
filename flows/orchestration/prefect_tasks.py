"""`run_all` as Prefect tasks: one task run per item, Prefect's retries, a progress artifact."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import httpx
from prefect import task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.futures import PrefectFuture, as_completed
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from prefect.tasks import Task, exponential_backoff

from flows.engine.interrupt import interruptible
from flows.engine.run_all import RETRIES, RETRYABLE, Item, Outcome, RunAll, Value
from storage.sources import Shard

log = logging.getLogger(__name__)
Progress = Callable[[int, int], None]  # items done, items in total
PROGRESS_STEP = 0.05  # each update of the artifact is a call to the server


def silent(done: int, total: int) -> None:
    """No-op progress."""


def run_as_tasks(name: str, progress: Progress = silent) -> RunAll:
    """Return a `RunAll` that submits one task run per item to the flow run's task runner."""

    def run_all(
        work: Callable[[Item], Value], items: Sequence[Item]
    ) -> Iterator[Outcome[Item, Value]]:
        one = _item_task(name, work, items)
        futures = [one.submit(_task_name(name, item), index) for index, item in enumerate(items)]
        by_id = {future.task_run_id: items[index] for index, future in enumerate(futures)}
        progress(0, len(items))
        for done, future in enumerate(as_completed(futures), start=1):
            progress(done, len(items))
            yield _outcome(by_id[future.task_run_id], future)

    return run_all


def _item_task(
    name: str, work: Callable[[Item], Value], items: Sequence[Item]
) -> Task[[str, int], Value]:
    """Return a task of (task run name, index) that does `work` on `items[index]`."""
    configure = task(
        name=name,
        task_run_name="{what}",
        retries=RETRIES,
        retry_delay_seconds=exponential_backoff(2),
        retry_jitter_factor=0.5,
        retry_condition_fn=_is_retryable,
        cache_policy=NO_CACHE,
        persist_result=False,
    )

    def work_on(what: str, index: int) -> Value:  # noqa: ARG001 (`what` names the task run)
        with interruptible():
            return work(items[index])

    return configure(work_on)


def _outcome(item: Item, future: PrefectFuture[Value]) -> Outcome[Item, Value]:
    value: Any = future.result(raise_on_failure=False)
    if isinstance(value, BaseException):
        return Outcome(item, error=value)
    return Outcome(item, value)


def _is_retryable(_task: object, _run: TaskRun, state: State[object]) -> bool:
    """Retry a failed task run only if the operating system refused; bad data stays bad."""
    return isinstance(state.result(raise_on_failure=False), RETRYABLE)


def _task_name(name: str, item: object) -> str:
    """Name the task run of an item, as shown in the Gantt chart: 'score shards 3-5'."""
    if isinstance(item, tuple) and item and isinstance(item[0], Shard):
        first, last = item[0].index, item[-1].index
        return f"{name} shard {first}" if first == last else f"{name} shards {first}-{last}"
    return name


def progress_artifact(description: str) -> Progress:
    """Create a progress artifact of the flow run, and return a function that updates it.

    It has no key, so it is on the page of its run and not in the list of all artifacts. Updates
    are skipped while the server is unreachable.
    """
    identity = create_progress_artifact(progress=0.0, description=description)
    shown = 0.0

    def progress(done: int, total: int) -> None:
        nonlocal shown
        share = done / max(1, total)
        if share - shown < PROGRESS_STEP and done != total:
            return
        shown = share
        try:
            with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
                update_progress_artifact(artifact_id=identity, progress=100 * share)  # type: ignore[arg-type] # a UUID in synchronous use
        except httpx.HTTPError as error:
            log.warning("progress not updated; the Prefect server is unreachable (%s)", error)

    return progress
