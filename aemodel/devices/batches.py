"""Batches on a device: while it computes on one, the next is copied and a third is written.

A slot has buffers for one batch on both sides. Its buffers are used again only once the device is
done with the batch before; nothing else waits for the device. On CUDA, the host's side is pinned,
since other memory is not copied beside computation, and copies have a stream of their own.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aemodel.devices.places import require_float32

SLOTS = 3  # one is written, one copied, and one computed on

Write = Callable[[NDArray[np.generic], NDArray[Any]], None]
Compute = Callable[[Tensor], Sequence[Tensor]]
Finish = Callable[[Tensor, Sequence[Tensor]], Sequence[Tensor]]


@dataclass(frozen=True)
class BatchPlan:
    """Batches of `size` rows with `width` network inputs each, computed on `device`.

    dtype: of the inputs, by torch's name. finish: what the host makes of the inputs of a batch and
    of the results of another device, which meanwhile computes on the next batches.
    """

    size: int
    width: int
    device: str
    dtype: str = "float32"
    finish: Finish | None = None

    def inputs(self, *, pinned: bool = False) -> Tensor:
        """Return memory on the host for the inputs of one batch."""
        dtype = getattr(torch, self.dtype)
        return torch.empty(self.size, self.width, dtype=dtype, pin_memory=pinned)


def map_on_device(
    rows: NDArray[np.generic],
    plan: BatchPlan,
    write: Write,
    compute: Compute,
    outputs: Sequence[NDArray[np.generic]],
) -> None:
    """Write what `compute` gives for each batch of `rows` (n, ...) into `outputs` (n, ...).

    `write` writes rows (m, ...) into inputs (m, plan.width); zeros pad the last batch.
    """
    require_float32(plan.device)
    parts = [slice(start, start + plan.size) for start in range(0, len(rows), plan.size)]
    slots = [_Slot(plan) for _ in parts[:SLOTS]]
    copies = _Copies(plan.device)
    for place, part in enumerate(parts):
        slot = slots[place % SLOTS]
        slot.finish(outputs)
        slot.write(rows, part, write)
        copies.send(slot.written, slot.inputs)
        slot.start(compute)
    for place in range(len(parts), len(parts) + len(slots)):
        slots[place % len(slots)].finish(outputs)


class _Copies:
    """Copies inputs to the device; on CUDA beside its computations, which wait for them alone."""

    def __init__(self, device: str) -> None:
        self._stream = None
        if torch.device(device).type == "cuda":
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call] # in torch
            # the buffers may lie where earlier computations still read
            self._stream.wait_stream(torch.cuda.current_stream(device))

    def send(self, written: Tensor, inputs: Tensor) -> None:
        stream = self._stream
        with nullcontext() if stream is None else torch.cuda.stream(stream):
            inputs.copy_(written, non_blocking=stream is not None)
        if stream is not None:
            torch.cuda.current_stream(inputs.device).wait_stream(stream)


class _Slot:
    """Buffers of one batch on the host and on the device, and where its results belong."""

    def __init__(self, plan: BatchPlan) -> None:
        cuda = torch.device(plan.device).type == "cuda"
        self.written, self._finish_on_host = plan.inputs(pinned=cuda), plan.finish
        dtype, device = self.written.dtype, plan.device
        self.inputs = torch.empty(plan.size, plan.width, dtype=dtype, device=device)
        self._part = slice(0, 0)
        self._results: list[Tensor] = []
        self._done: torch.cuda.Event | None = None
        if cuda:
            self._done = _event()

    def write(self, rows: NDArray[np.generic], part: slice, write: Write) -> None:
        self._part, some = part, rows[part]
        write(some, self.written.numpy()[: len(some)])
        self.written[len(some) :] = 0

    def start(self, compute: Compute) -> None:
        """Queue the computation and the copies of its results to pinned memory."""
        found = compute(self.inputs)
        to_host = functools.partial(Tensor.to, device="cpu", non_blocking=self._done is not None)
        self._results = [to_host(each) for each in found]
        if self._done is not None:
            self._done.record(torch.cuda.current_stream(self.inputs.device))

    def finish(self, outputs: Sequence[NDArray[np.generic]]) -> None:
        """Wait for the results, if there are any, and keep them."""
        if self._done is not None:
            self._done.synchronize()
        if not self._results:
            return
        found: Sequence[Tensor] = self._results
        if self._finish_on_host is not None:
            found = self._finish_on_host(self.written, found)
        for output, result in zip(outputs, found, strict=True):
            chosen = output[self._part]
            chosen[:] = result[: len(chosen)].numpy()
        self._results = []


class Sender:
    """Sends tensors from the host to a device.

    To CUDA, through pinned memory: the host waits only where the device is SLOTS copies behind.
    """

    def __init__(self, device: torch.device) -> None:
        self._device, self._count = device, 0
        self._done: list[torch.cuda.Event] = []
        if device.type == "cuda":
            self._done = [_event() for _ in range(SLOTS)]

    def __call__(self, values: Tensor) -> Tensor:
        """Return values on the device; those on the host may change at once, if it is another."""
        if not self._done:
            return values.to(self._device)
        done = self._done[self._count % SLOTS]
        self._count += 1
        done.synchronize()
        # torch does not give this memory to others before the copy is done
        sent = values.pin_memory().to(self._device, non_blocking=True)
        done.record(torch.cuda.current_stream(self._device))
        return sent


def _event() -> torch.cuda.Event:
    """Return an event for which the host waits without spinning."""
    return torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call] # in torch
