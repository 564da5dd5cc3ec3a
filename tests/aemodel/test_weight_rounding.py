"""Compact decoder weights."""

from __future__ import annotations

import numpy as np

from aemodel.decoder_files import decoder_files, packed_decoder_files, rounded_decoder_files
from aemodel.rows.layout import Layout
from aemodel.settings import ModelSettings, TrainSettings
from aemodel.training.loop import CleanRows, train_autoencoder


def test_rounded_weights_are_deterministic():
    rows = np.random.default_rng(0).normal(size=(300, 20)).astype(np.float32)
    settings = ModelSettings(
        hidden=(32,), latent=8, output="identity", loss="mse", scaling="standard"
    )
    layout = Layout(row_shape=(20,), dtype="float32")
    model = train_autoencoder(
        CleanRows(lambda: [rows], layout, memory_bytes=10**8),
        model=settings,
        train=TrainSettings(epochs=1),
    ).model
    whole, latents = decoder_files(model), model.encode(rows) * np.arange(1, 9, dtype=np.float32)

    packed = {
        packed_decoder_files(rounded_decoder_files(whole, latents, 0.1))["decoder.safetensors.xz"]
        for _ in range(20)
    }

    assert len(packed) == 1
