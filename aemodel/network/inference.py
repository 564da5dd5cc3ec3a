"""Forward passes in batches of one fixed shape, so that a row's numbers do not depend on the rows beside it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aemodel.network.conv import Convolutions
from aemodel.network.dense import Transposed
from aemodel.network.out_of_memory import halving

BATCH_VALUES = 4_194_304  # values of the widest layer in one batch: 16 MiB of float32
MOST_VALUES = 8 * BATCH_VALUES
MOST_ROWS = 4_096
GROUP_VALUES = 262_144  # values of the widest convolution in one group: 1 MiB of float32
GROUP_SIZES = (64, 32, 16, 8, 4, 2)  # each a divisor of STEP_ROWS
STEP_ROWS = 64
_GRAIN = 32_768  # torch splits element-wise work among threads from this many values on
# values that its vectorised loops take at once; what is left over at the end of a thread's part may
# round differently
_VECTORS = 32


def batch_rows(widths: Sequence[int], device: str) -> int:
    """Rows of every batch for a network with layers of these widths.

    Depends on nothing else but the number of torch's threads.
    """
    return _batch_rows(tuple(widths), 1 if device != "cpu" else torch.get_num_threads())


@lru_cache
def _batch_rows(widths: tuple[int, ...], threads: int) -> int:
    """As many rows as BATCH_VALUES allow, or else the fewest that split evenly.

    For rows too wide for that, STEP_ROWS.
    """
    most = max(STEP_ROWS, min(MOST_ROWS, BATCH_VALUES // max(widths)) // STEP_ROWS * STEP_ROWS)
    fewer, more = range(most, 0, -STEP_ROWS), range(most, MOST_VALUES // max(widths), STEP_ROWS)
    return next(
        (
            rows
            for rows in chain(fewer, more)
            if all(_splits_evenly(rows * width, threads) for width in widths)
        ),
        most,
    )


def _splits_evenly(values: int, threads: int) -> bool:
    """Whether every thread's part of so many values is made up of whole vectors."""
    return values % (_VECTORS * min(threads, -(-values // _GRAIN))) == 0


def layer_widths(layers: nn.Module) -> list[int]:
    """Values a row before and after each layer that changes their number."""
    widths: list[int] = []
    for layer in layers.children():
        if isinstance(layer, Convolutions):
            widths += layer.widths
        elif isinstance(layer, nn.Linear | Transposed):
            widths += reversed(layer.weight.shape)
    return widths


def run_layers(layers: nn.Module, inputs: Tensor) -> Tensor:
    """What a stack of linear layers, convolutions and activations makes of inputs (n, in): (n, out).

    Rows stand as columns of the matrix products. With rows as rows, a BLAS may add up a product in another order from one row to
    the next where both widths are small, so that a row's last bit would depend on its place in the batch.
    """
    columns = inputs.t()
    for layer in layers.children():
        if isinstance(layer, nn.Linear | Transposed):
            columns = torch.addmm(layer.bias[:, None], layer.weight, columns)
        elif isinstance(layer, Convolutions):
            columns = _convolve(layer, columns.t().contiguous()).t()
        else:
            columns = columns.softmax(dim=0) if isinstance(layer, nn.Softmax) else layer(columns)
    return columns.t().contiguous()


def _convolve(layers: Convolutions, rows: Tensor) -> Tensor:
    """Convolutions over rows (n, in), on a CPU in groups of a fixed number of them, which stay in its caches and bound the memory."""
    if rows.device.type != "cpu":
        return torch.as_tensor(layers(rows))
    size = _group_rows(tuple(layers.widths), torch.get_num_threads())
    return torch.cat([layers(group) for group in torch.split(rows, size)])


@lru_cache
def _group_rows(widths: tuple[int, ...], threads: int) -> int:
    """The most rows that GROUP_VALUES allow and that split evenly; a row that is its own group has the same bits in any case.

    Here every thread may get a part, however small: torch's GELU does so where channels stand last.
    """
    sizes = [size for size in GROUP_SIZES if size * max(widths) <= GROUP_VALUES]
    return next(
        (
            size
            for size in sizes
            if all(size * width % (_VECTORS * threads) == 0 for width in widths)
        ),
        1,
    )


@torch.inference_mode()
def map_rows(
    rows: NDArray[Any],
    size: int,
    device: str,
    width: int,
    write_inputs: Callable[[NDArray[Any], NDArray[np.float32]], None],
    work: Callable[[Tensor], Sequence[Tensor]],
    outputs: Sequence[NDArray[Any]],
) -> None:
    """Write what `work` makes of each batch of `rows` (n, …) into `outputs`, arrays of n rows each.

    `write_inputs` puts what the network sees of rows (m, …) into an array (m, width). Every batch
    has `size` rows, the last one filled up with zeros, and lies in memory that torch has aligned:
    products of matrices may round differently for another shape or alignment.
    """
    batch = torch.zeros(size if len(rows) else 0, width)
    for start in range(0, len(rows), size):
        some = rows[start : start + size]
        write_inputs(some, batch.numpy()[: len(some)])
        batch[len(some) :] = 0
        results = halving(functools.partial(_in_pieces, work, batch.to(device)), len(batch))
        for output, result in zip(outputs, results, strict=True):
            output[start : start + size] = result[: len(some)].cpu().numpy()


def _in_pieces(
    work: Callable[[Tensor], Sequence[Tensor]], batch: Tensor, pieces: int
) -> Sequence[Tensor]:
    """What `work` makes of a batch.

    In more than one piece, the values may round differently, as on another device.
    """
    if pieces == 1:
        return work(batch)
    return [
        torch.cat(parts)
        for parts in zip(*(work(part) for part in batch.chunk(pieces)), strict=True)
    ]
