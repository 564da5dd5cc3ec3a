"""A fake GPU, on the CPU, which runs the code of a real one where there is none.

Its tensors say that they lie on cuda:0, or mps:0. Like a GPU at its slowest, it does nothing until
the host waits: each operation, each copy, and each wait of one stream for another is queued, and
done on the CPU once an event is synchronized or a value is read. So a buffer that is written too
early, a result that is read too early, and a stream that does not wait give wrong values. To mix
tensors of both devices is an error. `launches` of kernels, `waits` of the host for more than an
event, and `replays` of graphs are counted.

A graph keeps operations, and replays them on the memory that they were recorded with. As in CUDA,
it is an error to wait meanwhile, to draw random numbers from a generator that is not registered,
and to replay once memory that the graph uses is free. Only the thread that starts the device sees
it. It cannot show speed, how other kernels round, what CUDA itself refuses, and memory that one
stream gives to another too early.
"""

from __future__ import annotations

import traceback
import weakref
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch
from device_doubles import Cell, DeviceTensor, Event, Generator, Graph, Memory, Stream
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

import aemodel

ATEN = torch.ops.aten
READ, TO_COPY, COPY = ATEN._local_scalar_dense.default, ATEN._to_copy.default, ATEN.copy_.default
EMPTY, PIN = ATEN.empty.memory_format, ATEN._pin_memory.default
INDEXING = {ATEN.index.Tensor, ATEN.index_put_.default}
NO_KERNEL = {EMPTY, ATEN.empty_strided.default, ATEN.new_empty.default, ATEN.empty_like.default}
OURS = Path(aemodel.__file__).parent
GARBAGE = 0x7F  # in every byte of what is not there yet


class FakeDevice(TorchDispatchMode):
    @classmethod
    def _should_skip_dynamo(cls):
        return False  # nothing is compiled; to import torch's compiler takes seconds

    def __init__(self):
        super().__init__()
        self.stream, self.streams, self.graph = Stream(), [], None
        self.pinned = weakref.WeakKeyDictionary()
        self.launches, self.replays, self.waits = 0, 0, []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs, leaves = dict(kwargs or {}), tree_leaves((args, kwargs or {}))
        tensors = [each for each in leaves if isinstance(each, Tensor)]
        host = [each for each in tensors if not isinstance(each, DeviceTensor)]
        device = next((each for each in leaves if isinstance(each, torch.device)), None)
        if len(host) == len(tensors) and not _is_there(func, device):
            return self._on_host(func, args, kwargs)
        if func._can_decompose():  # in inference mode, such operations come whole
            with self:
                return func.decompose(*args, **kwargs)
        if func is READ:
            self.wait("reads a value")
            return func(args[0].cell.value)
        if func is TO_COPY and host:
            return self._from_host(args[0], kwargs)
        if func is TO_COPY and device is not None and device.type == "cpu":
            return self._to_host(args[0], kwargs)
        if func is COPY and host:
            assert host == [args[1]], "copies into memory of the host, for which it waits"
            return self._queued(COPY, (args[0], self._sent(*args[1:])), {})
        if func in INDEXING and isinstance(args[0], DeviceTensor):
            # indices of the host are copied, for which it waits
            return self._queued(func, tree_map_only(Tensor, self._there, args), kwargs)
        assert not host, f"{func}: host and device, {[tuple(each.shape) for each in host]}"
        return self._queued(func, args, kwargs)

    def wait(self, why):
        """The host waits for all that it gave the current stream to do."""
        stack = traceback.StackSummary.extract(traceback.walk_stack(None), lookup_lines=False)
        ours = [each.name for each in stack if OURS in Path(each.filename).parents]
        why = f"{why}: {', '.join(ours[:3])}"
        assert self.graph is None, f"{why}, while a graph is recorded"
        self.waits.append(why)
        self.stream.run()

    def new_stream(self, device=None):
        self.streams.append(Stream())
        return self.streams[-1]

    def finish(self):
        """Do what all streams have left."""
        for stream in (self.stream, *self.streams):
            stream.run()

    def _on_host(self, func, args, kwargs):
        pinned = kwargs.pop("pin_memory", False) or func is PIN
        found = args[0].clone() if func is PIN else func(*args, **kwargs)
        if pinned:
            assert self.graph is None, "allocates pinned memory while a graph is recorded"
            self.pinned[found.untyped_storage()] = True
        return found

    def _sent(self, source, later=False):
        """Copy from the host: now, or from pinned memory as it will be then."""
        assert source.device.type == "cpu", "made by torch of a list, where this is not seen"
        if later:
            assert source.untyped_storage() in self.pinned, "not blocking, of memory not pinned"
        else:
            self.wait("copies from the host")
            source = source.clone()
        sent = DeviceTensor(source.to("meta"), Memory())
        self._launch(lambda: lambda: setattr(sent.cell, "value", source.clone()))
        return sent

    def _there(self, tensor):
        return tensor if isinstance(tensor, DeviceTensor) else self._sent(tensor)

    def _from_host(self, source, kwargs):
        converted = source.to(kwargs.get("dtype") or source.dtype)  # by the host, as in torch
        return self._sent(converted, kwargs.get("non_blocking", False))

    def _to_host(self, source, kwargs):
        dtype, cell = kwargs.get("dtype") or source.dtype, source.cell
        found = torch.empty_strided(source.shape, source.shadow.stride(), dtype=dtype)
        if not kwargs.get("non_blocking", False):
            self.wait("copies to the host")
            return found.copy_(cell.value)
        found.untyped_storage()[:] = GARBAGE
        self._launch(lambda: lambda: found.copy_(cell.value))
        return found

    def _queued(self, func, args, kwargs):
        """Queue an operation; return what it will give."""
        factory = kwargs.pop("device", None) is not None and func is not TO_COPY
        generator = {"generator": kwargs.pop("generator")} if "generator" in kwargs else {}
        self._check(func, **generator)
        try:
            given = kwargs | dict.fromkeys(generator) | ({"device": "meta"} if factory else {})
            found, cells = self._promised(func, args, given)
        except NotImplementedError:
            return self._at_once(func, args, kwargs)
        given = tree_map_only(DeviceTensor, self._input, (args, kwargs))

        def compute():
            real_args, real_kwargs = tree_map_only(Cell, lambda cell: cell.value, given)
            values = tree_leaves(func(*real_args, **real_kwargs, **generator))
            return [each for each in values if isinstance(each, Tensor)]

        def keep(values):
            for cell, value in zip(cells, values, strict=True):
                cell.value = value

        def draw():  # with the state that the generator has at the launch
            return partial(keep, compute())

        self._launch(draw if generator else lambda: lambda: keep(compute()))
        same = func is TO_COPY and kwargs.get("dtype") in (None, args[0].dtype)
        self.launches += not (func.is_view or func in NO_KERNEL or same)
        return found

    def _promised(self, func, args, kwargs):
        """Return the tensors that an operation gives, and their cells."""
        if not func._schema.returns:
            return None, []
        inputs = [each for each in tree_leaves((args, kwargs)) if isinstance(each, DeviceTensor)]
        known = {id(each.shadow): each for each in inputs}
        shadow_args, shadow_kwargs = tree_map_only(DeviceTensor, _shadow, (args, kwargs))
        of_view = inputs[0] if func.is_view else None
        normal = of_view is not None and not of_view.is_inference()
        shadows, cells = func(*shadow_args, **shadow_kwargs), []

        def promise(shadow):
            found = known.get(id(shadow))
            if found is None:
                with torch.inference_mode(torch.is_inference_mode_enabled() and not normal):
                    found = DeviceTensor(shadow, Memory() if of_view is None else of_view.memory)
                if self.graph is not None:
                    self.graph.cells.add(found.cell)
            cells.append(found.cell)
            return found

        return tree_map_only(Tensor, promise, shadows), cells

    def _at_once(self, func, args, kwargs):
        self.wait(f"{func}, whose shape depends on values,")
        real = tree_map_only(DeviceTensor, lambda each: each.cell.value, (args, kwargs))

        def there(value):
            found = DeviceTensor(value.to("meta"), Memory())
            found.cell.value = value
            return found

        return tree_map_only(Tensor, there, func(*real[0], **real[1]))

    def _input(self, tensor):
        """Return the cell of an input; a graph does not keep memory from outside."""
        if self.graph is None or tensor.cell in self.graph.cells:
            return tensor.cell
        self.graph.used.append(weakref.ref(tensor.memory))
        outside = Cell()
        outside.value = tensor.cell.value
        return outside

    def _check(self, func, generator=None):
        if torch.Tag.nondeterministic_seeded not in func.tags:
            return
        known = None if generator is None else Generator.known.get(generator._cdata)
        assert known is not None, f"{func}: not by a generator of the device"
        assert self.graph is None or known in self.graph.generators, "an unregistered generator"

    def _launch(self, launch):
        """launch: what the host does; it returns what the device does."""
        if self.graph is None:
            self.stream.queue.append(launch())
        else:
            self.graph.launches.append(launch)

    @contextmanager
    def on_stream(self, stream):
        before, self.stream = self.stream, stream
        try:
            yield
        finally:
            self.stream = before

    @contextmanager
    def recording(self, graph, *, stream, capture_error_mode):
        self.finish()
        before, self.stream, self.graph = self.stream, stream, graph
        try:
            yield
        finally:
            self.graph = None
        self.stream = before  # not after an error, as in torch


def _shadow(tensor):
    return tensor.shadow


def _is_there(func, device):
    """Whether a device is this one, which is "meta" where torch itself takes that of a tensor."""
    if device is None:
        return False
    return device.type == DeviceTensor.place.type or (device.type == "meta" and func is not EMPTY)


@contextmanager
def fake_device(monkeypatch, kind):
    """Give this thread a device of a kind, cuda or mps; its name needs the number: cuda:0."""
    monkeypatch.setattr(DeviceTensor, "place", torch.device(kind, 0))
    found = FakeDevice()
    doubles = {
        "_lazy_init": lambda: None,
        "current_stream": lambda device=None: found.stream,
        "empty_cache": lambda: None,
        "stream": found.on_stream,
        "graph": found.recording,
        "Stream": found.new_stream,
        "Event": partial(Event, found),
        "CUDAGraph": partial(Graph, found),
    }
    for name, double in doubles.items():
        monkeypatch.setattr(torch.cuda, name, double)
    monkeypatch.setattr(torch, "Generator", Generator)
    only_cpu = torch._C._only_lift_cpu_tensors()
    torch._C._set_only_lift_cpu_tensors(True)  # else torch.tensor copies without being seen
    try:
        with found:
            yield found
    finally:
        torch._C._set_only_lift_cpu_tensors(only_cpu)
