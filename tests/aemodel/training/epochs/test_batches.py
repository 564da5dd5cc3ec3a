"""Batches of scaled rows: each row once an epoch, wherever the rows are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from aemodel.rows.layout import Layout
from aemodel.rows.preparation.prepare import prepare_rows
from aemodel.rows.training_rows import FitRows
from aemodel.settings import ModelSettings, TrainSettings
from aemodel.training.epochs.batches import Batches

TABLE = ModelSettings(output="identity", loss="mse", scaling="standard")
ROWS = np.random.default_rng(0).normal(size=(500, 6)).astype(np.float16)  # 6,000 bytes
RESIDENT, SCALED_BY_BATCH, STREAMED = 60_000, 30_000, 5_000  # 12,000 bytes once they are scaled
CPU = torch.device("cpu")


def prepared(memory, *, rows=ROWS, **settings):
    parts = np.array_split(rows, 9)
    return prepare_rows(
        lambda: iter(parts),
        layout=Layout(row_shape=(6,), dtype="float16"),
        model=TABLE,
        train=TrainSettings(calibration=0, batch_size=32, **settings),
        memory_bytes=memory,
    )


def fit_batches(seen, seed=0):
    return list(Batches(seen, CPU).fit(torch.Generator().manual_seed(seed)))


@pytest.mark.parametrize("memory", [RESIDENT, SCALED_BY_BATCH, STREAMED])
def test_each_row_is_used_once_per_epoch(memory):
    seen = prepared(memory, validation=0)
    found = torch.cat([batch.rows for batch in fit_batches(seen)]).numpy()

    assert (seen.fit is None) == (memory == STREAMED)
    np.testing.assert_array_equal(np.sort(found[:, 0]), np.sort(seen.scaler.transform(ROWS)[:, 0]))


def test_rows_that_stay_on_the_device_are_scaled_once(monkeypatch):
    calls, scale = [], FitRows.gappy_tensor
    monkeypatch.setattr(
        FitRows, "gappy_tensor", lambda self, rows: calls.append(len(rows)) or scale(self, rows)
    )
    batches = Batches(prepared(RESIDENT, validation=0), CPU)
    for seed in range(3):
        list(batches.fit(torch.Generator().manual_seed(seed)))

    assert calls == [500, 0][: len(calls)]


def test_batches_are_the_same_whether_or_not_rows_stay_on_the_device():
    seen = [prepared(memory, validation=0.2) for memory in (RESIDENT, SCALED_BY_BATCH)]
    fit = [fit_batches(each, seed=5) for each in seen]
    validation = [list(Batches(each, CPU).validation()) for each in seen]

    for ours, others in [fit, validation]:
        assert len(ours) == len(others) > 0
        for one, other in zip(ours, others, strict=True):
            assert torch.equal(one.rows, other.rows)


@pytest.mark.parametrize("memory", [RESIDENT, SCALED_BY_BATCH, STREAMED])
def test_batches_say_whether_there_are_gaps(memory):
    rows = ROWS.copy()
    rows[::2, 3] = np.nan

    assert not any(batch.has_gaps for batch in fit_batches(prepared(memory, validation=0)))
    assert all(batch.has_gaps for batch in fit_batches(prepared(memory, rows=rows, validation=0)))


@pytest.mark.parametrize("memory", [RESIDENT, SCALED_BY_BATCH, STREAMED])
def test_a_gpu_is_given_the_same_batches_and_waited_for_at_most_once(memory, cuda):
    seen = prepared(memory, validation=0.2)
    batches = Batches(seen, torch.device("cuda", 0))
    cuda.waits.clear()
    fit = list(batches.fit(torch.Generator().manual_seed(0)))
    validation = list(batches.validation())

    assert len(cuda.waits) == (memory == RESIDENT), "for the order of the rows"
    for ours, others in [(fit, fit_batches(seen)), (validation, Batches(seen, CPU).validation())]:
        for one, other in zip(ours, others, strict=True):
            assert torch.equal(one.rows.cpu(), other.rows)


@pytest.mark.gpu
def test_a_gpu_is_not_waited_for_between_batches():
    batches = Batches(prepared(10**8), torch.device("cuda"))
    seen = batches.fit(torch.Generator().manual_seed(0))
    next(seen)  # the order of all batches is copied once
    torch.cuda.set_sync_debug_mode("error")
    try:
        assert sum(len(batch.rows) for batch in seen)
    finally:
        torch.cuda.set_sync_debug_mode("default")
