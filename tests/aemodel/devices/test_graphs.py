"""Recorded work: what a failed recording began is undone, wherever it failed."""

from __future__ import annotations

import pytest
import torch

from aemodel.devices.graphs import WARM_UPS, Recorded


@pytest.mark.parametrize("failing", [2, WARM_UPS + 1])
def test_a_failed_recording_leaves_everything_as_it_was(failing, cuda, caplog):
    total, rows = (torch.full((2,), value).to("cuda:0") for value in (0.0, 1.0))
    calls = []

    def work(rows):
        total.add_(rows)
        calls.append(None)
        if len(calls) == failing:
            raise torch.OutOfMemoryError("no memory")

    stream = torch.cuda.current_stream()
    assert Recorded.of(work, rows, [total], torch.Generator("cuda:0")) is None
    cuda.finish()

    assert "no memory" in caplog.text
    assert total.cpu().tolist() == [0, 0]
    assert torch.cuda.current_stream() is stream
