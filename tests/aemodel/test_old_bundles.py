"""Bundles of format_version 1 keep judging as they did when they were written."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch.nn.functional import silu

from aemodel.bundle import from_files, to_files
from aemodel.model import Autoencoder, Layout
from aemodel.settings import ModelSettings, TrainSettings
from aemodel.training import train_autoencoder

ROWS = np.random.default_rng(0).normal(size=(300, 6))


def train(**settings) -> Autoencoder:
    model = ModelSettings(**{"output": "identity", "loss": "mse", "scaling": "standard", "latent": 3, "activation": "silu", **settings})
    layout, parts = Layout(row_shape=(6,), dtype="float64"), [ROWS]
    return train_autoencoder(lambda: parts, layout=layout, model=model, train=TrainSettings(epochs=1), memory_bytes=10**7).model


def older(model: Autoencoder) -> dict[str, bytes]:
    """The bundle as format_version 1 had it."""
    files = to_files(model)
    facts = {**json.loads(files["model.json"]), "format_version": 1}
    return {**files, "model.json": json.dumps(facts).encode()}


def test_latents_after_hidden_layers_keep_the_activation_that_they_were_fitted_with():
    model = train(hidden=(8,))
    old = from_files(older(model))
    again = from_files(to_files(old))

    np.testing.assert_allclose(old.encode(ROWS), silu(torch.from_numpy(model.encode(ROWS))), rtol=1e-6)
    np.testing.assert_array_equal(again.errors(ROWS), old.errors(ROWS))


@pytest.mark.parametrize("settings", [{"hidden": ()}, {"hidden": (8,), "prototypes": 4}])
def test_other_models_are_what_they_were(settings):
    model = train(**settings)
    old = from_files(older(model))

    np.testing.assert_array_equal(old.encode(ROWS), model.encode(ROWS))
