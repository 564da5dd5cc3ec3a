"""Forward passes in batches of one fixed shape, so that a row's numbers do not depend on the rows beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

BATCH_VALUES = 4_194_304  # values of the widest layer in one batch: 16 MiB of float32
MOST_ROWS = 4_096
FEWEST_ROWS = 64


def batch_rows(widest: int) -> int:
    """Rows of every batch for a network whose widest layer has `widest` units: a power of two that depends on nothing else."""
    fitting = max(1, BATCH_VALUES // widest)
    return int(min(MOST_ROWS, max(FEWEST_ROWS, 2 ** (fitting.bit_length() - 1))))


@torch.inference_mode()
def map_rows(
    rows: NDArray[Any],
    size: int,
    device: str,
    to_inputs: Callable[[NDArray[Any]], NDArray[np.float32]],
    work: Callable[[Tensor], Sequence[Tensor]],
    outputs: Sequence[NDArray[Any]],
) -> None:
    """Write what `work` makes of each batch of `rows` (n, …) into `outputs`, arrays of n rows each.

    `to_inputs` turns rows (m, …) into the network's (m, d). Every batch has `size` rows, the last one filled up with zeros, and lies in
    memory that torch has aligned: products of matrices may round differently for another shape or alignment.
    """
    batch = torch.zeros(0)
    for start in range(0, len(rows), size):
        inputs = torch.from_numpy(to_inputs(rows[start : start + size]))
        if not len(batch):
            batch = torch.zeros(size, inputs.shape[1])
        batch[: len(inputs)] = inputs
        batch[len(inputs) :] = 0
        for output, result in zip(outputs, work(batch.to(device)), strict=True):
            output[start : start + size] = result[: len(inputs)].cpu().numpy()
