"""`train` under torchrun: several processes, one model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from bench import Bench

from flows.errors import UsageError
from flows.jobs.job_file import read_job
from flows.jobs.requests import EncodeRequest
from flows.orchestration.backends import pick_backend
from flows.orchestration.local import LocalBackend
from flows.training.ranks import joined

NIGHTGLASS = Path(sys.executable).with_name("nightglass")


@pytest.fixture
def started(monkeypatch):
    """As if torchrun had started this process and another one."""
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setenv("WORLD_SIZE", "2")


def metrics(bench: Bench, model_id: str) -> dict[str, float]:
    content = (bench.workspace / "models/small" / model_id / "model.json").read_bytes()
    return json.loads(content)["metrics"]


@pytest.mark.slow
def test_two_processes_write_one_model_with_the_losses_of_one_process(bench):
    alone = bench.run("train", bench.job, "--set", "train.seed=1").facts["model_id"]
    before = set((bench.workspace / "models/small").iterdir())
    words = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--no-python"]
    command = [NIGHTGLASS, "train", bench.job, "--set", "train.seed=1", "--no-prefect"]
    found = subprocess.run(
        [sys.executable, *words, *command], capture_output=True, text=True, check=False, timeout=120
    )
    assert found.returncode == 0, found.stderr
    written = set((bench.workspace / "models/small").iterdir()) - before

    assert found.stdout.count("Model ") == 1
    assert "Process 1 has fitted; process 0 writes the model" in found.stdout
    assert len(written) <= 1
    together = written.pop().name if written else alone
    for name, value in metrics(bench, alone).items():
        if isinstance(value, float):
            assert metrics(bench, together)[name] == pytest.approx(value, rel=1e-3), name


@pytest.mark.parametrize(
    ("settings", "device", "message"),
    [
        (["series.window=16"], "cpu", r"a job with \[series\] cannot be shared"),
        ([], "mps", "train.device = 'mps' cannot be shared"),
    ],
)
def test_a_job_that_cannot_be_shared_is_refused(bench, started, settings, device, message):
    job = read_job(bench.job, settings)

    with pytest.raises(UsageError, match=message), joined(job, device):
        pass


def test_other_commands_and_prefect_are_refused_under_torchrun(bench, started):
    with pytest.raises(UsageError, match="only 'train' without Prefect can be shared"):
        LocalBackend().encode(EncodeRequest(job=str(bench.job)))
    with pytest.raises(UsageError, match="Got Prefect; add --no-prefect"):
        pick_backend(True)
