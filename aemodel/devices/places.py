"""Where tensors lie, and what each place can compute."""

from __future__ import annotations

import torch


def is_host(device: torch.device | str) -> bool:
    """Whether a device is the CPU, where looking at a value waits for nothing."""
    return torch.device(device).type == "cpu"


def exact_device(device: torch.device | str) -> torch.device | str:
    """Where float64 is computed: MPS has none."""
    return "cpu" if torch.device(device).type == "mps" else device


def require_float32(device: torch.device | str) -> None:
    """Switch TF32 off on CUDA, for this process: scores agree with those of the CPU.

    By default, torch uses it for convolutions, with 10 of 23 bits.
    """
    if torch.device(device).type == "cuda":
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False
