"""Whole nights on a fake GPU, see `fake_device`: the commands train, score, and encode."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bench import DAY, JOB, Bench

from aemodel import settings
from aemodel.network import inference
from flows.engine import device as devices
from flows.engine.run_all import Outcome
from flows.orchestration import local

MIXED = (
    JOB.replace('.npy"', '.parquet"')
    .replace("[data]", '[data]\nmissing = "impute"')
    .replace("[train]", "prototypes = 16\nmembers = 2\n[train]")
    .replace("[score]", '[score]\nby = "novelty"\nalso = ["error", "relative"]')
)
NUMBERS = ("error", "novelty", "relative", "p_value")


def payments(n, seed):
    random = np.random.default_rng(seed)
    shop = random.choice(4, n, p=[0.5, 0.3, 0.15, 0.05])
    fee = np.where(random.random(n) < 0.1, np.nan, 3.0 * shop + random.normal(size=n))
    names = [f"shop {each}" for each in shop]
    return pa.table({"amount": random.normal(shop, 0.4), "shop": names, "fee": fee})


def on_this_thread(workers):
    """In place of threads, which do not see the fake device."""

    def run_all(work, items):
        return (Outcome(item, work(item)) for item in items)

    return run_all


def scores(folder):
    table = pq.read_table(next(folder.glob("workspace/scores/small/date=*/part-*.parquet")))
    return np.stack([table[name].to_numpy() for name in NUMBERS])


@pytest.mark.slow
def test_a_night_on_a_gpu_has_the_scores_of_one_on_the_host(tmp_path, cuda, monkeypatch):
    monkeypatch.setattr(local, "run_in_threads", on_this_thread)
    monkeypatch.setattr(settings, "DEVICES", ("auto", "cuda:0", "cpu"))
    monkeypatch.setattr(inference, "DEVICE_ROWS", 256)
    found = []
    for device in ("cuda:0", "cpu"):
        available = [device]
        monkeypatch.setattr(devices, "available_devices", lambda *, require_gpu, all=available: all)
        bench = Bench(tmp_path / device[:3])
        (bench.folder / "nights").mkdir(parents=True)
        bench.job.write_text(MIXED)
        pq.write_table(payments(600, 0), bench.folder / "clean.parquet")
        pq.write_table(payments(900, 1), bench.folder / f"nights/{DAY}.parquet")
        for command in (("train",), ("score", "--date", DAY), ("encode", "--date", DAY)):
            before, result = cuda.launches, bench.run(*command[:1], bench.job, *command[1:])
            assert result.code == 0, result.err
            assert (cuda.launches > before) == (device == "cuda:0")
        found.append(scores(bench.folder))

    np.testing.assert_allclose(*found, rtol=1e-4)
