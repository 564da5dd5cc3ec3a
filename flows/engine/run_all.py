"""Run work in parallel: `run_all(work, items)` yields an outcome per item as each completes.

A pipeline knows nothing of threads, Prefect or retries; it receives a `RunAll`. This file
implements it with threads, `flows.orchestration.prefect_tasks` with Prefect tasks, the tests with
a test double.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from typing import Generic, Protocol, TypeVar

from flows.engine.interrupt import interruptible
from storage.errors import ReadError

log = logging.getLogger(__name__)

Item = TypeVar("Item")
Value = TypeVar("Value")
RETRIES = 3
RETRYABLE = (OSError, ReadError)  # what the operating system refused; bad data stays bad
FIRST_DELAY = 0.5  # seconds; doubled on each retry


@dataclass(frozen=True)
class Outcome(Generic[Item, Value]):
    """The outcome of one item: a value, or the error that it raised."""

    item: Item
    value: Value | None = None
    error: BaseException | None = None


class RunAll(Protocol):
    """Does `work` for every item, with its own retries."""

    def __call__(
        self, work: Callable[[Item], Value], items: Sequence[Item]
    ) -> Iterator[Outcome[Item, Value]]:
        """Yield one outcome per item, in order of completion."""
        ...


def run_in_threads(workers: int) -> RunAll:
    """A `RunAll` on `workers` threads, with at most two items per worker in flight."""

    def run_all(
        work: Callable[[Item], Value], items: Sequence[Item]
    ) -> Iterator[Outcome[Item, Value]]:
        pool = ThreadPoolExecutor(workers, thread_name_prefix="nightglass")
        try:
            yield from _drain(pool, work, items, window=2 * workers)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    return run_all


def _drain(
    pool: ThreadPoolExecutor,
    work: Callable[[Item], Value],
    items: Sequence[Item],
    *,
    window: int,
) -> Iterator[Outcome[Item, Value]]:
    queue = iter(items)
    running: dict[Future[Value], Item] = {}
    while True:
        for item in islice(queue, window - len(running)):
            running[pool.submit(_interruptibly, work, item)] = item
        if not running:
            return
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            yield _outcome(running.pop(future), future)


def _outcome(item: Item, future: Future[Value]) -> Outcome[Item, Value]:
    error = future.exception()
    if error and not isinstance(error, Exception):  # Ctrl-C reached this item first
        raise error
    return Outcome(item, error=error) if error else Outcome(item, future.result())


def _interruptibly(work: Callable[[Item], Value], item: Item) -> Value:
    with interruptible():
        return retrying(work, item)


def retrying(work: Callable[[Item], Value], item: Item) -> Value:
    """Do `work`, with retries after one of RETRYABLE. No other error is retried."""
    for attempt in range(RETRIES):
        try:
            return work(item)
        except RETRYABLE as error:
            log.warning("%s: %s; retry %d of %d", item, error, attempt + 1, RETRIES)
            time.sleep(FIRST_DELAY * 2**attempt)
    return work(item)


def only_value(outcomes: Iterator[Outcome[Item, Value]]) -> Value:
    """The value of a single outcome. Raises its error, if it has one."""
    [outcome] = outcomes
    if outcome.error is not None:
        raise outcome.error
    assert outcome.value is not None
    return outcome.value
