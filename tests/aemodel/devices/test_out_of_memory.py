"""Out of device memory: batches are halved, and the results stay the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from aemodel.devices.out_of_memory import halving
from aemodel.network.ensemble import Ensemble
from aemodel.rows.layout import Layout
from aemodel.settings import ModelSettings, TrainSettings
from aemodel.training.loop import CleanRows, train_autoencoder


def trained(rows):
    model = ModelSettings(
        hidden=(8,),
        latent=2,
        activation="silu",
        output="identity",
        loss="mse",
        scaling="standard",
        l1=1e-3,
        l2=1e-4,
    )
    layout = Layout(row_shape=(6,), dtype="float64")
    return train_autoencoder(
        CleanRows(lambda: [rows], layout, memory_bytes=10**8),
        model=model,
        train=TrainSettings(epochs=3, batch_size=64),
    )


def short_of_memory(work, most: int, axis: int):
    """Simulate `work` on a device with memory for `most` rows."""

    def call(self, rows, *others):
        if rows.shape[axis] > most:
            raise torch.OutOfMemoryError("no memory")
        return work(self, rows, *others)

    return call


def test_the_number_of_pieces_doubles_until_they_fit(caplog):
    tried = []

    def work(pieces):
        tried.append(pieces)
        if pieces < 8:
            raise torch.OutOfMemoryError("no memory")
        return "done"

    assert (halving(work, 100), tried) == ("done", [1, 2, 4, 8])
    assert "continuing with 13 at a time" in caplog.text


def test_a_single_row_that_does_not_fit_raises_an_error():
    def work(pieces):
        raise torch.OutOfMemoryError("no memory")

    with pytest.raises(torch.OutOfMemoryError, match="no memory"):
        halving(work, 4)


def test_training_in_halved_batches_gives_the_same_model(random, monkeypatch):
    rows = random.normal(size=(400, 6))
    whole = trained(rows)
    monkeypatch.setattr(Ensemble, "__call__", short_of_memory(Ensemble.__call__, 20, 1))
    halved = trained(rows)

    losses = [[epoch.train_loss for epoch in each.history] for each in (whole, halved)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    assert halved.model.errors(rows) == pytest.approx(whole.model.errors(rows), rel=1e-3)


def test_scores_in_halved_batches_agree_within_the_device_tolerance(random, monkeypatch):
    rows = random.normal(size=(400, 6))
    model = trained(rows).model
    whole = model.errors(rows)
    monkeypatch.setattr(
        type(model), "_encode_and_errors", short_of_memory(type(model)._encode_and_errors, 100, 0)
    )

    assert np.allclose(model.errors(rows), whole, rtol=1e-5, atol=1e-9)
