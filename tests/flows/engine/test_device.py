"""The device of a run: no TF32 on a GPU, and the same scores as on the CPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from aemodel.bundle import from_files, to_files
from aemodel.rows.layout import Layout
from aemodel.settings import ModelSettings, TrainSettings
from aemodel.training.loop import CleanRows, train_autoencoder
from flows.engine import device as devices
from flows.engine.device import pick_device


def test_a_run_on_a_gpu_computes_in_float32(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    monkeypatch.setattr(devices, "available_devices", lambda *, require_gpu: ["cuda", "cpu"])

    assert pick_device("auto", require_gpu=False) == "cuda"
    assert not torch.backends.cudnn.allow_tf32


@pytest.mark.gpu
@pytest.mark.parametrize("network", ["dense", "conv"])
def test_scores_on_a_gpu_agree_with_those_on_the_cpu(network):
    rows = np.random.default_rng(0).integers(0, 255, (600, 28, 28)).astype(np.uint8)
    model = ModelSettings(network=network, latent=8, output="identity", loss="mse")
    clean = CleanRows(lambda: [rows], Layout(row_shape=(28, 28), dtype="uint8"), 10**8)
    device = pick_device("cuda", require_gpu=True)
    trained = train_autoencoder(clean, model=model, train=TrainSettings(epochs=2), device=device)
    on_cpu = from_files(to_files(trained.model))
    for found, expected in zip(trained.model.scores(rows), on_cpu.scores(rows), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-9)
