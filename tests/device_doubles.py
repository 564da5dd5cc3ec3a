"""Tensors, streams, events, graphs, and generators of `fake_device`."""

from __future__ import annotations

import weakref
from typing import ClassVar

import torch
from torch import Tensor

HostGenerator = torch.Generator


class Memory:
    """A block of memory, which is free once no tensor lies in it."""


class Cell:
    """Holds the value of a tensor once it is computed."""

    value: Tensor | None = None


class DeviceTensor(torch.Tensor):
    """shadow: a tensor like it, without values."""

    place = torch.device("cuda", 0)
    device = property(lambda self: DeviceTensor.place)
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, shadow, memory):
        exact = shadow.dtype == torch.float64
        assert not (exact and cls.place.type == "mps"), "MPS has no float64"
        made = Tensor._make_wrapper_subclass(
            cls,
            shadow.shape,
            strides=shadow.stride(),
            storage_offset=shadow.storage_offset(),
            dtype=shadow.dtype,
            device="meta",  # for autograd, which would ask the device for its streams
        )
        made.shadow, made.memory, made.cell = shadow, memory, Cell()
        return made

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        raise AssertionError(f"{func}: this thread does not see the device")

    def __deepcopy__(self, memo):
        copied = self.detach().clone().requires_grad_(self.requires_grad)
        copied._is_param = getattr(self, "_is_param", False)
        return copied


class Generator(HostGenerator):
    """In place of torch.Generator: one of the device, or torch's own."""

    known: ClassVar = weakref.WeakValueDictionary()
    device = property(lambda self: DeviceTensor.place)

    def __new__(cls, device="cpu"):
        if torch.device(device).type != DeviceTensor.place.type:
            return HostGenerator(device)
        made = super().__new__(cls)
        cls.known[made._cdata] = made  # operations are given another object for the same generator
        return made


class Stream:
    def __init__(self):
        self.queue, self.done = [], 0

    def run(self, stop=None):
        stop = len(self.queue) if stop is None else stop
        while self.done < stop:
            work, self.queue[self.done] = self.queue[self.done], None
            self.done += 1
            work()

    def wait_stream(self, other):
        stop = len(other.queue)
        self.queue.append(lambda: other.run(stop))


class Event:
    def __init__(self, device, *, blocking=False):
        self.device, self.stream, self.stop = device, None, 0

    def record(self, stream):
        self.stream, self.stop = stream, len(stream.queue)

    def synchronize(self):
        assert self.device.graph is None, "waits for an event while a graph is recorded"
        if self.stream is not None:
            self.stream.run(self.stop)


class Graph:
    def __init__(self, device):
        self.device, self.generators = device, []
        self.launches, self.cells, self.used = [], set(), []
        self.register_generator_state = self.generators.append

    def replay(self):
        self.device.replays += 1
        assert all(memory() for memory in self.used), "the graph uses memory that is free"
        self.device.stream.queue.extend(launch() for launch in self.launches)
