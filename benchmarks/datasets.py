"""MNIST and Fashion-MNIST as arrays, from NIGHTGLASS_DATA or ../shared/data beside the repository."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.sources import open_source

DATA = Path(
    os.environ.get(
        "NIGHTGLASS_DATA", Path(__file__).resolve().parent.parent.parent / "shared" / "data"
    )
)


def read_rows(name: str) -> NDArray[Any]:
    """All rows of one file of the data folder."""
    with open_source(DATA / name) as source:
        return np.concatenate([chunk.rows for chunk in source.chunks(max_rows=10_000)])


def images_and_labels(dataset: str, part: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Images (n, 28, 28) uint8 and labels (n,) of 'mnist' or 'fashion-mnist', 'train' or 't10k'."""
    return read_rows(f"{dataset}/{part}-images-idx3-ubyte.gz"), read_rows(
        f"{dataset}/{part}-labels-idx1-ubyte.gz"
    )[:, 0]


def machine() -> str:
    """The class of this machine, in words."""
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
