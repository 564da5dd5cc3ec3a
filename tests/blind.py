"""A network that reconstructs two of three features exactly, at any distance, and never the third.

Its reconstruction error is blind to rows that are far from the clean rows.
"""

from __future__ import annotations

import numpy as np
import torch

from aemodel.network.dense import DenseAutoencoder
from aemodel.rows.layout import Layout
from aemodel.rows.preparation.prepare import prepare_rows
from aemodel.settings import ModelSettings, TrainSettings
from aemodel.training.measure import measure_model, unmeasured_model
from aemodel.training.result import Epoch, History, Trained

SIGNS = torch.tensor([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]])
FAR = np.array([40.0, -40.0, 0.0])  # far from all clean rows, reconstructed without error


def clean_rows(n: int = 1500, seed: int = 0) -> np.ndarray:
    """Rows (n, 3) float64, standard normal."""
    return np.random.default_rng(seed).normal(size=(n, 3))


def blind_model(rows: np.ndarray) -> Trained:
    """The blind network with scaling, novelty reference and calibration from clean rows (n, 3)."""
    model = ModelSettings(latent=4, output="identity", loss="mse", scaling="none")
    train = TrainSettings(calibration=0.3, validation=0.2)
    layout = Layout(row_shape=(3,), dtype="float64")
    network = DenseAutoencoder(3, model, torch.Generator().manual_seed(0))
    with torch.no_grad():
        network.encoder[0].weight.copy_(SIGNS)
        network.decoder[0].weight.copy_(SIGNS.t())
    seen = prepare_rows(lambda: [rows], layout=layout, model=model, train=train, memory_bytes=10**8)
    fitted = unmeasured_model((network.eval(),), seen, settings=model, layout=layout)
    return measure_model(fitted, seen, history=History((Epoch(1, 0.0, 0.0),), best=1))
