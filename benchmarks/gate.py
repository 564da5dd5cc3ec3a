"""What the promotion gate refuses: 40 bad challengers and 20 good ones.

    python benchmarks/gate.py [--first-seed 0]       ten minutes

On seven ADBench tables, ECG5000, MNIST, and Fashion-MNIST. Models are those that `nightglass init`
proposes: for tables an ensemble judged by novelty, for images one network judged by the relative
error.

Each source's normal rows (8,000 at most) are shuffled and halved. The champion is trained on one
half, every challenger on the other, each with its own seed:

- good: nothing else is changed;
- contaminated: one anomaly per ten clean rows, or as many as there are (MNIST and Fashion-MNIST
  serve as anomalies for each other);
- undertrained: one epoch;
- dead latents: half of the latents are dead from the start;
- shifted: alternately, a fifth of the columns moves by one standard deviation, or all values are
  multiplied by 1.2.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from datasets import DATA, images_and_labels, machine
from markdown_table import print_head, print_row
from numpy.typing import NDArray

from aemodel.network.dense import DenseAutoencoder, start_from_rows
from aemodel.network.ensemble import Ensemble
from aemodel.rows.layout import Layout
from aemodel.rows.preparation.prepare import prepare_rows
from aemodel.settings import ModelSettings, TrainSettings
from aemodel.table_defaults import (
    BATCH,
    HIDDEN,
    LEARNING_RATE,
    MEMBERS,
    NOISE,
    PROTOTYPES,
    table_epochs,
    table_latents,
)
from aemodel.training.loop import MOST_START_ROWS, fit_ensemble
from aemodel.training.measure import measure_model, unmeasured_model
from aemodel.training.promotion_gate import GateVerdict, judge_challenger
from aemodel.training.reference_rows import sample_fit_rows
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
MOST_ROWS = 8_000  # per source: half for the champion, half for its challengers
CONTAMINATION = 0.1
DEAD = 0.5
MOVED = 0.2
IMAGES = ModelSettings(hidden=(512,), latent=64, activation="silu", loss="mse")

Rows = NDArray[Any]


@dataclass(frozen=True)
class Source:
    """Normal rows (n, *row_shape) and anomalies (m, *row_shape) of one dataset."""

    name: str
    normal: Rows
    anomalies: Rows


@dataclass(frozen=True)
class Challenger:
    """A kind of challenger, its clean rows, and how it is trained on them."""

    kind: str
    rows: Rows
    seed: int
    epochs: int = 0  # 0 = as proposed
    dead: float = 0.0

    def train(self) -> Trained:
        """Train it."""
        return train(self.rows, self.seed, epochs=self.epochs, dead=self.dead)


def sources() -> Iterator[Source]:
    """All datasets."""
    for name in TABLES:
        with np.load(DATA / "adbench" / f"{name}.npz", allow_pickle=False) as file:
            rows, labels = file["X"].astype(np.float64), file["y"].ravel()
        yield Source(name.partition("_")[2], rows[labels == 0], rows[labels == 1])
    with np.load(DATA / "ecg5000" / "ecg5000.npz", allow_pickle=False) as file:
        yield Source("ECG5000", file["X"][file["y"] == 0], file["X"][file["y"] == 1])
    digits, _ = images_and_labels("mnist", "train")
    fashion, _ = images_and_labels("fashion-mnist", "train")
    yield Source("MNIST", digits, fashion)
    yield Source("Fashion-MNIST", fashion, digits)


def score_for(rows: Rows) -> str:
    """The score that `nightglass init` proposes to rank rows by."""
    return "relative" if rows.ndim > 2 else "novelty"


def settings_for(rows: Rows) -> tuple[ModelSettings, TrainSettings]:
    """The settings that `nightglass init` proposes for a table or for images."""
    if rows.ndim > 2:
        return IMAGES, TrainSettings(epochs=30, batch_size=64, calibration=0.2)
    table = ModelSettings(
        hidden=HIDDEN,
        latent=table_latents(rows.shape[1]),
        prototypes=PROTOTYPES,
        members=MEMBERS,
        activation="silu",
        scaling="minmax",
        output="identity",
        loss="mse",
        noise=NOISE,
    )
    epochs = table_epochs(0.7 * len(rows))
    steps = TrainSettings(
        epochs=epochs, batch_size=BATCH, learning_rate=LEARNING_RATE, calibration=0.2
    )
    return table, steps


def train(rows: Rows, seed: int, *, epochs: int = 0, dead: float = 0.0) -> Trained:
    """Train as `train_autoencoder` does, with a share of the latents `dead` from the start."""
    model, settings = settings_for(rows)
    layout = Layout(row_shape=rows.shape[1:], dtype=rows.dtype.name)
    settings = replace(settings, seed=seed, epochs=epochs or settings.epochs)
    parts = [rows]
    looked = prepare_rows(
        lambda: parts, layout=layout, model=model, train=settings, memory_bytes=10**9
    )
    generator = torch.Generator().manual_seed(seed)
    members = [DenseAutoencoder(layout.n_features, model, generator) for _ in range(model.members)]
    for member in members:
        if model.prototypes:
            start = looked.tensor(sample_fit_rows(looked, MOST_START_ROWS))
            start_from_rows(member, start, generator)
        kill(member, round(dead * model.latent))
    ensemble = Ensemble(members)
    history = fit_ensemble(ensemble, looked, model=model, generator=generator)
    fitted = unmeasured_model(ensemble.unstacked(), looked, settings=model, layout=layout)
    return measure_model(fitted, looked, history=history)


def kill(network: DenseAutoencoder, count: int) -> None:
    """Disconnect `count` latents from encoder and decoder.

    They are 0 for every row, and no gradient reaches them.
    """
    layers = network.encoder.children()
    last = [layer for layer in layers if isinstance(layer, torch.nn.Linear)][-1]
    first = network.decoder[0]
    with torch.no_grad():
        last.weight[:count], last.bias[:count], first.weight[:, :count] = 0, 0, 0


def contaminate(rows: Rows, anomalies: Rows, random: np.random.Generator) -> Rows:
    """Clean rows with anomalies among them."""
    chosen = random.permutation(len(anomalies))[: round(CONTAMINATION * len(rows))]
    return random.permutation(np.concatenate([rows, anomalies[chosen]]))


def move_columns(rows: Rows, random: np.random.Generator) -> Rows:
    """Rows with a share MOVED of their columns one standard deviation higher."""
    order = random.permutation(rows[0].size).reshape(rows.shape[1:])
    columns = order < max(1, round(MOVED * rows[0].size))
    values = rows.astype(np.float64)
    return as_before(values + columns * values.std(axis=0), rows.dtype)


def rescale(rows: Rows) -> Rows:
    """Rows in other units."""
    return as_before(rows.astype(np.float64) * 1.2, rows.dtype)


def as_before(values: Rows, dtype: np.dtype[Any]) -> Rows:
    """Values in the type of the original rows; uint8 is clipped."""
    return (np.clip(values, 0, 255) if dtype == np.uint8 else values).astype(dtype)


def challengers(rows: Rows, anomalies: Rows, seed: int, turn: int) -> Iterator[Challenger]:
    """Two good challengers and four bad ones; `turn` alternates the kinds of shift."""
    random = np.random.default_rng(seed)
    yield Challenger("good", rows, seed + 1)
    yield Challenger("good", rows, seed + 2)
    yield Challenger("contaminated", contaminate(rows, anomalies, random), seed + 3)
    yield Challenger("undertrained", rows, seed + 4, epochs=1)
    yield Challenger("dead latents", rows, seed + 5, dead=DEAD)
    shifted = rescale(rows) if turn % 2 else move_columns(rows, random)
    yield Challenger("shifted", shifted, seed + 6)


def judge_challengers(
    source: Source, seed: int, turn: int
) -> Iterator[tuple[Challenger, GateVerdict]]:
    """Train a champion of one source and let the gate judge all challengers against it."""
    order = np.random.default_rng(seed).permutation(len(source.normal))
    rows = source.normal[order[:MOST_ROWS]]
    half = len(rows) // 2
    champion = train(rows[:half], seed).model
    for each in challengers(rows[half:], source.anomalies, seed, turn):
        chunks = [each.rows]
        trained = each.train()
        # judge() reads the chunks before it returns, so the late binding is safe
        verdict = judge_challenger(trained, champion, lambda: chunks, by=score_for(rows))  # noqa: B023
        yield each, verdict


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--first-seed", type=int, default=0)
    first = parser.parse_args().first_seed
    print(f"Machine: {machine()}\n")
    print_head("source", "challenger", "promoted", "why", left=4)
    refused: defaultdict[str, list[bool]] = defaultdict(list)
    for turn, source in enumerate(sources()):
        for each, verdict in judge_challengers(source, first + 100 * turn, turn):
            refused[each.kind].append(not verdict.promote)
            promoted = "yes" if verdict.promote else "no"
            print_row(source.name, each.kind, promoted, "; ".join(verdict.reasons))
    print()
    print_head("challenger", "refused", "of")
    for kind, found in refused.items():
        print_row(kind, sum(found), len(found))


if __name__ == "__main__":
    main()
