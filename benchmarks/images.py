"""How well the job that `nightglass init` proposes for images does on MNIST and Fashion-MNIST.

Both tables or one of them; job-file keys can be overridden, as with --set:

    python benchmarks/images.py
    python benchmarks/images.py outliers train.seed=1
    python benchmarks/images.py features

For few, informative latents (`knn`), the network is deeper than proposed and trains on all rows,
since no calibration is needed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from datasets import DATA, images_and_labels, machine
from markdown_table import print_head, print_row
from numpy.typing import NDArray
from proposed import parse_job, propose_for_file, propose_for_rows, train_on
from seed import NEIGHBORS, accuracy
from sklearn.datasets import load_sample_image
from sklearn.metrics import roc_auc_score

from aemodel.model import Autoencoder
from aemodel.rows.layout import Layout
from aemodel.settings import FEATURES, SCORES
from aemodel.training.loop import CleanRows, train_autoencoder
from flows.training.picture_features import picture_features

DEEPER = (
    "model.latent=8",
    "model.hidden=[1024, 256]",
    "model.loss=bce",
    "train.epochs=20",
    "train.calibration=0",
    "train.validation=0",
)

FEW = 300
SIDE = 64

Scores = NDArray[np.float64]
Pictures = NDArray[np.uint8]


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


def features(overrides: list[str]) -> None:
    """AUROC with few clean pictures, with and without model.features, by each score."""
    print(f"\n## {FEW} clean pictures of one kind against others, mean AUROC\n")
    print_head("pictures", "features", *SCORES, "CPU seconds")
    for name, cases in KINDS_OF_PICTURES.items():
        for kind in FEATURES:
            began = time.process_time()
            found = [
                auroc_by_score(case, [*overrides, f"model.features={kind}"]) for case in cases()
            ]
            means = np.mean(found, axis=0)
            seconds = time.process_time() - began
            print_row(name, kind, *(f"{mean:.3f}" for mean in means), f"{seconds:.0f}")


def auroc_by_score(case: Case, overrides: list[str]) -> list[float]:
    """Fit on the clean pictures of a case, and return the AUROC of its others by each of SCORES."""
    job = parse_job(propose_for_rows(case.clean), overrides)
    layout = Layout(row_shape=case.clean.shape[1:], dtype=case.clean.dtype.name)
    fitted = train_autoencoder(
        CleanRows.in_memory(case.clean, layout),
        model=job.model,
        train=job.train,
        features=picture_features(job.model, layout),
    ).model
    rows = np.concatenate([case.usual, case.others])
    is_other = np.arange(len(rows)) >= len(case.usual)
    return [roc_auc_score(is_other, scores) for scores in fitted.scores(rows)]


@dataclass(frozen=True)
class Case:
    """Pictures (n, h, w) uint8: clean ones, others like them, and those that should be found."""

    clean: Pictures
    usual: Pictures
    others: Pictures


def one_class_cases(dataset: str) -> Iterator[Case]:
    """Each class in turn is clean, and all others are foreign."""
    train, train_labels = images_and_labels(dataset, "train")
    test, test_labels = images_and_labels(dataset, "t10k")
    test, test_labels = test[: 2 * FEW], test_labels[: 2 * FEW]
    for label in range(10):
        is_clean = test_labels == label
        clean = train[train_labels == label][:FEW]
        yield Case(clean, test[is_clean], test[~is_clean])


def damaged_cases() -> Iterator[Case]:
    """Pieces of a photograph: half of the new ones have a bright line or a piece of another one."""
    photographs = [gray(name) for name in ("china.jpg", "flower.jpg")]
    for photograph, other in (photographs, photographs[::-1]):
        random = np.random.default_rng(0)
        clean, usual, damaged = (pieces(photograph, n, random) for n in (FEW, 200, 200))
        lines, patches = np.split(damaged, 2)
        for piece in lines:
            place = random.integers(8, 40)
            np.fill_diagonal(piece[place : place + 16, 8:], 255)
        for piece, patch in zip(patches, pieces(other, len(patches), random), strict=True):
            piece[20:36, 20:36] = patch[20:36, 20:36]
        yield Case(clean, usual, np.concatenate([lines, patches]))


def gray(name: str) -> Pictures:
    """Return one of scikit-learn's photographs in gray."""
    return np.rint(load_sample_image(name).mean(axis=2)).astype(np.uint8)


def pieces(photograph: Pictures, count: int, random: np.random.Generator) -> Pictures:
    """Cut pieces (count, 64, 64) out of a photograph (h, w), anywhere."""
    height, width = (size - SIDE for size in photograph.shape)
    corners = zip(random.integers(0, height, count), random.integers(0, width, count), strict=True)
    return np.stack([photograph[y : y + SIDE, x : x + SIDE] for y, x in corners])


KINDS_OF_PICTURES = {
    "Fashion-MNIST, one class": lambda: one_class_cases("fashion-mnist"),
    "MNIST, one digit": lambda: one_class_cases("mnist"),
    "damaged pieces of a photograph": damaged_cases,
}
TABLES = {"outliers": outliers, "knn": knn, "features": features}

if __name__ == "__main__":
    print(f"Machine: {machine()}")
    overrides = [word for word in sys.argv[1:] if "=" in word]
    for name in [word for word in sys.argv[1:] if "=" not in word] or TABLES:
        TABLES[name](overrides)
