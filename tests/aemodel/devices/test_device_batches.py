"""Batches on a device: each in its place, whatever is still under way."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from aemodel.devices.batches import SLOTS, BatchPlan, map_on_device


def copy(rows, inputs):
    inputs[:] = rows


@pytest.mark.parametrize("n", [0, 1, 8, 9, 8 * SLOTS, 8 * SLOTS + 1, 200])
def test_results_of_every_batch_are_written_once_and_in_order(n):
    rows = np.arange(2.0 * n, dtype=np.float32).reshape(n, 2)
    sums, doubled = np.full(n, np.nan), np.full((n, 2), np.nan, np.float32)
    map_on_device(
        rows,
        BatchPlan(8, 2, "cpu"),
        copy,
        lambda batch: (batch.sum(dim=1).double(), 2 * batch),
        [sums, doubled],
    )

    np.testing.assert_array_equal(sums, rows.sum(axis=1))
    np.testing.assert_array_equal(doubled, 2 * rows)


def test_rows_are_copied_in_their_own_dtype_and_the_last_batch_is_padded_with_zeros():
    seen = []

    def look(batch):
        seen.append(batch.clone())
        return (batch[:, 0].double(),)

    rows = np.arange(1, 11, dtype=np.uint8)[:, None]
    map_on_device(rows, BatchPlan(4, 1, "cpu", "uint8"), copy, look, [np.empty(10)])

    assert {batch.dtype for batch in seen} == {torch.uint8}
    assert seen[2].flatten().tolist() == [9, 10, 0, 0]
