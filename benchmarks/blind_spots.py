"""Anomalies that an autoencoder rebuilds well: how many are found by the error, by the novelty, and by the report's list of blind spots.

python benchmarks/blind_spots.py        two minutes

Two networks learn the clean rows of seven ADBench tables: a plain one (d-64-d/2-64-d, SiLU, as many had it before prototypes) and the one
that `nightglass init` proposes. Anomalies are made of held-out clean rows: scaled (STRETCH times as far from the column means), far latents
(their latents stretched as much, decoded by that network), drawn in (those, given to the network DRAWN times more and kept where a column is
still out of the training rows' range: what it rebuilds best out there), mixed latents (the mean of two rows' latents, decoded). A cut is passed by
1 % of other held-out clean rows. The list names what lies farther from all clean rows than any calibration row.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from datasets import machine
from detection import train_as_proposed
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from tables import Rows, split

from aemodel.model import Autoencoder
from aemodel.rows.layout import Layout
from aemodel.settings import ModelSettings, TrainSettings
from aemodel.training.loop import CleanRows, train_autoencoder

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
DRAWN = 3
BUDGET = 0.01  # share of clean rows above a cut
STEPS = 800
KINDS = ("scaled", "far latents", "drawn in", "mixed latents")

Scores = NDArray[np.float64]


def train_plain(clean: Rows) -> Autoencoder:
    """A network without prototypes, noise or members, on clean rows (n, d)."""
    d, train = (
        clean.shape[1],
        TrainSettings(epochs=max(1, STEPS * 256 // len(clean)), calibration=0.2),
    )
    model = ModelSettings(
        hidden=(64,),
        latent=max(1, d // 2),
        activation="silu",
        output="identity",
        loss="mse",
        scaling="standard",
    )
    layout = Layout(row_shape=(d,), dtype=clean.dtype.name)
    return train_autoencoder(
        CleanRows(lambda: [clean], layout, memory_bytes=10**9), model=model, train=train
    ).model


def made_of(model: Autoencoder, rows: Rows, train: Rows) -> Iterator[Rows]:
    """The anomalies of each of KINDS, at most (n, d), made of clean rows (n, d)."""
    latents, middle = model.encode(rows), rows.mean(axis=0)
    yield middle + STRETCH * (rows - middle)
    far = model.decoder.decode_exactly(
        latents.mean(axis=0) + STRETCH * (latents - latents.mean(axis=0))
    )
    yield far
    for _ in range(DRAWN):
        far = model.reconstruct(far)
    yield far[((far < train.min(axis=0)) | (far > train.max(axis=0))).any(axis=1)]
    yield model.decoder.decode_exactly((latents + latents[::-1]) / 2)


def found_by(model: Autoencoder, clean: Rows, rows: Rows) -> tuple[float, float, float]:
    """Share of rows found by error, by novelty, and by error or the list, where as many `clean` rows as BUDGET says pass the cuts."""
    (error_cut, novelty_cut), (errors, novelties) = (
        np.quantile(model.scores(clean)[:2], 1 - BUDGET, axis=1),
        model.scores(rows)[:2],
    )
    if not len(rows):
        return (np.nan,) * 3
    listed = novelties > model.calibration_by("novelty")[-1]
    return (
        float((errors > error_cut).mean()),
        float((novelties > novelty_cut).mean()),
        float(((errors > error_cut) | listed).mean()),
    )


def figures_of(
    model: Autoencoder, train: Rows, test: Rows, anomaly: NDArray[np.bool_]
) -> list[tuple[float, ...]]:
    """`found_by` for each of KINDS and for clean rows;

    AUROC on the table's own anomalies by error and by novelty.
    """
    clean = test[~anomaly]
    cut, material = clean[::2], clean[1::2]
    auroc = tuple(float(roc_auc_score(anomaly, scores)) for scores in model.scores(test)[:2])
    return [
        *(found_by(model, cut, rows) for rows in made_of(model, material, train)),
        found_by(model, cut, material),
        auroc,
    ]


def show(name: str, figures: list[tuple[float, ...]]) -> None:
    *found, (error, novelty) = figures
    print(
        f"| {name} | {' | '.join(' '.join(f'{share:.3f}' for share in each) for each in found)} | {error:.3f} {novelty:.3f} |",
        flush=True,
    )


def main() -> None:
    print(
        f"Machine: {machine()}\n\nFound by error, by novelty, by error or the list, {BUDGET:.0%} of clean rows above each cut"
    )
    for network in ("plain", "proposed"):
        print(
            f"\n| {network} network | {' | '.join(KINDS)} | other clean rows | own anomalies: AUROC by error, by novelty |"
        )
        print("|:--|--:|--:|--:|--:|--:|")
        all_figures = []
        for name in TABLES:
            train, test, anomaly = split(name, 0)
            model = train_plain(train) if network == "plain" else train_as_proposed(train, 0).model
            all_figures.append(figures_of(model, train, test, anomaly))
            show(name, all_figures[-1])
        show(
            "**mean**", [tuple(np.nanmean(each, axis=0)) for each in zip(*all_figures, strict=True)]
        )


if __name__ == "__main__":
    main()
