"""A GPU: rows scored a second beside its bare copy and forward pass; training beside one CPU core.

    python benchmarks/gpu.py                    some minutes; needs a CUDA device
    python benchmarks/gpu.py --json gpu.json

Scoring: rows in the host's memory, 64 float32 columns and pictures of 28 x 28 bytes, by the error
of a network of 64-64-16-64-64 or 784-64-16-64-784 values. The copy moves the same bytes from the
same memory, the forward pass takes scaled rows that lie on the device; both in the same batches,
and TF32 is off. No night can score faster than the slower of the two. Training: the digits of
MNIST as in benchmarks/fit.py, the same steps on the device and on one thread of the CPU.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import fit
import numpy as np
import torch
from datasets import images_and_labels, machine
from markdown_table import print_head, print_row
from numpy.typing import NDArray

from aemodel.devices.places import require_float32
from aemodel.model import Autoencoder
from aemodel.rows.layout import Layout
from aemodel.settings import ModelSettings, TrainSettings
from aemodel.training.loop import CleanRows, train_autoencoder

CLEAN_ROWS = 20_000
REPEATS = 3  # the fastest counts
NETWORK = ModelSettings(hidden=(64,), latent=16, output="identity", loss="mse")
NO_GPU = "benchmarks/gpu.py: torch sees no CUDA device on this machine; run it on one that has one"


@dataclass(frozen=True)
class Scoring:
    """Rows a second: of a score, and of what it cannot do without."""

    name: str
    rows: int
    copy: float
    forward: float
    error: float
    novelty: float

    @property
    def share(self) -> float:
        """Of the slower of copy and forward pass."""
        return self.error / min(self.copy, self.forward)


@dataclass(frozen=True)
class Training:
    """Seconds of the same training on the device and on one thread of the CPU, and its losses."""

    epochs: int
    device: float
    cpu: float
    device_loss: float
    cpu_loss: float


def seconds(work: Callable[[], object], device: str) -> float:
    """Return the fewest seconds that `work` takes, the device's included, once it is warm."""
    taken = []
    for _ in range(REPEATS + 1):
        wait(device)
        began = time.perf_counter()
        work()
        wait(device)
        taken.append(time.perf_counter() - began)
    return min(taken[1:])


def wait(device: str) -> None:
    """Wait for all that the device was given to do."""
    if device == "cuda":
        torch.cuda.synchronize()


def random_rows(n: int, row_shape: tuple[int, ...], dtype: str) -> NDArray[np.generic]:
    """Return rows near a plane of few dimensions."""
    random = np.random.default_rng(0)
    d = int(np.prod(row_shape))
    axes = random.normal(size=(8, d)).astype(np.float32)
    rows = np.empty((n, d), dtype)
    for start in range(0, n, 1 << 16):
        part = rows[start : start + (1 << 16)]
        values = random.normal(size=(len(part), 8)).astype(np.float32) @ axes
        part[:] = (40 * values + 128).clip(0, 255)
    return rows.reshape(n, *row_shape)


def fitted(rows: NDArray[np.generic], device: str) -> Autoencoder:
    """Fit the network to the first rows."""
    clean = rows[:CLEAN_ROWS]
    layout = Layout(row_shape=rows.shape[1:], dtype=rows.dtype.name)
    return train_autoencoder(
        CleanRows.in_memory(clean, layout),
        model=NETWORK,
        train=TrainSettings(epochs=1),
        device=device,
    ).model


def copy_all(rows: NDArray[np.generic], size: int, device: str) -> None:
    """Copy rows to the device, batch by batch."""
    for start in range(0, len(rows), size):
        torch.from_numpy(rows[start : start + size]).to(device, copy=True)


@torch.inference_mode()
def forward_all(network: torch.nn.Module, batch: torch.Tensor, times: int) -> None:
    """Compute the errors of a batch of scaled rows so many times."""
    for _ in range(times):
        (network(batch)[1] - batch).square().mean(dim=1)


def measure_scoring(name: str, rows: NDArray[np.generic], device: str) -> Scoring:
    """Measure one model on rows in the host's memory."""
    model = fitted(rows, device)
    size, n = model.size, len(rows)
    flat = rows.reshape(n, -1)
    batch = torch.from_numpy(model.scale(rows[:size])).to(device)
    times = -(-n // size)
    work: Sequence[Callable[[], object]] = (
        lambda: copy_all(flat, size, device),
        lambda: forward_all(model.members[0], batch, times),
        lambda: model.scores_by("error", rows),
        lambda: model.scores_by("novelty", rows),
    )
    return Scoring(name, n, *(n / seconds(each, device) for each in work))


def measure_training(epochs: int, device: str) -> Training:
    """Train on the digits on both."""
    rows, _ = images_and_labels("mnist", "train")
    torch.set_num_threads(1)
    taken, losses = [], []
    for each in (device, "cpu"):
        fit.fit_pictures(rows[:1_000], 1, fit.LARGE_RATE, each)
        began = time.perf_counter()
        _, loss = fit.fit_pictures(rows, epochs, fit.LARGE_RATE, each)
        losses.append(loss)
        taken.append(time.perf_counter() - began)
    return Training(epochs, *taken, *losses)


def show(scored: Sequence[Scoring], trained: Training) -> None:
    """Print both tables."""
    print_head("rows", "number", "copy/s", "forward/s", "by error/s", "share", "by novelty/s")
    for each in scored:
        speeds = [each.copy, each.forward, each.error]
        print_row(
            each.name,
            f"{each.rows:,}",
            *(f"{speed:,.0f}" for speed in speeds),
            f"{each.share:.2f}",
            f"{each.novelty:,.0f}",
        )
    print()
    print_head("MNIST", "epochs", "loss", "seconds", "times as fast")
    figures = {
        "one CPU core": (trained.cpu_loss, trained.cpu),
        "GPU": (trained.device_loss, trained.device),
    }
    for name, (loss, taken) in figures.items():
        times = f"{trained.cpu / taken:.1f}"
        print_row(name, str(trained.epochs), f"{loss:.4f}", f"{taken:.1f}", times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=4_000_000, help="a quarter as many pictures")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit(NO_GPU)
    require_float32("cuda")
    print(f"Machine: {machine()}; {torch.cuda.get_device_name()}\n")
    table = random_rows(options.rows, (64,), "float32")
    pictures = random_rows(options.rows // 4, (28, 28), "uint8")
    scored = [
        measure_scoring("64 float32 columns", table, "cuda"),
        measure_scoring("28 x 28 bytes", pictures, "cuda"),
    ]
    trained = measure_training(options.epochs, "cuda")
    show(scored, trained)
    if options.json:
        figures = {"scoring": [asdict(each) for each in scored], "training": asdict(trained)}
        facts = {"format_version": 1, "machine": machine(), "gpu": torch.cuda.get_device_name()}
        options.json.write_text(json.dumps({**facts, **figures}, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
