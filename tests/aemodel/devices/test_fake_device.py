"""The fake GPU of other tests has the hazards of a real one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from aemodel.devices.graphs import Recorded


def on_device(*values):
    return torch.tensor(values).to("cuda:0")


def test_a_result_is_there_once_the_host_has_waited_for_its_event(cuda):
    done, found = torch.cuda.Event(), (2 * on_device(1.0, 2.0)).to("cpu", non_blocking=True)
    done.record(torch.cuda.current_stream())
    assert not torch.equal(found, torch.tensor([2.0, 4.0]))
    done.synchronize()

    assert torch.equal(found, torch.tensor([2.0, 4.0]))


def test_pinned_memory_is_read_as_it_is_when_the_device_comes_to_it(cuda):
    pinned = torch.ones(2).pin_memory()
    early = pinned.to("cuda:0", non_blocking=True)
    pinned[:] = 5

    assert early.cpu().tolist() == [5, 5]


def test_a_stream_that_does_not_wait_sees_what_was_there_before(cuda):
    inputs, copies = on_device(0.0), torch.cuda.Stream()
    with torch.cuda.stream(copies):
        inputs.copy_(torch.ones(1).pin_memory(), non_blocking=True)
    too_early = inputs + 0
    torch.cuda.current_stream().wait_stream(copies)

    assert [float(too_early), float(inputs)] == [0, 1]


def test_waits_are_counted_with_their_reason(cuda):
    values = on_device(1.0, 2.0)
    values.sum().item(), values[values > 1], values.to("cpu")

    reasons = [each.split(",")[0].split(":")[0] for each in cuda.waits]
    found = ["reads a value", "aten.index.Tensor", "copies to the host"]
    assert reasons == ["copies from the host", *found]


@pytest.mark.parametrize(
    ("work", "why"),
    [
        (lambda rows: rows + torch.ones(2), "host and device"),
        (lambda rows: torch.rand(2, device=rows.device), "not by a generator of the device"),
        (lambda rows: rows.sum().item(), "reads a value.* while a graph is recorded"),
        (lambda rows: rows.add_(torch.ones(2).to(rows)), "copies from the host.* while a graph"),
        (lambda rows: torch.ones(2).pin_memory(), "allocates pinned memory"),
    ],
)
def test_what_a_gpu_refuses_is_refused(work, why, cuda):
    rows, generator = on_device(1.0, 2.0), torch.Generator("cuda:0")
    with pytest.raises(AssertionError, match=why):
        Recorded(work, rows, [], generator)


def test_a_graph_refuses_memory_that_is_free(cuda):
    total, rows = on_device(0.0, 0.0), on_device(1.0, 2.0)
    others = [on_device(3.0, 3.0)]
    generator = torch.Generator("cuda:0")
    recorded = Recorded(lambda each: total.add_(each * others[0]), rows, [total], generator)
    recorded(rows)
    np.testing.assert_array_equal(total.cpu(), [3, 6])
    others.clear()

    with pytest.raises(AssertionError, match="memory that is free"):
        recorded(rows)
