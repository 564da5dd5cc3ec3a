"""Threads of torch and BLAS beside the workers of a command."""

import numpy as np  # noqa: F401 # loads BLAS
import pyarrow as pa
import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from flows.engine import threads
from flows.engine.threads import share_cores


@pytest.fixture(autouse=True)
def counts_as_before():
    before, of_arrow = torch.get_num_threads(), pa.cpu_count()
    with threadpool_limits(None):
        yield
    torch.set_num_threads(before)
    pa.set_cpu_count(of_arrow)


def blas_threads():
    return {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}


@pytest.mark.parametrize(("workers", "expected"), [(1, 8), (4, 2), (3, 2), (16, 1)])
def test_every_worker_gets_its_share_of_the_cores(monkeypatch, workers, expected):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(threads, "usable_cores", lambda: 8)
    share_cores(workers)

    assert torch.get_num_threads() == expected
    assert blas_threads() <= {expected}
    assert pa.cpu_count() == 8


def test_whoever_sets_omp_num_threads_decides(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    torch.set_num_threads(3)
    share_cores(1)

    assert torch.get_num_threads() == 3
