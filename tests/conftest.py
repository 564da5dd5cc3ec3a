"""Shared fixtures."""

from __future__ import annotations

import gc
import os
from pathlib import Path

# before torch is imported: spin-waiting threads slow down a busy machine
os.environ.setdefault("OMP_NUM_THREADS", "1")

import hypothesis
import numpy as np
import pytest

# a busy machine must not fail a test
hypothesis.settings.register_profile(
    "patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("patient")
ROOT = Path(__file__).parent.parent


def pytest_unconfigure() -> None:
    """Free what commands froze at their start; DuckDB complains of objects left at exit."""
    gc.unfreeze()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets.

    Without it, the test is skipped, or fails if NIGHTGLASS_REQUIRE_DATA=1.
    """
    folder = Path(os.environ.get("NIGHTGLASS_DATA", ROOT.parent / "shared" / "data"))
    if (folder / "mnist").is_dir():
        return folder
    reason = f"no data sets at {folder}; set NIGHTGLASS_DATA"
    if os.environ.get("NIGHTGLASS_REQUIRE_DATA") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def bucket():
    """An empty bucket on an S3 server of this machine."""
    from buckets import s3_server  # late: moto is slow to import

    with s3_server() as found:
        yield found


@pytest.fixture
def random() -> np.random.Generator:
    """A generator with a fixed seed."""
    return np.random.default_rng(7)


@pytest.fixture
def cuda(monkeypatch):
    """A fake CUDA device, which the test's own thread sees."""
    from fake_device import fake_device  # late: imports torch

    with fake_device(monkeypatch, "cuda") as device:
        yield device


@pytest.fixture
def mps(monkeypatch):
    """A fake MPS device, as well."""
    from fake_device import fake_device

    with fake_device(monkeypatch, "mps") as device:
        yield device
