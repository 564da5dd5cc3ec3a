"""Published figures of the underlying documents, measured again.

    python benchmarks/seed.py               all three tables, about ten minutes on two cores
    python benchmarks/seed.py knn           one of: knn, outliers, compression

Documents: U. Michelucci, "An introduction to autoencoders", arXiv 2201.03898, and the slides of the
same name (2022).
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from commands import command
from datasets import DATA, images_and_labels, machine
from markdown_table import print_head, print_row
from numpy.typing import NDArray
from proposed import train_on
from sklearn.neighbors import KNeighborsClassifier

from aemodel.model import Autoencoder
from aemodel.settings import ModelSettings, TrainSettings

SEEDS = (0, 1, 2)
NEIGHBORS = 7
PUBLISHED = {
    ("mnist", 8): "0.89",
    ("mnist", 16): "–",
    ("mnist", 784): "0.964",
    ("fashion-mnist", 8): "0.799",
    ("fashion-mnist", 16): "0.836",
    ("fashion-mnist", 784): "0.854",
}
TARGETS = {
    ("mnist", 8): 0.88,
    ("mnist", 16): 0.95,
    ("fashion-mnist", 8): 0.789,
    ("fashion-mnist", 16): 0.83,
}


def fit(rows: NDArray[np.uint8], *, latent: int, loss: str = "bce", seed: int = 0) -> Autoencoder:
    """The course's network on all rows: 784-latent-784, Adam 1e-3, batch 256, 30 epochs."""
    model = ModelSettings(latent=latent, loss=loss)
    return train_on(rows, model, TrainSettings(calibration=0, validation=0, seed=seed)).model


def accuracy(
    known: NDArray[Any], labels: NDArray[Any], queries: NDArray[Any], expected: NDArray[Any]
) -> tuple[float, float]:
    """Accuracy of k nearest neighbors, and the seconds of fit and prediction."""
    began = time.perf_counter()
    predicted = KNeighborsClassifier(NEIGHBORS).fit(known, labels).predict(queries)
    return float((predicted == expected).mean()), time.perf_counter() - began


def knn() -> None:
    print(f"\n## kNN (k = {NEIGHBORS}) on latents of 784-k-784,", end=" ")
    print(f"60,000 train rows, 10,000 test rows, mean of seeds {SEEDS}\n")
    print_head("data", "features", "accuracy", "per seed", "seconds", "published", "target")
    for dataset in ("mnist", "fashion-mnist"):
        for latent in (8, 16):
            knn_on_latents(dataset, latent)
        knn_on_pixels(dataset)


def knn_on_latents(dataset: str, latent: int) -> None:
    train, train_labels = images_and_labels(dataset, "train")
    test, test_labels = images_and_labels(dataset, "t10k")
    found = []
    for seed in SEEDS:
        model = fit(train, latent=latent, seed=seed)
        known, queries = model.encode(train), model.encode(test)
        found.append(accuracy(known, train_labels, queries, test_labels))
    scores, seconds = zip(*found, strict=True)
    print_row(
        dataset,
        f"{latent} latents",
        f"{np.mean(scores):.4f}",
        ", ".join(f"{score:.4f}" for score in scores),
        f"{np.mean(seconds):.2f}",
        PUBLISHED[dataset, latent],
        f"≥ {TARGETS[dataset, latent]}",
    )


def knn_on_pixels(dataset: str) -> None:
    train, train_labels = images_and_labels(dataset, "train")
    test, test_labels = images_and_labels(dataset, "t10k")
    known, queries = train.reshape(len(train), -1), test.reshape(len(test), -1)
    score, seconds = accuracy(known, train_labels, queries, test_labels)
    published = PUBLISHED[dataset, 784]
    print_row(dataset, "784 pixels", f"{score:.4f}", "", f"{seconds:.2f}", published, "")


def outliers() -> None:
    print("\n## One Fashion-MNIST item among 10,000 digits, each of 10,000 in turn:", end=" ")
    print("share that ranks first (784-64-784)\n")
    print_head("loss", "share first", "worst class", "shoes (class 9)", "target")
    train, _ = images_and_labels("mnist", "train")
    digits, _ = images_and_labels("mnist", "t10k")
    items, labels = images_and_labels("fashion-mnist", "t10k")
    for loss in ("mse", "bce"):
        model = fit(train, latent=64, loss=loss)
        first = model.errors(items) > model.errors(digits).max()
        by_class = {label: float(first[labels == label].mean()) for label in range(10)}
        worst = min(by_class, key=lambda label: by_class[label])
        print_row(
            loss,
            f"{first.mean():.4f}",
            f"{worst}: {by_class[worst]:.3f}",
            f"{by_class[9]:.3f}",
            "≥ 0.94",
        )


def compression() -> None:
    print("\n## MNIST test set, 8 latents, everything counted (through the commands)\n")
    print_head("precision", "bytes", "ratio to float32", "uint8", "lossless", "RMSE (0 to 1)")
    clean = DATA / "mnist/train-images-idx3-ubyte.gz"
    text = f'name = "mnist"\n[data]\nclean = "{clean}"\n[model]\nlatent = 8\n'
    with tempfile.TemporaryDirectory() as folder:
        job = Path(folder) / "mnist.toml"
        job.write_text(text, encoding="utf-8")
        command("train", job)
        for precision in ("float32", "float16", "int8"):
            settings = (f"encode.precision={precision}", "encode.keep_exact=0")
            print_row(precision, *size_cells(encode_test_set(job, *settings)))
        print_row("int8 and exact rows (default)", *size_cells(encode_test_set(job)))


def encode_test_set(job: Path, *settings: str) -> dict[str, Any]:
    """Encode the test set and return the size report."""
    source = DATA / "mnist/t10k-images-idx3-ubyte.gz"
    overrides = [word for setting in settings for word in ("--set", setting)]
    report: dict[str, Any] = command("encode", job, "--source", source, *overrides)["report"]
    return report


def size_cells(report: dict[str, Any]) -> tuple[str, ...]:
    ratio, size = report["ratio"], report["bytes"]["store"]
    rmse = report["loss"]["rmse"] / 255
    ratios = (str(ratio[each]) for each in ("float32", "source", "lossless"))
    return (f"{size:,}", *ratios, f"{rmse:.6f}")


TABLES = {"knn": knn, "outliers": outliers, "compression": compression}

if __name__ == "__main__":
    print(f"Machine: {machine()}")
    for name in sys.argv[1:] or TABLES:
        TABLES[name]()
