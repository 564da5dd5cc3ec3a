"""Fixtures that several tests share."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault(
    "OMP_NUM_THREADS", "1"
)  # before torch is imported: threads that wait by spinning crawl where cores are busy

import hypothesis
import numpy as np
import pytest

hypothesis.settings.register_profile(
    "unhurried", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("unhurried")  # a busy machine is no failed test
ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets.

    Without it the test is skipped, or fails where NIGHTGLASS_REQUIRE_DATA says so.
    """
    folder = Path(os.environ.get("NIGHTGLASS_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "mnist").is_dir():
        reason = f"no data sets at {folder}; set NIGHTGLASS_DATA"
        pytest.fail(reason) if os.environ.get("NIGHTGLASS_REQUIRE_DATA") == "1" else pytest.skip(
            reason
        )
    return folder


@pytest.fixture
def random() -> np.random.Generator:
    """A generator with a fixed seed."""
    return np.random.default_rng(7)
