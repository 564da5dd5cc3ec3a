"""The torch device a run uses."""

from __future__ import annotations

from flows.errors import UsageError


def pick_device(wanted: str, *, require_gpu: bool) -> str:
    """The torch device to use: for 'auto' a GPU where there is one.

    Raises UsageError where a GPU is required or named, and there is none.
    """
    import torch

    present = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": not require_gpu,
    }
    if wanted != "auto" and not present[wanted]:
        raise UsageError(
            f"train.device = '{wanted}': this machine offers no such device"
            + (" that is a GPU" if wanted == "cpu" else "")
        )
    chosen = next(
        (device for device, there in present.items() if there and wanted in ("auto", device)), None
    )
    if chosen is None:
        raise UsageError("--require-gpu: this machine has no GPU that torch can use")
    return chosen
