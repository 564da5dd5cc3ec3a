"""Where tensors lie, and what each place can compute."""

from __future__ import annotations

import torch


def is_host(device: torch.device | str) -> bool:
    """Whether a device is the CPU, where looking at a value waits for nothing."""
    return torch.device(device).type == "cpu"


def exact_device(device: torch.device | str) -> torch.device | str:
    """Where float64 is computed: MPS has none."""
    return "cpu" if torch.device(device).type == "mps" else device
