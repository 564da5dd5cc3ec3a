"""MNIST and Fashion-MNIST as arrays.

From the folder NIGHTGLASS_DATA, or shared/data next to the repository.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from storage.sources import open_source

NEXT_TO_REPOSITORY = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
DATA = Path(os.environ.get("NIGHTGLASS_DATA", NEXT_TO_REPOSITORY))

Labeled = tuple[NDArray[np.uint8], NDArray[np.uint8]]  # images (n, 28, 28), labels (n,)


def read_rows(name: str | Path) -> NDArray[np.generic]:
    """All rows of one file in the data folder."""
    with open_source(DATA / name) as source:
        return np.concatenate([chunk.rows for chunk in source.chunks(max_rows=10_000)])


def images_and_labels(dataset: str, part: str) -> Labeled:
    """Images (n, 28, 28) uint8 and labels (n,) of 'mnist' or 'fashion-mnist', 'train' or 't10k'."""
    images = read_rows(f"{dataset}/{part}-images-idx3-ubyte.gz")
    labels = read_rows(f"{dataset}/{part}-labels-idx1-ubyte.gz")
    return images, labels[:, 0]


def machine() -> str:
    """The class of this machine, for example '2 cores, x86_64, Python 3.11.9'."""
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
