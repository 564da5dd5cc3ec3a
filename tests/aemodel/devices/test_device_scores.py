"""Scores computed as on a GPU: the same numbers, and the host never waits within a batch.

Without a GPU, the CPU takes the same steps; only streams and pinned memory need CUDA.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from aemodel.bundle import from_files, to_files
from aemodel.devices import scaling
from aemodel.network import gaps, inference, networks
from aemodel.rows.layout import CATEGORY, HOUR, NUMBER, Layout
from aemodel.rows.scaling import Scaler
from aemodel.scores import neighbors
from aemodel.settings import ModelSettings, TrainSettings
from aemodel.training.loop import CleanRows, train_autoencoder

SMALL = ModelSettings(
    hidden=(16,), latent=4, activation="silu", output="identity", loss="mse", scaling="standard"
)
PROTOTYPES = replace(SMALL, prototypes=64, members=2, noise=0.1)
CASES = ("float32", "gaps", "float64", "int64", "uint8", "images", "repeated", "mixed")
READS = torch.ops.aten._local_scalar_dense.default


def table(n, dtype="float32", d=12):
    random = np.random.default_rng(0)
    rows = (random.normal(size=(n, 3)) @ random.normal(size=(3, d))) * 20 + 100
    rows[:, 5] = 7  # constant
    return rows.clip(0, 255).astype(dtype)


def payments(n):
    random = np.random.default_rng(0)
    shop = random.choice(4, n, p=[0.5, 0.3, 0.15, 0.05])
    rows = np.stack([random.normal(shop, 0.4), 1e3 * shop, random.uniform(8, 20, n)], axis=1)
    rows[random.random(n) < 0.05, 0] = np.nan
    return rows


def rows_of(case):
    """Return clean rows, their layout, and settings."""
    if case == "images":
        rows = np.random.default_rng(0).integers(0, 255, (500, 12, 12)).astype(np.uint8)
        return rows, Layout(row_shape=(12, 12), dtype="uint8"), replace(SMALL, network="conv")
    if case == "mixed":
        kinds = (NUMBER, CATEGORY, HOUR)
        layout = Layout(row_shape=(3,), dtype="float64", columns=("a", "b", "c"), kinds=kinds)
        return payments(700), layout, PROTOTYPES
    rows = table(700, "float32" if case in ("gaps", "repeated") else case)
    if case == "gaps":
        rows[np.random.default_rng(1).random(rows.shape) < 0.05] = np.nan
    if case == "repeated":
        rows = rows[np.random.default_rng(1).integers(0, 90, 700)]
    return rows, Layout(row_shape=(12,), dtype=rows.dtype.name), PROTOTYPES


def tonight(rows):
    """Return other rows: some far out, some with changes of a constant column or gaps."""
    rows = rows[::-1].copy()
    if rows.shape[1] == 3:
        rows[:, 0] += 0.01  # ranks among clean rows jump at these
    rows[3] = rows[3] // 2
    if rows.ndim == 2 and rows.shape[1] == 12:
        rows[5, 5] += 1
    if rows.dtype.kind == "f":
        rows[7, 0], rows[8, 0], rows[9] = 1e30, np.nan, np.nan
    return rows


def trained(case, device="cpu"):
    rows, layout, settings = rows_of(case)
    clean = CleanRows.in_memory(rows, layout)
    train = TrainSettings(epochs=2, calibration=0.2, trim=0.05 * (case == "float64"))
    return train_autoencoder(clean, model=settings, train=train, device=device).model, rows


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    """The CPU takes the steps of another device."""
    for module in (scaling, gaps, inference, networks, neighbors):
        monkeypatch.setattr(module, "is_host", lambda device: False)
    monkeypatch.setattr(inference, "DEVICE_ROWS", 128)  # more batches than slots


@pytest.mark.parametrize("case", CASES)
def test_scores_are_those_of_the_host(case, request):
    model, clean = trained(case)
    rows = tonight(clean)
    expected = (*model.scores(rows), model.encode(rows))
    request.getfixturevalue("as_on_a_gpu")
    on_device = from_files(to_files(model))
    found = (*on_device.scores(rows), on_device.encode(rows))

    assert on_device.size == 128
    for each, other in zip(found[:3], expected[:3], strict=True):
        np.testing.assert_allclose(each, other, rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(found[3], expected[3], rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("as_on_a_gpu")
@pytest.mark.parametrize("case", ["uint8", "images", "gaps"])
def test_a_night_is_scaled_on_the_device_to_the_bits_of_the_host(case, monkeypatch):
    model, clean = trained(case)
    rows = tonight(clean)
    expected, error = model.scale(rows), model.errors(rows)
    monkeypatch.setattr(Scaler, "transform", None)  # the host has no part in it
    monkeypatch.setattr(Scaler, "transform_into", None)
    scores, scaled = model.scale_and_score(rows, ("error",))

    np.testing.assert_array_equal(scaled, expected)
    np.testing.assert_array_equal(scores["error"], error)


class Reads(TorchDispatchMode):
    """Counts how often a value is read, for which the host waits on a GPU."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func is READS
        return func(*args, **(kwargs or {}))


@pytest.mark.usefixtures("as_on_a_gpu")
@pytest.mark.parametrize("case", [case for case in CASES if case != "mixed"])
def test_no_value_is_read_within_a_batch(case):
    model, clean = trained(case)
    rows = tonight(clean)
    model.scores(rows[:9])  # prepares the reference
    with Reads() as reads:
        model.scores(rows)

    assert reads.count == 0


@pytest.mark.usefixtures("as_on_a_gpu")
def test_scores_have_the_same_bits_however_rows_are_grouped():
    model, clean = trained("gaps")
    rows = tonight(clean)
    pieces = [model.scores(rows[start : start + 77]) for start in range(0, len(rows), 77)]

    for whole, parts in zip(model.scores(rows), zip(*pieces, strict=True), strict=True):
        np.testing.assert_array_equal(whole, np.concatenate(parts))


@pytest.mark.gpu
@pytest.mark.parametrize("case", CASES)
def test_scores_on_a_gpu_are_those_of_the_host(case):
    model, clean = trained(case, "cuda")
    rows = tonight(clean)
    on_host = from_files(to_files(model))
    for found, expected in zip(model.scores(rows), on_host.scores(rows), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-9)


@pytest.mark.gpu
@pytest.mark.parametrize("case", [case for case in CASES if case != "mixed"])
def test_a_gpu_is_not_waited_for_within_a_batch(case):
    model, clean = trained(case, "cuda")
    rows = tonight(clean)
    model.scores(rows)
    torch.cuda.set_sync_debug_mode("error")
    try:
        model.scores(rows)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.gpu
def test_threads_that_share_a_gpu_get_the_scores_of_one(monkeypatch):
    monkeypatch.setattr(inference, "DEVICE_ROWS", 1_024)
    model = trained("float32", "cuda")[0]
    nights = [table(50_000) + shift for shift in range(8)]
    alone = [model.scores_by("novelty", rows) for rows in nights]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda rows: model.scores_by("novelty", rows), nights))

    for found, expected in zip(together, alone, strict=True):
        np.testing.assert_array_equal(found, expected)
