"""Forward passes in batches of one fixed shape, so that a row's numbers do not depend on the rows beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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


def padded_batches(rows: NDArray[np.float32], size: int, device: str) -> Iterator[tuple[slice, Tensor]]:
    """Cut rows (n, d) into tensors (size, d), the last one filled up with zeros; with the slice that each stands for."""
    for start in range(0, len(rows), size):
        piece = rows[start : start + size]
        if len(piece) < size:
            piece = np.concatenate([piece, np.zeros((size - len(piece), rows.shape[1]), np.float32)])
        yield slice(start, min(start + size, len(rows))), torch.from_numpy(np.ascontiguousarray(piece)).to(device)


@torch.inference_mode()
def map_rows(
    rows: NDArray[np.float32], size: int, device: str, work: Callable[[Tensor], Sequence[Tensor]], outputs: Sequence[NDArray[Any]]
) -> None:
    """Write what `work` makes of each batch of `rows` (n, d) into `outputs`, arrays of n rows each."""
    for place, batch in padded_batches(rows, size, device):
        for output, result in zip(outputs, work(batch), strict=True):
            output[place] = result[: place.stop - place.start].cpu().numpy()
