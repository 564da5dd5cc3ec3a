"""Work that a GPU repeats on batches of one shape, recorded once as a CUDA graph and replayed.

A step of training launches some fifty kernels of a few microseconds each; the host takes longer to
launch them one by one than the GPU to run them. A graph is one launch. See "CUDA Graphs" in
NVIDIA's CUDA C++ Programming Guide.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Self

import torch
from torch import Tensor

WARM_UPS = 3  # libraries set themselves up in the first ones, which cannot be recorded
Work = Callable[[Tensor], None]
log = logging.getLogger(__name__)


def can_record(device: torch.device) -> bool:
    """Whether work on a device can be recorded."""
    return device.type == "cuda"


class Recorded:
    """Work on rows (n, d) of one shape, which never waits for the device."""

    def __init__(
        self, work: Work, rows: Tensor, changed: Sequence[Tensor], generator: torch.Generator
    ) -> None:
        """Record `work`, and restore what it changes.

        changed: the tensors that the work changes in place. generator: on the device, what its
        random numbers come from; it may be seeded anew between calls.
        """
        self._rows = rows.clone()
        before, state = [each.detach().clone() for each in changed], generator.get_state()
        try:
            self._replay = _record(partial(work, self._rows), generator)
        finally:
            with torch.no_grad():
                for each, value in zip(changed, before, strict=True):
                    each.copy_(value)
            generator.set_state(state)

    @classmethod
    def of(
        cls, work: Work, rows: Tensor, changed: Sequence[Tensor], generator: torch.Generator
    ) -> Self | None:
        """Record `work`; None where that fails, for want of memory or for another reason."""
        try:
            return cls(work, rows, changed, generator)
        except RuntimeError as error:
            log.warning("continuing without a CUDA graph, which is slower: %s", error)
            return None

    def __call__(self, rows: Tensor) -> None:
        """Do the work on rows (n, d)."""
        self._rows.copy_(rows)
        self._replay()


def _record(work: Callable[[], None], generator: torch.Generator) -> Callable[[], None]:
    """Return what replays `work`, after it was done some times on a stream of its own."""
    stream = torch.cuda.Stream(generator.device)  # type: ignore[no-untyped-call] # in torch
    current = torch.cuda.current_stream(generator.device)
    stream.wait_stream(current)
    try:
        # torch.cuda.graph leaves its stream in place if it fails; this context does not
        with torch.cuda.stream(stream):
            return _recorded_on(stream, work, generator)
    finally:
        current.wait_stream(stream)


def _recorded_on(
    stream: torch.cuda.Stream, work: Callable[[], None], generator: torch.Generator
) -> Callable[[], None]:
    for _ in range(WARM_UPS):
        work()
    graph = torch.cuda.CUDAGraph()
    graph.register_generator_state(generator)
    # on the stream that libraries are set up for; other threads may use the device meanwhile
    with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
        work()
    return graph.replay
