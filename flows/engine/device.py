"""The torch device of a run."""

from __future__ import annotations

from flows.errors import UsageError


def pick_device(wanted: str, *, require_gpu: bool) -> str:
    """The torch device for the setting `wanted`; 'auto' prefers a GPU.

    Raises UsageError if a required or named device is not available.
    """
    from aemodel.devices.places import require_float32  # late: --help stays quick

    available = available_devices(require_gpu=require_gpu)
    if wanted == "auto" and not available:
        raise UsageError("--require-gpu: this machine has no GPU that torch can use")
    if wanted != "auto" and wanted not in available:
        kind = " that is a GPU" if wanted == "cpu" else ""
        raise UsageError(f"train.device = '{wanted}': this machine has no such device{kind}")
    device = available[0] if wanted == "auto" else wanted
    require_float32(device)
    return device


def available_devices(*, require_gpu: bool) -> list[str]:
    """The torch devices of this machine, fastest first; without the CPU if a GPU is required."""
    import torch  # late: --help stays quick

    present = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": not require_gpu,
    }
    return [device for device, usable in present.items() if usable]
