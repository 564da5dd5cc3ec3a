"""What the promotion gate refuses: 40 bad challengers and 20 good ones on seven ADBench tables, ECG5000, MNIST and Fashion-MNIST.

python benchmarks/gate.py [--first-seed 0]       ten minutes

Models are what `nightglass init` writes: for tables an ensemble judged by novelty, for pictures one network judged by the relative error.

Each source's normal rows (8,000 at most) are shuffled and halved: the champion is trained on one half, every challenger on the other, with
a seed of its own. Good: nothing else. Contaminated: anomalies of the source among its clean rows, one to ten of them, or as many as there
are (digits and fashion items serve each other). Undertrained: 1 epoch. Dead: half of its latents from the start. Shifted: a fifth of
its columns moved by one standard deviation, or all values times 1.2, turn about.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from datasets import DATA, images_and_labels, machine
from numpy.typing import NDArray

from aemodel.network.dense import DenseAutoencoder, start_from_rows
from aemodel.network.ensemble import Ensemble
from aemodel.rows.layout import Layout
from aemodel.rows.training_rows import look_at_rows
from aemodel.settings import ModelSettings, TrainSettings
from aemodel.table_defaults import (
    BATCH,
    HIDDEN,
    MEMBERS,
    NOISE,
    PROTOTYPES,
    table_epochs,
    table_latents,
)
from aemodel.training.loop import MOST_START_ROWS, fit_ensemble
from aemodel.training.measure import measure_model, sample_fit_rows, unmeasured_model
from aemodel.training.promotion_gate import GateVerdict, judge_challenger
from aemodel.training.result import Trained

TABLES = (
    "2_annthyroid",
    "6_cardio",
    "10_cover",
    "24_mnist",
    "28_pendigits",
    "30_satellite",
    "32_shuttle",
)
MOST_ROWS = 8_000  # of a source: half for the champion, half for its challengers
CONTAMINATION = 0.1
DEAD = 0.5
MOVED = 0.2
PICTURES = ModelSettings(hidden=(512,), latent=64, activation="silu", loss="mse")

Rows = NDArray[Any]


def sources() -> Iterator[tuple[str, Rows, Rows]]:
    """Name, normal rows and anomalies of each source."""
    for name in TABLES:
        with np.load(DATA / "adbench" / f"{name}.npz", allow_pickle=False) as file:
            rows, labels = file["X"].astype(np.float64), file["y"].ravel()
        yield name.partition("_")[2], rows[labels == 0], rows[labels == 1]
    with np.load(DATA / "ecg5000" / "ecg5000.npz", allow_pickle=False) as file:
        yield "ECG5000", file["X"][file["y"] == 0], file["X"][file["y"] == 1]
    digits, fashion = (images_and_labels(name, "train")[0] for name in ("mnist", "fashion-mnist"))
    yield "MNIST", digits, fashion
    yield "Fashion-MNIST", fashion, digits


def settings_for(rows: Rows) -> tuple[ModelSettings, TrainSettings, str]:
    """What `nightglass init` writes for a table or for pictures, and the score that it ranks by."""
    if rows.ndim > 2:
        return PICTURES, TrainSettings(epochs=30, batch_size=64, calibration=0.2), "relative"
    table = ModelSettings(
        hidden=HIDDEN, latent=table_latents(rows.shape[1]), prototypes=PROTOTYPES, members=MEMBERS, activation="silu", scaling="minmax",
        output="identity", loss="mse", noise=NOISE,
    )  # fmt: skip
    return (
        table,
        TrainSettings(epochs=table_epochs(0.7 * len(rows)), batch_size=BATCH, calibration=0.2),
        "novelty",
    )


def train(rows: Rows, seed: int, *, epochs: int = 0, dead: float = 0.0) -> Trained:
    """Train as `train_autoencoder` does; a share of the latents may be dead before the first step."""
    (model, settings, _), layout = (
        settings_for(rows),
        Layout(row_shape=rows.shape[1:], dtype=rows.dtype.name),
    )
    settings = replace(settings, seed=seed, epochs=epochs or settings.epochs)
    parts = [rows]
    looked = look_at_rows(
        lambda: parts, layout=layout, model=model, train=settings, memory_bytes=10**9
    )
    generator = torch.Generator().manual_seed(seed)
    members = [DenseAutoencoder(layout.n_features, model, generator) for _ in range(model.members)]
    for member in members:
        if model.prototypes:
            start_from_rows(
                member, looked.tensor(sample_fit_rows(looked, MOST_START_ROWS)), generator
            )
        kill(member, round(dead * model.latent))
    ensemble = Ensemble(members)
    history = fit_ensemble(ensemble, looked, model=model, generator=generator)
    fitted = unmeasured_model(ensemble.unstacked(), looked, settings=model, layout=layout)
    return measure_model(fitted, looked, history=history)


def kill(network: DenseAutoencoder, count: int) -> None:
    """Cut `count` latents off from both halves.

    They are 0 for every row, and no gradient reaches them.
    """
    last = [layer for layer in network.encoder.children() if isinstance(layer, torch.nn.Linear)][-1]
    first = network.decoder[0]
    with torch.no_grad():
        last.weight[:count], last.bias[:count], first.weight[:, :count] = 0, 0, 0


def contaminate(rows: Rows, anomalies: Rows, random: np.random.Generator) -> Rows:
    """Clean rows with anomalies among them."""
    chosen = random.permutation(len(anomalies))[: round(CONTAMINATION * len(rows))]
    return random.permutation(np.concatenate([rows, anomalies[chosen]]))


def shift(rows: Rows, random: np.random.Generator, *, scaled: bool) -> Rows:
    """Rows in other units, or with some of their columns moved; bytes stay bytes."""
    values = rows.astype(np.float64)
    if scaled:
        moved = values * 1.2
    else:
        columns = random.permutation(rows[0].size).reshape(rows.shape[1:]) < max(
            1, round(MOVED * rows[0].size)
        )
        moved = values + columns * values.std(axis=0)
    return (np.clip(moved, 0, 255) if rows.dtype == np.uint8 else moved).astype(rows.dtype)


def challengers(
    rows: Rows, anomalies: Rows, seed: int, turn: int
) -> Iterator[tuple[str, Rows, Callable[[Rows], Trained]]]:
    """Kind, clean rows, and how to train on them."""
    random = np.random.default_rng(seed)
    seeds = range(seed + 1, seed + 7)
    yield "good", rows, lambda some: train(some, seeds[0])
    yield "good", rows, lambda some: train(some, seeds[1])
    yield "contaminated", contaminate(rows, anomalies, random), lambda some: train(some, seeds[2])
    yield "undertrained", rows, lambda some: train(some, seeds[3], epochs=1)
    yield "dead latents", rows, lambda some: train(some, seeds[4], dead=DEAD)
    yield "shifted", shift(rows, random, scaled=turn % 2 == 1), lambda some: train(some, seeds[5])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--first-seed", type=int, default=0)
    first = parser.parse_args().first_seed
    print(f"Machine: {machine()}\n\n| source | challenger | promoted | why |\n|---|---|---|---|")
    verdicts: dict[str, list[GateVerdict]] = {}
    for turn, (name, normal, anomalies) in enumerate(sources()):
        seed = first + 100 * turn
        rows = normal[np.random.default_rng(seed).permutation(len(normal))[:MOST_ROWS]]
        half = len(rows) // 2
        champion, by = train(rows[:half], seed).model, settings_for(rows)[2]
        for kind, clean, fit in challengers(rows[half:], anomalies, seed, turn):
            parts = [clean]
            verdict = judge_challenger(fit(clean), champion, lambda parts=parts: parts, by=by)  # type: ignore[misc] # bound at once
            verdicts.setdefault(kind, []).append(verdict)
            print(
                f"| {name} | {kind} | {'yes' if verdict.promote else 'no'} | {'; '.join(verdict.reasons)} |",
                flush=True,
            )
    print("\n| challenger | refused | of |\n|---|--:|--:|")
    for kind, found in verdicts.items():
        print(f"| {kind} | {sum(not verdict.promote for verdict in found)} | {len(found)} |")


if __name__ == "__main__":
    main()
