"""How well the job that `nightglass init` proposes for images does on MNIST and Fashion-MNIST.

Both tables or one of them; job-file keys can be overridden, as with --set:

    python benchmarks/images.py
    python benchmarks/images.py outliers train.seed=1

For few, informative latents (`knn`), the network is deeper than proposed and trains on all rows,
since no calibration is needed.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from datasets import DATA, images_and_labels, machine
from markdown_table import print_head, print_row
from numpy.typing import NDArray
from proposed import parse_job, propose_for_file, train_on
from seed import NEIGHBORS, accuracy

from aemodel.model import Autoencoder
from aemodel.settings import SCORES

DEEPER = (
    "model.latent=8",
    "model.hidden=[1024, 256]",
    "model.loss=bce",
    "train.epochs=20",
    "train.calibration=0",
    "train.validation=0",
)

Scores = NDArray[np.float64]


def fit(dataset: str, overrides: list[str]) -> Autoencoder:
    """Train on the 60,000 rows of a dataset with the proposed job and `overrides`."""
    images, _ = images_and_labels(dataset, "train")
    text = propose_for_file(DATA / dataset / "train-images-idx3-ubyte.gz")
    job = parse_job(text, overrides)
    began = time.perf_counter()
    trained = train_on(images, job.model, job.train, memory_bytes=job.score.memory)
    seconds = time.perf_counter() - began
    print(f"{dataset}: {trained.n_fit:,} fit rows, {job.train.epochs} epochs, {seconds:.0f} s;")
    print(f"{job.model}\n", flush=True)
    return trained.model


def outliers(overrides: list[str]) -> None:
    """Each Fashion-MNIST test item added alone to the 10,000 test digits, by each score."""
    print("\n## One Fashion-MNIST item among 10,000 digits, each of 10,000 in turn\n")
    model = fit("mnist", overrides)
    digits, _ = images_and_labels("mnist", "t10k")
    items, labels = images_and_labels("fashion-mnist", "t10k")
    print_head("score", "share first", "in the top ten", "worst class")
    for score, clean, foreign in zip(
        SCORES, model.scores(digits), model.scores(items), strict=True
    ):
        first, top_ten = shares(clean, foreign)
        print_row(score, f"{first:.4f}", f"{top_ten:.4f}", worst_class(clean, foreign, labels))


def shares(clean: Scores, foreign: Scores) -> tuple[float, float]:
    """Shares of `foreign` scores (m,) that rank first and in the top ten.

    Each is added alone to the `clean` scores (n,).
    """
    highest = np.sort(clean)[::-1]
    return float((foreign > highest[0]).mean()), float((foreign > highest[9]).mean())


def worst_class(clean: Scores, foreign: Scores, labels: NDArray[np.uint8]) -> str:
    """The class with the smallest share that ranks first, and that share."""
    first = foreign > clean.max()
    by_class = {label: float(first[labels == label].mean()) for label in range(10)}
    worst = min(by_class, key=lambda label: by_class[label])
    return f"{worst}: {by_class[worst]:.3f}"


def knn(overrides: list[str]) -> None:
    """Accuracy of nearest neighbors on 8 latents and on the pixels."""
    print(f"\n## kNN (k = {NEIGHBORS}) on 8 latents, 60,000 train rows, 10,000 test rows\n")
    for dataset in ("mnist", "fashion-mnist"):
        model = fit(dataset, [*DEEPER, *overrides])
        train, train_labels = images_and_labels(dataset, "train")
        test, test_labels = images_and_labels(dataset, "t10k")
        features = {
            "8 latents": (model.encode(train), model.encode(test)),
            "784 pixels": (train.reshape(len(train), -1), test.reshape(len(test), -1)),
        }
        print_head("data", "features", "accuracy", "seconds")
        for name, (known, queries) in features.items():
            score, seconds = accuracy(known, train_labels, queries, test_labels)
            print_row(dataset, name, f"{score:.4f}", f"{seconds:.2f}")


TABLES = {"outliers": outliers, "knn": knn}

if __name__ == "__main__":
    print(f"Machine: {machine()}")
    overrides = [word for word in sys.argv[1:] if "=" in word]
    for name in [word for word in sys.argv[1:] if "=" not in word] or TABLES:
        TABLES[name](overrides)
