"""Anomalies that an autoencoder reconstructs well: how many does each score find?

    python benchmarks/blind_spots.py        two minutes

Found by error, by novelty, and by error together with the report's list of blind spots. Two
networks train on the clean rows of seven ADBench tables: a plain one (d-64-d/2-64-d, SiLU, no
prototypes) and the one that `nightglass init` proposes. Anomalies are made from held-out clean
rows:

- scaled: STRETCH times as far from the column means;
- far latents: latents stretched as much, decoded by the same network;
- iterated: far latents passed through the network ITERATIONS more times, if a column still lies
  outside the range of the training rows. These are what the network reconstructs best out there;
- mixed latents: the mean of two rows' latents, decoded.

1 % of other held-out clean rows exceed each threshold. The list contains rows that are farther from
all clean rows than any calibration row.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from datasets import machine
from markdown_table import print_head, print_row
from numpy.typing import NDArray
from proposed import train_as_proposed, train_on
from sklearn.metrics import roc_auc_score
from tables import Rows, split

from aemodel.model import Autoencoder
from aemodel.settings import ModelSettings, TrainSettings

TABLES = (
    "2_annthyroid",
    "6_cardio",
    "23_mammography",
    "26_optdigits",
    "28_pendigits",
    "30_satellite",
    "31_satimage-2",
)
STRETCH = 5.0
ITERATIONS = 3
BUDGET = 0.01  # share of clean rows above a threshold
STEPS = 800
KINDS = ("scaled", "far latents", "iterated", "mixed latents")

Figures = list[tuple[float, ...]]


def train_plain(clean: Rows) -> Autoencoder:
    """A network without prototypes, noise, or members, trained on clean rows (n, d)."""
    epochs = max(1, STEPS * 256 // len(clean))
    model = ModelSettings(
        hidden=(64,),
        latent=max(1, clean.shape[1] // 2),
        activation="silu",
        output="identity",
        loss="mse",
        scaling="standard",
    )
    return train_on(clean, model, TrainSettings(epochs=epochs, calibration=0.2)).model


def make_anomalies(model: Autoencoder, rows: Rows, train: Rows) -> Iterator[Rows]:
    """Anomalies of each of KINDS, at most (n, d), made from clean rows (n, d)."""
    center = rows.mean(axis=0)
    yield center + STRETCH * (rows - center)
    latents = model.encode(rows)
    center = latents.mean(axis=0)
    far = model.decoder.decode_exactly(center + STRETCH * (latents - center))
    yield far
    for _ in range(ITERATIONS):
        far = model.reconstruct(far)
    outside = (far < train.min(axis=0)) | (far > train.max(axis=0))
    yield far[outside.any(axis=1)]
    yield model.decoder.decode_exactly((latents + latents[::-1]) / 2)


def found_by(model: Autoencoder, clean: Rows, rows: Rows) -> tuple[float, float, float]:
    """Share of rows found by error, by novelty, and by error or the list.

    A share BUDGET of the rows `clean` exceeds the thresholds.
    """
    if not len(rows):
        return (np.nan,) * 3
    thresholds = np.quantile(model.scores(clean)[:2], 1 - BUDGET, axis=1)
    errors, novelties = model.scores(rows)[:2]
    by_error = errors > thresholds[0]
    by_novelty = novelties > thresholds[1]
    listed = novelties > model.calibration_by("novelty")[-1]
    return float(by_error.mean()), float(by_novelty.mean()), float((by_error | listed).mean())


def measure(model: Autoencoder, train: Rows, test: Rows, anomaly: NDArray[np.bool_]) -> Figures:
    """`found_by` for each of KINDS and for clean rows; then AUROC on the labeled anomalies.

    AUROC is by error and by novelty.
    """
    clean = test[~anomaly]
    for_thresholds, material = clean[::2], clean[1::2]
    figures: Figures = [
        found_by(model, for_thresholds, rows) for rows in make_anomalies(model, material, train)
    ]
    figures.append(found_by(model, for_thresholds, material))
    by_error, by_novelty = model.scores(test)[:2]
    figures.append(
        (float(roc_auc_score(anomaly, by_error)), float(roc_auc_score(anomaly, by_novelty)))
    )
    return figures


def show(name: str, figures: Figures) -> None:
    cells = [" ".join(f"{share:.3f}" for share in each) for each in figures]
    print_row(name, *cells)


def measure_tables(network: str) -> None:
    """Print all tables for one network, 'plain' or 'proposed'."""
    print()
    last = "labeled anomalies: AUROC by error, by novelty"
    print_head(f"{network} network", *KINDS, "other clean rows", last)
    all_figures = []
    for name in TABLES:
        train, test, anomaly = split(name, 0)
        model = train_plain(train) if network == "plain" else train_as_proposed(train, 0).model
        all_figures.append(measure(model, train, test, anomaly))
        show(name, all_figures[-1])
    by_column = zip(*all_figures, strict=True)
    show("**mean**", [tuple(np.nanmean(each, axis=0)) for each in by_column])


def main() -> None:
    print(f"Machine: {machine()}\n")
    print("Found by error, by novelty, by error or list;", end=" ")
    print(f"{BUDGET:.0%} of clean rows exceed each threshold")
    for network in ("plain", "proposed"):
        measure_tables(network)


if __name__ == "__main__":
    main()
