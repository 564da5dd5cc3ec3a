"""Scores computed as on a GPU: the same numbers, and the host never waits within a batch.

Without a GPU, a fake one runs the code of it; see `fake_device`.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch

from aemodel.bundle import from_files, to_files
from aemodel.explain.attribution import explain
from aemodel.explain.latent_map import map_of_rows
from aemodel.network import inference
from aemodel.network.point_levels import PointLevels
from aemodel.rows.layout import CATEGORY, HOUR, NUMBER, Layout
from aemodel.rows.scaling import Scaler
from aemodel.scores.neighbors import NearestRows
from aemodel.settings import ModelSettings, TrainSettings
from aemodel.training.loop import CleanRows, train_autoencoder

SMALL = ModelSettings(
    hidden=(16,), latent=4, activation="silu", output="identity", loss="mse", scaling="standard"
)
PROTOTYPES = replace(SMALL, prototypes=64, members=2, noise=0.1)
CASES = ("float32", "gaps", "float64", "int64", "uint8", "images", "repeated", "mixed")
# kernels for a batch by all scores, and copies; the host takes some microseconds for each
MOST_LAUNCHES = {
    "float32": 153,
    "gaps": 221,
    "float64": 197,
    "int64": 153,
    "uint8": 154,
    "images": 101,
    "repeated": 165,
    "mixed": 331,
}


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
def gpu(cuda, monkeypatch):
    """A fake device that takes more batches than there are slots."""
    monkeypatch.setattr(inference, "DEVICE_ROWS", 128)
    return cuda


def moved(model, device="cuda:0"):
    return from_files(to_files(model), device=device)


@pytest.mark.parametrize("case", CASES)
def test_scores_are_those_of_the_host_which_never_waits_within_a_batch(case, gpu):
    model, clean = trained(case)
    rows = tonight(clean)
    expected = (*model.scores(rows), model.encode(rows))
    on_device = moved(model)
    on_device.scores(rows[:9])  # prepares the reference
    gpu.waits.clear()
    before, found = gpu.launches, on_device.scores(rows)

    assert gpu.waits == []
    assert gpu.launches - before <= MOST_LAUNCHES[case] * -(-len(rows) // 128)
    for each, other in zip(found, expected[:3], strict=True):
        np.testing.assert_allclose(each, other, rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(on_device.encode(rows), expected[3], rtol=1e-4, atol=1e-5)


def first_features(model, rows, by):
    return [each.features[0].name for each in explain(model, model.rebuild(rows), by=by)]


@pytest.mark.parametrize("device", ["cuda:0", "mps:0"])
def test_a_device_explains_rows_as_the_host_does(device, request, monkeypatch):
    monkeypatch.setattr(inference, "DEVICE_ROWS", 128)
    request.getfixturevalue(device.removesuffix(":0"))
    for case in ("gaps", "mixed"):
        model, clean = trained(case)
        rows = tonight(clean)[10:20]
        on_device = moved(model, device)
        for by in ("error", "novelty"):
            expected = first_features(model, rows, by)
            assert first_features(on_device, rows, by) == expected
            maps = [map_of_rows(each, rows, by=by) for each in (on_device, model)]
            assert (maps[0] is None) == (maps[1] is None)


def test_a_device_decodes_some_columns(gpu):
    model, clean = trained("mixed")
    latents = model.encode(clean[:300])
    decoders = (each.decoder.of_columns([0]) for each in (moved(model), model))

    np.testing.assert_allclose(*(each.decode(latents) for each in decoders), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("levels", [None, PointLevels(2, [3], torch.tensor([1.0, 1, 1, 2, 3, 4]))])
def test_distances_are_exact_on_a_device(levels, cuda):
    random = np.random.default_rng(0)
    points = torch.from_numpy(random.normal(size=(300, 3)).astype(np.float32))
    points[:, 2] = torch.from_numpy(random.integers(0, 4, 300).astype(np.float32))
    expected, places = NearestRows(points[:200], levels)(points[200:], 5)
    there = points.to("cuda:0")
    on_device = None
    if levels is not None:
        on_device = PointLevels(2, [3], torch.tensor([1.0, 1, 1, 2, 3, 4]).to("cuda:0"))
    found, at = NearestRows(there[:200], on_device)(there[200:], 5)

    assert found.dtype == torch.float64
    np.testing.assert_allclose(found.cpu(), expected, rtol=1e-12)
    np.testing.assert_array_equal(at.cpu(), places)


def test_scores_are_computed_without_tf32(cuda, monkeypatch):
    model, clean = trained("images")
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    model.errors(clean[:5])
    assert torch.backends.cudnn.allow_tf32, "the CPU leaves it as it is"
    moved(model).errors(clean[:5])

    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32
    assert torch.backends.cudnn.conv.fp32_precision != "tf32"


@pytest.mark.parametrize("case", ["uint8", "images", "gaps"])
def test_a_night_is_scaled_on_the_device_to_the_bits_of_the_host(case, gpu, monkeypatch):
    model, clean = trained(case)
    on_device, rows = moved(model), tonight(clean)
    expected, error = model.scale(rows), on_device.errors(rows)
    monkeypatch.setattr(Scaler, "transform", None)  # the host has no part in it
    monkeypatch.setattr(Scaler, "transform_into", None)
    scores, scaled = on_device.scale_and_score(rows, ("error",))

    np.testing.assert_array_equal(scaled, expected)
    np.testing.assert_array_equal(scores["error"], error)


@pytest.mark.usefixtures("gpu")
def test_scores_have_the_same_bits_however_rows_are_grouped():
    model, clean = trained("gaps")
    on_device, rows = moved(model), tonight(clean)
    pieces = [on_device.scores(rows[start : start + 77]) for start in range(0, len(rows), 77)]

    for whole, parts in zip(on_device.scores(rows), zip(*pieces, strict=True), strict=True):
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
@pytest.mark.parametrize("case", CASES)
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
