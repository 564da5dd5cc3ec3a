"""The learning rate rises, stays, and falls to 0."""

from __future__ import annotations

import numpy as np
import pytest

from aemodel.rows.layout import Layout
from aemodel.settings import ModelSettings, TrainSettings
from aemodel.training.epochs.schedule import Schedule
from aemodel.training.loop import CleanRows, train_autoencoder


def rates(rows, batch):
    schedule = Schedule(2.0, rows)
    return [schedule.rate(before, batch) for before in range(0, rows, batch)]


def test_the_rate_rises_stays_and_falls():
    found = np.array(rates(10_000, 100))

    assert found[:10] == pytest.approx(np.linspace(0.1, 1.9, 10))
    assert (found[10:60] == 2.0).all()
    assert found[60:] == pytest.approx(np.linspace(1.975, 0.025, 40))


def test_a_single_step_has_the_whole_rate_and_no_step_of_three_has_none():
    assert rates(100, 100) == [2.0]
    assert min(rates(99, 33)) > 0.5


def test_training_ends_at_a_lower_loss_than_at_a_constant_rate(monkeypatch):
    random = np.random.default_rng(0)
    rows = random.normal(size=(2_000, 6)) @ random.normal(size=(6, 6))
    table = {"output": "identity", "loss": "mse", "scaling": "standard"}
    model = ModelSettings(hidden=(16,), latent=3, activation="silu", **table)

    def loss():
        clean = CleanRows.in_memory(rows, Layout(row_shape=(6,), dtype="float64"))
        train = TrainSettings(epochs=20, batch_size=64, learning_rate=0.03)
        return train_autoencoder(clean, model=model, train=train).history[-1].validation_loss

    scheduled = loss()
    monkeypatch.setattr(Schedule, "rate", lambda self, *_: self.learning_rate)

    assert scheduled < 0.98 * loss()
