"""Forward passes in batches of a fixed shape, so that a row's results do not depend on its batch.

BLAS and vectorized loops may round differently for another shape, alignment or split among
threads. Batches are therefore padded to one size, aligned, and split evenly.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from aemodel.devices.batches import BatchPlan, Compute, Write, map_on_device
from aemodel.devices.out_of_memory import halving
from aemodel.devices.places import is_host
from aemodel.network.conv import Convolutions
from aemodel.network.dense import Transposed
from aemodel.network.products import linear, uses_onednn

BATCH_VALUES = 786_432  # of the widest layer in one batch: 3 MiB of float32 stay in the cache
# No power of 2, as columns of such a length would share few sets of the cache. Three batches hold
# the 8,192 rows that `decode` takes at once.
MOST_ROWS = 2_752
MOST_VALUES = 33_554_432  # of the widest layer, in batches that split evenly among threads
DEVICE_VALUES = 16_777_216
DEVICE_ROWS = 65_536  # the host takes as long to start a batch, however few its rows
GROUP_VALUES = 262_144  # values of the widest convolution in one group: 1 MiB of float32
GROUP_SIZES = (64, 32, 16, 8, 4, 2)  # divisors of STEP_ROWS
STEP_ROWS = 64
LOG2_E = math.log2(math.e)
_GRAIN = 32_768  # torch splits element-wise work among threads from this many values on
# values per step of torch's vectorized loops; a thread's remainder may round differently
_VECTORS = 32

# of what the layer before has written
_IN_PLACE: dict[type[nn.Module], Callable[[Tensor], Tensor]] = {
    nn.ReLU: torch.relu_,
    nn.SiLU: functools.partial(functional.silu, inplace=True),
    nn.Tanh: torch.tanh_,
    nn.ELU: functools.partial(functional.elu, inplace=True),
}


def batch_rows(widths: Sequence[int], device: str) -> int:
    """Return the rows of every batch for a network with layers of these widths.

    Depends otherwise only on torch's number of threads.
    """
    if is_host(device):
        return _batch_rows(tuple(widths), torch.get_num_threads(), MOST_ROWS, BATCH_VALUES)
    return _batch_rows(tuple(widths), 1, DEVICE_ROWS, DEVICE_VALUES)


@lru_cache
def _batch_rows(widths: tuple[int, ...], threads: int, most_rows: int, most_values: int) -> int:
    """Return the most rows within both limits that split evenly, or else the fewest beyond them.

    STEP_ROWS if the rows are too wide for that.
    """
    widest = max(widths)
    most = max(STEP_ROWS, min(most_rows, most_values // widest) // STEP_ROWS * STEP_ROWS)
    fewer = range(most, 0, -STEP_ROWS)
    more = range(most, MOST_VALUES // widest, STEP_ROWS)
    return next(_evenly_split(chain(fewer, more), widths, threads), most)


def _evenly_split(sizes: Iterable[int], widths: Sequence[int], threads: int) -> Iterator[int]:
    for rows in sizes:
        if all(_splits_evenly(rows * width, threads) for width in widths):
            yield rows


def _splits_evenly(values: int, threads: int) -> bool:
    """Whether every thread gets whole vectors of so many values."""
    parts = min(threads, -(-values // _GRAIN))
    return values % (_VECTORS * parts) == 0


def layer_widths(layers: nn.Module) -> list[int]:
    """Return the values per row before and after each layer that changes their number."""
    widths: list[int] = []
    for layer in layers.children():
        if isinstance(layer, Convolutions):
            widths += layer.widths
        elif isinstance(layer, nn.Linear | Transposed):
            widths += reversed(layer.weight.shape)
    return widths


def run_layers(layers: Sequence[nn.Module], inputs: Tensor) -> Tensor:
    """Apply linear layers, convolutions and activations to inputs (n, in), giving (n, out).

    Without oneDNN, the matrix products hold rows as columns: otherwise a BLAS may sum in a
    different order from one row to the next if both widths are small, and a row's last bit would
    depend on its place in the batch. The result is then a view of such columns, so that nothing is
    copied between two networks.
    """
    match layers:
        case [nn.Linear() as into, nn.Softmax(), nn.Linear() as out]:
            return _mean_of_prototypes(into, out, inputs)
    if uses_onednn(inputs):
        return functools.reduce(_apply_to_rows, layers, inputs)
    return functools.reduce(_apply, layers, inputs.t()).t()


def _mean_of_prototypes(into: nn.Linear, out: nn.Linear, latents: Tensor) -> Tensor:
    """Return means (n, d) of prototypes, weighted by a softmax of what latents (n, k) select.

    Weights are powers of 2, which take a quarter of the time of those of e. The means are divided
    by the sum of the weights, which takes a pass over fewer values.
    """
    weights = linear(latents, LOG2_E * into.weight, LOG2_E * into.bias)
    weights.sub_(weights.amax(dim=1, keepdim=True)).exp2_()
    sums = linear(weights, out.weight).div_(weights.sum(dim=1, keepdim=True))
    return sums.add_(out.bias)


def _apply_to_rows(rows: Tensor, layer: nn.Module) -> Tensor:
    if isinstance(layer, nn.Linear | Transposed):
        return linear(rows, layer.weight, layer.bias)
    if isinstance(layer, Convolutions):
        return _convolve(layer, rows.contiguous())
    return _IN_PLACE.get(type(layer), layer)(rows)


def _apply(columns: Tensor, layer: nn.Module) -> Tensor:
    if isinstance(layer, nn.Linear | Transposed):
        return torch.mm(layer.weight, columns).add_(layer.bias[:, None])
    if isinstance(layer, Convolutions):
        return _convolve(layer, columns.t().contiguous()).t()
    return _IN_PLACE.get(type(layer), layer)(columns)


def _convolve(layers: Convolutions, rows: Tensor) -> Tensor:
    """Convolve rows (n, in); on a CPU in groups that fit its caches and bound the memory."""
    if not is_host(rows.device):
        return torch.as_tensor(layers(rows))
    size = _group_rows(tuple(layers.widths), torch.get_num_threads())
    return torch.cat([layers(group) for group in torch.split(rows, size)])


@lru_cache
def _group_rows(widths: tuple[int, ...], threads: int) -> int:
    """Return the most rows within GROUP_VALUES that split evenly, or 1.

    A group of one row has the same bits at any place. Every thread may get a part, however small:
    torch's GELU does so for the channels-last memory format.
    """
    for size in GROUP_SIZES:
        fits = size * max(widths) <= GROUP_VALUES
        if fits and all(size * width % (_VECTORS * threads) == 0 for width in widths):
            return size
    return 1


@torch.inference_mode()
def map_rows(
    rows: NDArray[np.generic],
    plan: BatchPlan,
    write_inputs: Write,
    forward: Compute,
    outputs: Sequence[NDArray[np.generic]],
) -> None:
    """Write the results of `forward` on each batch of `rows` (n, ...) into `outputs` (n, ...).

    `write_inputs` writes the network's inputs for rows (m, ...) into an array (m, plan.width).
    Every batch has `plan.size` rows in memory aligned by torch; zeros pad the last batch.
    """
    if not is_host(plan.device):
        map_on_device(rows, plan, write_inputs, functools.partial(_halved, forward), outputs)
        return
    batch = plan.inputs() if len(rows) else torch.empty(0)
    for start in range(0, len(rows), plan.size):
        part = rows[start : start + plan.size]
        write_inputs(part, batch.numpy()[: len(part)])
        batch[len(part) :] = 0
        for output, result in zip(outputs, _halved(forward, batch), strict=True):
            output[start : start + plan.size] = result[: len(part)].numpy()


def _halved(forward: Compute, batch: Tensor) -> Sequence[Tensor]:
    """Apply `forward` to a batch, in pieces where it exceeds the memory of the device."""
    return halving(functools.partial(_in_pieces, forward, batch), len(batch))


def _in_pieces(forward: Compute, batch: Tensor, pieces: int) -> Sequence[Tensor]:
    """Apply `forward` to a batch in so many pieces; several pieces may round differently."""
    if pieces == 1:
        return forward(batch)
    results = [forward(piece) for piece in batch.chunk(pieces)]
    return [torch.cat(parts) for parts in zip(*results, strict=True)]


def copy_inputs(rows: NDArray[np.generic], inputs: NDArray[np.generic]) -> None:
    """Write rows (m, ...) as they are into inputs (m, width), which may be of a narrower dtype."""
    np.copyto(inputs, rows.reshape(inputs.shape), casting="same_kind")
