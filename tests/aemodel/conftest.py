"""Clean rows and small models for the tests of aemodel."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from aemodel.model import Layout
from aemodel.settings import ModelSettings, TrainSettings
from aemodel.trained import Trained
from aemodel.training import train_autoencoder

SMALL = ModelSettings(hidden=(16,), latent=3, activation="silu", output="identity", loss="mse", scaling="standard")


def clean_rows(n: int = 1_000, d: int = 8, *, seed: int = 0, dtype: str = "float32") -> np.ndarray:
    """Rows near a plane of 3 dimensions."""
    random = np.random.default_rng(seed)
    plane = np.random.default_rng(99).normal(size=(3, d))
    return (5 + random.normal(size=(n, 3)) @ plane + 0.1 * random.normal(size=(n, d))).astype(dtype)


def in_chunks(rows: np.ndarray, size: int = 300) -> Callable[[], Iterator[np.ndarray]]:
    return lambda: (rows[start : start + size] for start in range(0, len(rows), size))


def train_small(
    rows: np.ndarray, *, chunk: int = 300, model: ModelSettings = SMALL, memory: int = 50_000_000, columns=(), **train
) -> Trained:
    layout = Layout(row_shape=rows.shape[1:], dtype=rows.dtype.name, columns=columns)
    settings = TrainSettings(**{"epochs": 5, "batch_size": 64, "learning_rate": 3e-3, **train})
    return train_autoencoder(in_chunks(rows, chunk), layout=layout, model=model, train=settings, memory_bytes=memory)


@pytest.fixture(scope="session")
def trained() -> Trained:
    return train_small(clean_rows(4_000), epochs=8)
