"""Training that is interrupted after any epoch and resumed ends in the same model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import safetensors.numpy
import torch

from aemodel.bundle import to_files
from aemodel.errors import BundleError
from aemodel.rows.layout import CATEGORY, NUMBER, Layout
from aemodel.settings import ModelSettings, TrainSettings
from aemodel.training.epochs.course import BetweenEpochs
from aemodel.training.epochs.state import state_bytes, state_from_bytes
from aemodel.training.loop import CleanRows, train_autoencoder

pytestmark = pytest.mark.slow

TABLE = {"hidden": (8,), "latent": 2, "output": "identity", "loss": "mse", "scaling": "standard"}
TRAIN = TrainSettings(epochs=9, batch_size=32, learning_rate=5e-3)
IN_MEMORY, STREAMED = 10**7, 4_000


class Killed(Exception):
    """Ends a training as a kill would."""


def table(n=300):
    random = np.random.default_rng(0)
    rows = random.normal(size=(n, 2)) @ random.normal(size=(2, 6)) + 0.3 * random.normal(
        size=(n, 6)
    )
    return rows.astype(np.float64)


def clean_of(rows, memory, kinds=(), *, shuffled=False):
    layout = Layout(row_shape=rows.shape[1:], dtype="float64", kinds=kinds)
    parts = [(start, rows[start : start + 50]) for start in range(0, len(rows), 50)]

    def read_shuffled(seed):
        return [parts[i] for i in np.random.default_rng(seed).permutation(len(parts))]

    return CleanRows(
        lambda: [part for _, part in parts], layout, memory, read_shuffled if shuffled else None
    )


def mixed():
    rows = table()
    rows[:, 1] = 1000.0 * np.random.default_rng(1).integers(1, 4, len(rows))
    return clean_of(rows, IN_MEMORY, (NUMBER, CATEGORY, *[NUMBER] * 4))


def images():
    return clean_of(np.random.default_rng(0).random((120, 8, 8)), IN_MEMORY)


CASES = {
    "one network": (clean_of(table(), IN_MEMORY), {}, {}),
    "noise": (clean_of(table(), IN_MEMORY), {"noise": 0.1}, {}),
    "ensemble": (clean_of(table(), IN_MEMORY), {"members": 3, "noise": 0.1}, {}),
    "prototypes": (clean_of(table(), IN_MEMORY), {"prototypes": 20, "members": 2}, {}),
    "tied": (clean_of(table(), IN_MEMORY), {"tied": True}, {"trim": 0.1}),
    "principal components": (
        clean_of(table(), IN_MEMORY), {"hidden": (), "activation": "identity"}, {}
    ),
    "images": (images(), {"network": "conv", "hidden": (4,), "scaling": "none"}, {}),
    "mixed columns": (mixed(), {"noise": 0.1, "members": 2}, {}),
    "streamed": (clean_of(table(), STREAMED), {"noise": 0.1}, {}),
    "streamed in random order": (clean_of(table(), STREAMED, shuffled=True), {}, {}),
    "early stopping": (
        clean_of(table(), IN_MEMORY), {}, {"patience": 2, "learning_rate": 0.2, "validation": 0.3}
    ),
    "no validation rows": (clean_of(table(), IN_MEMORY), {}, {"validation": 0.0}),
}  # fmt: skip


def train(case, between):
    clean, model, settings = CASES[case]
    return train_autoencoder(
        clean,
        model=ModelSettings(**{**TABLE, **model}),
        train=replace(TRAIN, **settings),
        between=between,
    )


def trained_with_states(case):
    """A trained model, and the bytes of the state after each epoch."""
    states = []
    keep = BetweenEpochs(keep=lambda state: states.append(state_bytes(state())))
    return train(case, keep), states


@pytest.mark.parametrize("case", CASES)
def test_training_resumed_after_any_epoch_ends_in_the_same_model(case):
    unbroken = train(case, BetweenEpochs())
    observed, states = trained_with_states(case)
    assert len(states) == len(unbroken.history) > 2

    assert to_files(observed.model) == to_files(unbroken.model)
    for content in [states[0], states[len(states) // 2], states[-1]]:
        resumed = train(case, BetweenEpochs(resume=lambda saved=content: state_from_bytes(saved)))
        assert to_files(resumed.model) == to_files(unbroken.model)
        assert repr(resumed.history) == repr(unbroken.history)  # NaN has no equal
        assert resumed.best_epoch == unbroken.best_epoch


def test_early_stopping_resumes_after_its_best_epoch():
    unbroken, states = trained_with_states("early stopping")

    assert unbroken.best_epoch < len(unbroken.history) < TRAIN.epochs
    assert state_from_bytes(states[-1]).best == unbroken.best_epoch


def test_a_training_interrupted_twice_continues_from_the_newest_state():
    kept = []

    def interrupt_at(number):
        def keep(state):
            kept.append(state())
            if len(kept[-1].epochs) == number:
                raise Killed

        return BetweenEpochs(resume=lambda: kept[-1] if kept else None, keep=keep)

    for number in (3, 7):
        with pytest.raises(Killed):
            train("noise", interrupt_at(number))
    resumed = train("noise", interrupt_at(0))

    assert len(kept) == TRAIN.epochs
    assert to_files(resumed.model) == to_files(train("noise", BetweenEpochs()).model)


def test_progress_starts_at_the_epoch_that_training_resumes_after():
    _, states = trained_with_states("noise")
    reported = []
    resume = BetweenEpochs(
        resume=lambda: state_from_bytes(states[5]),
        report=lambda epoch: reported.append(epoch.number),
    )
    train("noise", resume)

    assert reported == [6, 7, 8, 9]


def test_a_state_does_not_change_as_training_goes_on():
    states, copies = [], []

    def keep(state):
        states.append(state())
        copies.append(state_bytes(states[-1]))

    train("ensemble", BetweenEpochs(keep=keep))
    again = [state_from_bytes(state_bytes(state)) for state in states]

    for state, content in zip(again, copies, strict=True):
        before = state_from_bytes(content)
        assert torch.equal(torch.tensor(state.generator), torch.tensor(before.generator))
        for name, weight in before.weights.items():
            np.testing.assert_array_equal(state.weights[name], weight)


def test_bytes_that_are_no_state_are_refused():
    _, [content, *_] = trained_with_states("noise")
    newer = safetensors.numpy.save(
        safetensors.numpy.load(content), metadata={"format_version": "2", "best": "0"}
    )

    with pytest.raises(BundleError, match=r"format_version must be 1\. Got 2 instead; train again"):
        state_from_bytes(newer)
    for damaged in (b"", content[:100], content[:-1], b"\x00" * 50):
        with pytest.raises(BundleError, match=r"checkpoint: damaged .*; train again"):
            state_from_bytes(damaged)
