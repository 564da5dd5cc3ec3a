"""How well the job file that `nightglass init` proposes for images does on MNIST and Fashion-MNIST.

Both tables, or one of them; job keys can be overridden, as with --set:

    python benchmarks/images.py
    python benchmarks/images.py outliers train.seed=1

For few and telling latents (`knn`) the network is deeper than proposed, and learns from all rows,
since nothing is promised.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from datasets import DATA, images_and_labels, machine
from numpy.typing import NDArray
from seed import NEIGHBORS, accuracy

from aemodel.model import Autoencoder
from aemodel.rows.layout import Layout
from aemodel.settings import SCORES
from aemodel.training.loop import CleanRows, train_autoencoder
from flows.jobs.job_file import read_job
from flows.jobs.propose import propose_job

TELLING = (
    "model.latent=8",
    "model.hidden=[1024, 256]",
    "model.loss=bce",
    "train.epochs=20",
    "train.calibration=0",
    "train.validation=0",
)


def fit(dataset: str, overrides: list[str]) -> Autoencoder:
    """Train on the 60,000 rows of a dataset as init proposes, `overrides` apart."""
    images, _ = images_and_labels(dataset, "train")
    text = propose_job(str(DATA / dataset / "train-images-idx3-ubyte.gz"), field="").text
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "job.toml"
        path.write_text(text, encoding="utf-8")
        job = read_job(path, overrides)
    began = time.perf_counter()
    layout = Layout(row_shape=images.shape[1:], dtype=images.dtype.name)
    trained = train_autoencoder(
        CleanRows(lambda: [images], layout, job.memory_bytes),
        model=job.model,
        train=job.train,
    )
    print(
        f"{dataset}: {trained.n_fit:,} fit rows, {job.train.epochs} epochs, {time.perf_counter() - began:.0f} s; {job.model}\n",
        flush=True,
    )
    return trained.model


def outliers(overrides: list[str]) -> None:
    """Each Fashion-MNIST test item added alone to the 10,000 test digits, by each score."""
    print("\n## One Fashion-MNIST item among 10,000 digits, each of 10,000 in turn\n")
    model = fit("mnist", overrides)
    (digits, _), (items, labels) = (
        images_and_labels("mnist", "t10k"),
        images_and_labels("fashion-mnist", "t10k"),
    )
    print("| score | share first | in the top ten | worst class |\n|:--|--:|--:|:--|")
    for score, clean, foreign in zip(
        SCORES, model.scores(digits), model.scores(items), strict=True
    ):
        print(
            f"| {score} | {shares(clean, foreign)} | {worst_class(clean, foreign, labels)} |",
            flush=True,
        )


def shares(clean: NDArray[np.float64], foreign: NDArray[np.float64]) -> str:
    """Shares of `foreign` scores (m,) that rank first, and in the top ten, when each is added alone to `clean` ones (n,)."""
    highest = np.sort(clean)[::-1]
    return f"{(foreign > highest[0]).mean():.4f} | {(foreign > highest[9]).mean():.4f}"


def worst_class(
    clean: NDArray[np.float64], foreign: NDArray[np.float64], labels: NDArray[np.uint8]
) -> str:
    """The class of which the smallest share ranks first."""
    by_class = {
        label: float((foreign[labels == label] > clean.max()).mean()) for label in range(10)
    }
    worst = min(by_class, key=lambda label: by_class[label])
    return f"{worst}: {by_class[worst]:.3f}"


def knn(overrides: list[str]) -> None:
    """Latents as features: the accuracy of nearest neighbours on 8 of them, beside the pixels."""
    print(f"\n## kNN (k = {NEIGHBORS}) on 8 latents, 60,000 train rows, 10,000 test rows\n")
    for dataset in ("mnist", "fashion-mnist"):
        model = fit(dataset, [*TELLING, *overrides])
        (train, known), (test, asked) = (
            images_and_labels(dataset, "train"),
            images_and_labels(dataset, "t10k"),
        )
        print("| data | features | accuracy | seconds |\n|:--|--:|--:|--:|")
        for name, before, after in (
            ("8 latents", model.encode(train), model.encode(test)),
            ("784 pixels", train.reshape(len(train), -1), test.reshape(len(test), -1)),
        ):
            score, seconds = accuracy(before, known, after, asked)
            print(f"| {dataset} | {name} | {score:.4f} | {seconds:.2f} |", flush=True)


TABLES = {"outliers": outliers, "knn": knn}

if __name__ == "__main__":
    print(f"Machine: {machine()}")
    overrides = [word for word in sys.argv[1:] if "=" in word]
    for name in [word for word in sys.argv[1:] if "=" not in word] or TABLES:
        TABLES[name](overrides)
