"""The figures of the documents that this work descends from, measured again beside theirs.

    python benchmarks/seed.py               all three tables, about ten minutes on two cores
    python benchmarks/seed.py knn           one of: knn, outliers, compression

Documents: U. Michelucci, "An introduction to autoencoders", arXiv 2201.03898, and the slides of the
same name (2022).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from datasets import DATA, images_and_labels, machine
from numpy.typing import NDArray
from sklearn.neighbors import KNeighborsClassifier

from aemodel.model import Autoencoder
from aemodel.rows.layout import Layout
from aemodel.settings import ModelSettings, TrainSettings
from aemodel.training.loop import CleanRows, train_autoencoder

SEEDS = (0, 1, 2)
NEIGHBORS = 7
DOCUMENTS = {
    ("mnist", 8): 0.89,
    ("mnist", 16): None,
    ("fashion-mnist", 8): 0.799,
    ("fashion-mnist", 16): 0.836,
}
TARGETS = {
    ("mnist", 8): 0.88,
    ("mnist", 16): 0.95,
    ("fashion-mnist", 8): 0.789,
    ("fashion-mnist", 16): 0.83,
}


def fit(rows: NDArray[Any], *, latent: int, loss: str = "bce", seed: int = 0) -> Autoencoder:
    """The course's network on all rows: 784-latent-784, Adam 1e-3, batch 256, 30 epochs."""
    layout = Layout(row_shape=(28, 28), dtype="uint8")
    trained = train_autoencoder(
        CleanRows(lambda: [rows], layout, memory_bytes=1_000_000_000),
        model=ModelSettings(latent=latent, loss=loss),
        train=TrainSettings(calibration=0, validation=0, seed=seed),
    )
    return trained.model


def accuracy(
    known: NDArray[Any], labels: NDArray[Any], asked: NDArray[Any], expected: NDArray[Any]
) -> tuple[float, float]:
    """Accuracy of k nearest neighbours, and the seconds of fit and prediction."""
    began = time.perf_counter()
    predicted = KNeighborsClassifier(NEIGHBORS).fit(known, labels).predict(asked)
    return float((predicted == expected).mean()), time.perf_counter() - began


def knn() -> None:
    print(
        f"\n## kNN (k = {NEIGHBORS}) on latents of 784-k-784, 60,000 train rows, 10,000 test rows, mean of seeds {SEEDS}\n"
    )
    print(
        "| data | features | accuracy | per seed | seconds | documents | target |\n|:--|--:|--:|:--|--:|--:|--:|"
    )
    for dataset in ("mnist", "fashion-mnist"):
        (train, train_labels), (test, test_labels) = (
            images_and_labels(dataset, "train"),
            images_and_labels(dataset, "t10k"),
        )
        for latent in (8, 16):
            found = []
            for seed in SEEDS:
                model = fit(train, latent=latent, seed=seed)
                found.append(
                    accuracy(model.encode(train), train_labels, model.encode(test), test_labels)
                )
            scores, seconds = zip(*found, strict=True)
            each = ", ".join(f"{score:.4f}" for score in scores)
            document, target = DOCUMENTS[dataset, latent], TARGETS[dataset, latent]
            print(
                f"| {dataset} | {latent} latents | {np.mean(scores):.4f} | {each} | {np.mean(seconds):.2f} | {document or '–'} | ≥ {target} |",
                flush=True,
            )
        score, elapsed = accuracy(
            train.reshape(len(train), -1), train_labels, test.reshape(len(test), -1), test_labels
        )
        print(
            f"| {dataset} | 784 pixels | {score:.4f} | | {elapsed:.2f} | {0.964 if dataset == 'mnist' else 0.854} | |",
            flush=True,
        )


def outliers() -> None:
    print(
        "\n## One Fashion-MNIST item among 10,000 digits, each of 10,000 in turn: share that ranks first (784-64-784)\n"
    )
    print("| loss | share first | worst class | shoes (class 9) | target |\n|:--|--:|:--|--:|--:|")
    train, _ = images_and_labels("mnist", "train")
    digits, _ = images_and_labels("mnist", "t10k")
    items, labels = images_and_labels("fashion-mnist", "t10k")
    for loss in ("mse", "bce"):
        model = fit(train, latent=64, loss=loss)
        first = model.errors(items) > model.errors(digits).max()
        by_class = {label: float(first[labels == label].mean()) for label in range(10)}
        worst = min(by_class, key=lambda label: by_class[label])
        print(
            f"| {loss} | {first.mean():.4f} | {worst}: {by_class[worst]:.3f} | {by_class[9]:.3f} | ≥ 0.94 |",
            flush=True,
        )


def compression() -> None:
    print("\n## MNIST test set, 8 latents, everything counted (through the commands)\n")
    print(
        "| precision | bytes | ratio v float32 | v uint8 | v lossless | RMSE (0 to 1) |\n|:--|--:|--:|--:|--:|--:|"
    )
    with tempfile.TemporaryDirectory() as folder:
        job = Path(folder) / "mnist.toml"
        clean = DATA / "mnist/train-images-idx3-ubyte.gz"
        job.write_text(
            f'name = "mnist"\n[data]\nclean = "{clean}"\n[model]\nlatent = 8\n', encoding="utf-8"
        )
        command("train", job)
        for precision in ("float32", "float16", "int8"):
            source = str(DATA / "mnist/t10k-images-idx3-ubyte.gz")
            report = command(
                "encode",
                job,
                "--source",
                source,
                "--set",
                f"encode.precision={precision}",
                "--set",
                "encode.keep_exact=0",
            )["report"]
            ratio, loss = report["ratio"], report["loss"]
            print(
                f"| {precision} | {report['bytes']['store']:,} | {ratio['float32']} | {ratio['source']} | {ratio['lossless']} | {loss['rmse'] / 255:.6f} |"
            )
        report = command("encode", job, "--source", source)["report"]
        ratio, rmse = report["ratio"], report["loss"]["rmse"] / 255
        size = report["bytes"]["store"]
        print(
            f"| int8 and exact rows (default) | {size:,} | {ratio['float32']} | {ratio['source']} | {ratio['lossless']} | {rmse:.6f} |"
        )


def command(*words: object) -> dict[str, Any]:
    """Run a nightglass command and return what it says."""
    line = [
        str(Path(sys.executable).with_name("nightglass")),
        *map(str, words),
        "--json",
        "--no-prefect",
    ]
    found: dict[str, Any] = json.loads(
        subprocess.run(line, check=True, capture_output=True, text=True).stdout
    )  # noqa: S603 (its own command)
    return found


TABLES = {"knn": knn, "outliers": outliers, "compression": compression}

if __name__ == "__main__":
    print(f"Machine: {machine()}")
    for name in sys.argv[1:] or TABLES:
        TABLES[name]()
