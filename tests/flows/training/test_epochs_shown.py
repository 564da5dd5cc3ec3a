"""What is shown of a training: rows of all epochs, and the loss of the last one."""

from __future__ import annotations

from contextlib import contextmanager

from aemodel.training.result import Epoch
from flows.engine.progress import Part
from flows.training import epochs_shown as module
from flows.training.epochs_shown import epochs_shown


def shown_parts(monkeypatch) -> list[Part]:
    opened = []

    @contextmanager
    def opening(label, total):
        opened.append(Part(label, total, "rows"))
        yield opened[-1]
        opened[-1].label = "closed"

    monkeypatch.setattr(module, "part", opening)
    return opened


def test_batches_count_rows_of_all_epochs_with_the_loss_of_the_last(monkeypatch):
    [opened, reported] = shown_parts(monkeypatch), []
    with epochs_shown(3, reported.append) as shown:
        shown.on_batch(64, 100)
        shown.on_batch(36, 100)
        shown.on_epoch(Epoch(1, 0.5, 0.6))
        shown.on_batch(64, 100)

        assert (opened[0].done, opened[0].total) == (164, 300)
        assert (opened[0].label, opened[0].note) == ("epoch 2/3", "loss 0.5")
    assert [epoch.number for epoch in reported] == [1]


def test_a_resumed_training_begins_with_the_rows_of_its_earlier_epochs(monkeypatch):
    opened = shown_parts(monkeypatch)
    with epochs_shown(3, lambda _: None) as shown:
        shown.on_epoch(Epoch(2, 0.5, 0.6))
        shown.on_batch(64, 100)

        assert (opened[0].done, opened[0].label) == (264, "epoch 3/3")


def test_the_part_ends_with_the_last_epoch(monkeypatch):
    opened = shown_parts(monkeypatch)
    with epochs_shown(1, lambda _: None) as shown:
        shown.on_batch(100, 100)
        shown.on_epoch(Epoch(1, 0.5, 0.6))

        assert opened[0].label == "closed"
