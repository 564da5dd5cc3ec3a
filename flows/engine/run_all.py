"""How a flow's body gets its work done: `run_all(work, items)` yields an outcome for each item, in order of completion.

A body knows nothing of threads, Prefect or retries; it is handed a `RunAll`. This file holds the one for a plain process,
`flows.orchestration.prefect_tasks` the one for Prefect, the tests a third.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, Protocol, TypeVar

log = logging.getLogger(__name__)

Item = TypeVar("Item")
Value = TypeVar("Value")
RETRIES = 3
FIRST_DELAY = 0.5  # seconds; doubled at each further try
Progress = Callable[[int, int], None]  # items done, items in all


@dataclass(frozen=True)
class Outcome(Generic[Item, Value]):
    """What became of one item: a value, or the error that it ended in."""

    item: Item
    value: Value | None = None
    error: BaseException | None = None


class RunAll(Protocol):
    """Does `work` for every item; retries and progress are its own affair."""

    def __call__(
        self, work: Callable[[Item], Value], items: Sequence[Item]
    ) -> Iterator[Outcome[Item, Value]]:
        """Yield one outcome for each item, in order of completion."""
        ...


def silent(done: int, total: int) -> None:
    """Progress for nobody."""


def run_in_threads(workers: int, progress: Progress = silent) -> RunAll:
    """A `RunAll` on `workers` threads of this process that keeps at most two items a worker in flight."""

    def run_all(
        work: Callable[[Item], Value], items: Sequence[Item]
    ) -> Iterator[Outcome[Item, Value]]:
        pool = ThreadPoolExecutor(workers, thread_name_prefix="nightglass")
        try:
            yield from _drain(pool, work, items, window=2 * workers, progress=progress)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    return run_all


def _drain(
    pool: ThreadPoolExecutor,
    work: Callable[[Item], Value],
    items: Sequence[Item],
    *,
    window: int,
    progress: Progress,
) -> Iterator[Outcome[Item, Value]]:
    queue = iter(items)
    running: dict[Future[Value], Item] = {}
    done = 0
    progress(done, len(items))
    while True:
        for item in islice(queue, window - len(running)):
            running[pool.submit(retrying, work, item)] = item
        if not running:
            return
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            item, error = running.pop(future), future.exception()
            done += 1
            progress(done, len(items))
            yield Outcome(item, error=error) if error else Outcome(item, future.result())


def retrying(work: Callable[[Item], Value], item: Item) -> Value:
    """Do `work`, again after a pause where the operating system refused (OSError).

    Bad data is never tried twice.
    """
    for attempt in range(RETRIES):
        try:
            return work(item)
        except OSError as error:
            log.warning("%s: %s; trying again (%d of %d)", item, error, attempt + 1, RETRIES)
            time.sleep(FIRST_DELAY * 2**attempt)
    return work(item)


def only_value(outcomes: Iterator[Outcome[Any, Value]]) -> Value:
    """The value of a single item's outcome; its error is raised."""
    [outcome] = outcomes
    if outcome.error is not None:
        raise outcome.error
    assert outcome.value is not None
    return outcome.value
