"""Processes that torchrun started to train one model together."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from flows.errors import UsageError
from flows.jobs.settings import Job
from storage.databases.query import is_query

STARTED = "TORCHELASTIC_RUN_ID"  # torchrun sets it


def several_processes() -> bool:
    """Whether torchrun started this process beside others."""
    return STARTED in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


def refuse_several(what: str) -> None:
    """Raise UsageError if torchrun started several processes, which `what` cannot share."""
    if several_processes():
        raise UsageError(f"torchrun: only 'train' without Prefect can be shared. Got {what}")


@contextmanager
def joined(job: Job, device: str) -> Iterator[int]:
    """Join the other processes, if there are any; yield this one's rank, 0 for the one that writes.

    Raises UsageError if the job or the device cannot be shared.
    """
    if not several_processes():
        yield 0
        return
    _require_shareable(job, device)
    import torch  # late: --help stays quick
    from torch import distributed

    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if device == "cuda" else "gloo")
    try:
        yield distributed.get_rank()
    finally:
        distributed.destroy_process_group()


def _require_shareable(job: Job, device: str) -> None:
    refused = {
        "a job with [series]": job.series is not None,
        "data.clean as a query": is_query(job.data.clean),
        "train.device = 'mps'": device == "mps",
    }
    for what, is_so in refused.items():
        if is_so:
            raise UsageError(f"torchrun: {what} cannot be shared; start one process")
