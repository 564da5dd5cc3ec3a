"""Steps recorded as a CUDA graph and replayed: the model of steps taken one by one.

Without a GPU, a recording does its work again on the rows in its buffer, as a graph does; a fake
GPU runs the code of one, see `fake_device`.
"""

from __future__ import annotations

import logging
from collections import Counter

import numpy as np
import pytest
import torch

from aemodel.devices import graphs
from aemodel.network import inference
from aemodel.rows.layout import CATEGORY, HOUR, NUMBER, Layout
from aemodel.settings import ModelSettings, TrainSettings
from aemodel.training.epochs import steps
from aemodel.training.epochs.course import NO_CALLS, BetweenEpochs
from aemodel.training.loop import CleanRows, train_autoencoder

TABLE = {"hidden": (8,), "latent": 2, "output": "identity", "loss": "mse", "scaling": "standard"}
CASES = {
    "one network": ({}, {}),
    "noise": ({"noise": 0.1}, {}),
    "members": ({"members": 3, "noise": 0.1}, {}),
    "prototypes": ({"prototypes": 20, "members": 2}, {}),
    "penalties": ({"l1": 0.01, "l2": 0.01, "tied": True}, {}),
    "gaps": ({"noise": 0.1}, {}),
    "mixed": ({"noise": 0.1, "members": 2}, {}),
    "trim": ({}, {"trim": 0.1}),
    "images": ({"network": "conv", "hidden": (4,), "scaling": "none"}, {}),
    "shorter than a batch": ({"noise": 0.1}, {"batch_size": 1_000}),
}

WAITS = (
    "copies from the host: fit, one_pass, _run_epoch",  # in which order rows come
    "reads a value: mean, one_pass, _run_epoch",
    "reads a value: mean, validation_loss, _run_epoch",
)


def rows_of(case):
    random = np.random.default_rng(0)
    if case == "images":
        return random.random((200, 8, 8)).astype(np.float32), ()
    rows = random.normal(size=(300, 2)) @ random.normal(size=(2, 6))
    rows += 0.3 * random.normal(size=rows.shape)
    if case == "gaps":
        rows[random.random(rows.shape) < 0.1] = np.nan
    if case == "mixed":
        rows[:, 1], rows[:, 2] = 10 * random.integers(1, 4, 300), random.uniform(0, 24, 300)
        return rows, (NUMBER, CATEGORY, HOUR, *[NUMBER] * 3)
    return rows, ()


def fitted(case, device="cpu", between=NO_CALLS):
    model, train = CASES[case]
    rows, kinds = rows_of(case)
    layout = Layout(row_shape=rows.shape[1:], dtype=rows.dtype.name, kinds=kinds)
    return train_autoencoder(
        CleanRows.in_memory(rows, layout),
        model=ModelSettings(**{**TABLE, **model}),
        train=TrainSettings(**{"epochs": 3, "batch_size": 32, "learning_rate": 5e-3, **train}),
        device=device,
        between=between,
    )


def outcome(trained):
    losses = [(each.train_loss, each.validation_loss) for each in trained.history]
    weights = [
        weight.detach().cpu().numpy().ravel()
        for member in trained.model.members
        for weight in member.parameters()
    ]
    return np.array(losses), np.concatenate(weights)


@pytest.mark.parametrize("case", CASES)
def test_recorded_steps_fit_the_same_model(case, monkeypatch):
    expected = outcome(fitted(case))
    recorded, replays = [], []

    def record(work, _):
        recorded.append(None)
        for _ in range(graphs.WARM_UPS):
            work()

        def replay():
            replays.append(None)
            work()

        return replay

    monkeypatch.setattr(steps, "can_record", lambda device: True)
    monkeypatch.setattr(graphs, "_record", record)
    found = outcome(fitted(case))

    assert 1 <= len(recorded) <= 2, "once for each shape, and again from where rows are trimmed"
    assert len(replays) >= 3, "every pass replays"
    for each, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(each, other)


def test_training_goes_on_where_steps_cannot_be_recorded(monkeypatch, caplog):
    expected = outcome(fitted("noise"))

    def fail(work, _):
        work()
        raise torch.OutOfMemoryError("no memory")

    monkeypatch.setattr(steps, "can_record", lambda device: True)
    monkeypatch.setattr(graphs, "_record", fail)
    with caplog.at_level(logging.WARNING):
        found = outcome(fitted("noise"))

    assert "no memory" in caplog.text
    for each, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(each, other)


@pytest.mark.parametrize("case", CASES)
def test_a_gpu_fits_the_same_model_and_is_waited_for_between_passes_alone(case, cuda, monkeypatch):
    monkeypatch.setattr(inference, "DEVICE_ROWS", 128)
    found = outcome(fitted(case, "cuda:0"))

    of_epochs = Counter(each for each in cuda.waits if each.endswith("_run_epoch"))
    assert of_epochs == dict.fromkeys(WAITS, 3), "for each of three epochs"
    assert cuda.replays >= 3
    cuda.waits.clear()
    for each, other in zip(found, outcome(fitted(case)), strict=True):
        np.testing.assert_allclose(each, other, rtol=1e-3, atol=1e-5)


def test_a_recorded_step_is_four_launches(cuda, monkeypatch):
    monkeypatch.setattr(inference, "DEVICE_ROWS", 128)
    launched = []
    count = BetweenEpochs(batch=lambda *_: launched.append(cuda.launches + cuda.replays))
    fitted("noise", "cuda:0", count)

    # choosing the rows, copying them, the learning rate, and the step
    assert Counter(np.diff(launched).tolist()).most_common(1)[0][0] == 4


def test_a_step_that_is_not_recorded_is_few_launches(cuda, monkeypatch):
    monkeypatch.setattr(steps, "can_record", lambda device: False)
    monkeypatch.setattr(inference, "DEVICE_ROWS", 128)
    launched = []
    fitted("noise", "cuda:0", BetweenEpochs(batch=lambda *_: launched.append(cuda.launches)))

    assert cuda.replays == 0
    assert Counter(np.diff(launched).tolist()).most_common(1)[0][0] <= 47


@pytest.mark.parametrize("case", ["gaps", "mixed", "images"])
def test_mps_fits_the_same_model(case, mps, monkeypatch):
    monkeypatch.setattr(inference, "DEVICE_ROWS", 128)
    for each, other in zip(outcome(fitted(case, "mps:0")), outcome(fitted(case)), strict=True):
        np.testing.assert_allclose(each, other, rtol=1e-3, atol=1e-5)


@pytest.mark.gpu
@pytest.mark.parametrize("case", CASES)
def test_steps_recorded_on_a_gpu_fit_the_same_model(case, monkeypatch, caplog):
    recorded = outcome(fitted(case, "cuda"))
    assert "CUDA graph" not in caplog.text
    monkeypatch.setattr(steps, "can_record", lambda device: False)
    one_by_one = outcome(fitted(case, "cuda"))

    for each, other in zip(recorded, one_by_one, strict=True):
        np.testing.assert_allclose(each, other, rtol=1e-3, atol=1e-4)
