"""How many threads torch, BLAS, and Arrow start beside the workers of a command."""

from __future__ import annotations

import os

CHOSEN = "OMP_NUM_THREADS"  # whoever sets it decides, for all three


def share_cores(workers: int) -> None:
    """Divide the cores of this process among its `workers`.

    By default, torch and BLAS would start a thread for every core in each of the workers; where
    threads outnumber the cores, each waits for the slowest. Scores have the same bits for the same
    number of threads.
    """
    if CHOSEN in os.environ:
        return
    import pyarrow as pa  # late: --help stays quick
    import torch
    from threadpoolctl import threadpool_limits

    threads = max(1, usable_cores() // workers)
    torch.set_num_threads(threads)
    threadpool_limits(threads, user_api="blas")
    pa.set_cpu_count(usable_cores())  # one pool for all workers, which wait for it


def usable_cores() -> int:
    """Cores that this process may run on: fewer than the machine's under taskset, or in Slurm."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
