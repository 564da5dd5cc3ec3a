"""CPU seconds of training, beside a plain torch loop and PyOD's autoencoder, in one run.

    python benchmarks/fit.py --tables        some minutes; 30 epochs
    python benchmarks/fit.py --epochs 5

The digits of MNIST by a network of 784-64-784 values, as a loop over a DataLoader and as
nightglass fits it: the same rows and batches of 256, in as many epochs and in a third of them. The
loss is that of the 10,000 test digits. With --tables, also tables of ADBench, with PyOD (the extra
`bench`). One thread; a small training beforehand loads what both need.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
from datasets import images_and_labels, machine
from markdown_table import print_head, print_row
from numpy.typing import NDArray
from proposed import MEMORY_BYTES, parse_job, propose_for_rows, train_on
from sklearn.metrics import roc_auc_score
from tables import split, standardized
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from aemodel.model import Autoencoder
from aemodel.rows.layout import Layout
from aemodel.settings import ModelSettings, TrainSettings
from aemodel.training.loop import CleanRows, fit_autoencoder

BATCH, LATENT = 256, 64
FEW_EPOCHS, LARGE_RATE = 1 / 3, 8e-3
Logits = Callable[[Tensor], Tensor]
TABLES = ("28_pendigits", "24_mnist", "32_shuttle")


@contextmanager
def cpu_seconds() -> Iterator[Callable[[], float]]:
    """Yield a function that returns the CPU seconds since the start."""
    began = time.process_time()
    yield lambda: time.process_time() - began


def scale(rows: NDArray[np.uint8]) -> Tensor:
    """Flat rows (n, d) from 0 to 1."""
    return torch.from_numpy(rows.reshape(len(rows), -1).astype(np.float32) / 255)


def plain_loop(rows: NDArray[np.uint8], epochs: int, rate: float) -> Logits:
    """Fit as a loop over a DataLoader does."""
    scaled = scale(rows)
    d = scaled.shape[1]
    network = nn.Sequential(nn.Linear(d, LATENT), nn.ReLU(), nn.Linear(LATENT, d))
    for layer in (network[0], network[2]):
        nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(layer.bias)
    optimizer, loss_of = torch.optim.Adam(network.parameters(), rate), nn.BCEWithLogitsLoss()
    loader = DataLoader(TensorDataset(scaled), batch_size=BATCH, shuffle=True)
    for _ in range(epochs):
        for (batch,) in loader:
            optimizer.zero_grad()
            loss = loss_of(network(batch), batch)
            loss.backward()
            optimizer.step()
    return network


def ours(rows: NDArray[np.uint8], epochs: int, rate: float) -> Logits:
    """Fit the same network."""
    fitted, _ = fit_pictures(rows, epochs, rate)
    return lambda scaled: fitted.members[0](scaled)[1]


def fit_pictures(
    rows: NDArray[np.uint8], epochs: int, rate: float, device: str = "cpu"
) -> tuple[Autoencoder, float]:
    """Return the fitted network and the mean loss of its last epoch."""
    layout = Layout(row_shape=rows.shape[1:], dtype=rows.dtype.name)
    clean = CleanRows(lambda: [rows], layout, MEMORY_BYTES)
    shares = {"calibration": 0.0, "validation": 0.0}
    train = TrainSettings(epochs=epochs, batch_size=BATCH, learning_rate=rate, **shares)
    model = ModelSettings(latent=LATENT)
    fitted, _, history = fit_autoencoder(clean, model=model, train=train, device=device)
    return fitted, history.epochs[-1].train_loss


def digits(epochs: int) -> None:
    (rows, _), (others, _) = (images_and_labels("mnist", part) for part in ("train", "t10k"))
    held_out = scale(others)
    for work in (ours, plain_loop):
        work(rows[:1_000], 1, 1e-3)
    print_head("MNIST", "epochs", "rate", "held-out loss", "CPU s", "of the plain loop")
    few, plain = max(1, round(FEW_EPOCHS * epochs)), 0.0
    for work, count, rate in (
        (plain_loop, epochs, 1e-3),
        (ours, epochs, TrainSettings().learning_rate),
        (ours, few, LARGE_RATE),
    ):
        with cpu_seconds() as since:
            logits = work(rows, count, rate)
        taken = since()
        plain = plain or taken
        with torch.inference_mode():
            loss = float(nn.functional.binary_cross_entropy_with_logits(logits(held_out), held_out))
        name = "nightglass" if work is ours else "plain torch loop"
        figures = f"{rate:g}", f"{loss:.5f}", f"{taken:.1f}", f"{taken / plain:.2f}"
        print_row(name, str(count), *figures)


def tables() -> None:
    from pyod.models.auto_encoder import AutoEncoder  # only here the extra is needed

    print_head("table", "method", "CPU s", "of PyOD", "AUROC by error", "by novelty")
    for name in TABLES:
        train, test, labels = split(name, 0)
        known, asked = standardized(train, test)
        with cpu_seconds() as since:
            detector = AutoEncoder(random_state=0, verbose=0).fit(known)
        pyod = since()
        auroc = roc_auc_score(labels, detector.decision_function(asked))
        print_row(name, "PyOD AutoEncoder", f"{pyod:.1f}", "1", f"{auroc:.4f}", "")
        job = parse_job(propose_for_rows(train))
        for members in (job.model.members, 1):
            with cpu_seconds() as since:
                fitted = train_on(train, replace(job.model, members=members), job.train)
            taken = since()
            errors, novelties, _ = fitted.model.scores(test)
            figures = [f"{roc_auc_score(labels, each):.4f}" for each in (errors, novelties)]
            which = f"as init proposes, members = {members}"
            print_row(name, which, f"{taken:.1f}", f"{taken / pyod:.2f}", *figures)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--tables", action="store_true", help="also tables, beside PyOD")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"Machine: {machine()}\n")
    digits(options.epochs)
    if options.tables:
        tables()


if __name__ == "__main__":
    main()
