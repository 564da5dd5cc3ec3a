"""How latents and decoder weights are stored."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np

from aemodel.rows.layout import Layout
from aemodel.settings import ModelSettings, TrainSettings
from aemodel.training.loop import CleanRows, train_autoencoder
from aemodel.weight_rounding import pack_xz
from flows.encoding.precision import Encoded, fewest_bits


def test_only_the_weights_that_are_stored_are_compressed():
    rows = np.random.default_rng(0).normal(size=(300, 20)).astype(np.float32)
    settings = ModelSettings(
        hidden=(32,), latent=8, output="identity", loss="mse", scaling="standard"
    )
    clean = CleanRows(lambda: [rows], Layout(row_shape=(20,), dtype="float32"), memory_bytes=10**8)
    model = train_autoencoder(clean, model=settings, train=TrainSettings(epochs=1)).model
    with patch("aemodel.decoder_files.pack_xz", side_effect=pack_xz) as packed:
        stored = fewest_bits(model, Encoded.of(model, rows, rows), "int8")

    assert "decoder.safetensors.xz" in stored.files  # of 17 roundings, most cost too much
    assert packed.call_count == 1
