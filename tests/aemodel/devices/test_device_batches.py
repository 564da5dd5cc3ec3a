"""Batches on a device: each in its place, whatever is still under way."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from aemodel.devices.batches import SLOTS, BatchPlan, Sender, map_on_device


def copy(rows, inputs):
    inputs[:] = rows


@pytest.mark.parametrize("device", ["cpu", "cuda:0"])
@pytest.mark.parametrize("n", [0, 1, 8, 9, 8 * SLOTS, 8 * SLOTS + 1, 200])
def test_results_of_every_batch_are_written_once_and_in_order(n, device, cuda):
    rows = np.arange(2.0 * n, dtype=np.float32).reshape(n, 2)
    sums, doubled = np.full(n, np.nan), np.full((n, 2), np.nan, np.float32)
    map_on_device(
        rows,
        BatchPlan(8, 2, device),
        copy,
        lambda batch: (batch.sum(dim=1).double(), 2 * batch),
        [sums, doubled],
    )

    np.testing.assert_array_equal(sums, rows.sum(axis=1))
    np.testing.assert_array_equal(doubled, 2 * rows)
    assert cuda.waits == []


def test_rows_are_copied_in_their_own_dtype_and_the_last_batch_is_padded_with_zeros():
    seen = []

    def look(batch):
        seen.append(batch.clone())
        return (batch[:, 0].double(),)

    rows = np.arange(1, 11, dtype=np.uint8)[:, None]
    map_on_device(rows, BatchPlan(4, 1, "cpu", "uint8"), copy, look, [np.empty(10)])

    assert {batch.dtype for batch in seen} == {torch.uint8}
    assert seen[2].flatten().tolist() == [9, 10, 0, 0]


def test_the_host_finishes_what_a_device_found_of_the_same_batch(cuda):
    def finish(inputs, found):
        return [inputs[:, 0].double() + found[0]]

    rows, results = np.arange(50, dtype=np.float32)[:, None], np.empty(50)
    plan = BatchPlan(8, 1, "cuda:0", finish=finish)
    map_on_device(rows, plan, copy, lambda batch: (2.0 * batch[:, 0].double(),), [results])

    np.testing.assert_array_equal(results, 3 * rows[:, 0])


def test_values_may_change_once_they_are_sent(cuda):
    send, values = Sender(torch.device("cuda", 0)), torch.zeros(3)
    sent = []
    for number in range(3 * SLOTS):
        values.fill_(number)
        sent.append(send(values))

    assert cuda.waits == []
    assert [each[0].item() for each in sent] == list(range(3 * SLOTS))
