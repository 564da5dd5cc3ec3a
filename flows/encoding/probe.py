"""probe: how informative latents are, by k nearest neighbors on latents and original features."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flows.errors import UsageError
from flows.results import Done
from storage.errors import SourceError, StorageError
from storage.latents import Store, open_store
from storage.objects.reach import reached
from storage.sources import Source, open_source

CHUNK_ROWS = 65_536
DOUBLED = 0.98  # absolute correlation above which two latents are redundant


@dataclass(frozen=True)
class Labeled:
    """Rows (n, d) with their labels (n,)."""

    rows: NDArray[np.generic]
    labels: NDArray[np.generic]


@dataclass(frozen=True)
class Accuracy:
    """Share of test labels predicted correctly, number of features, seconds to fit and predict."""

    accuracy: float
    features: int
    seconds: float

    def to_text(self, name: str) -> str:
        """A line for a terminal."""
        return (
            f"  {self.features:6,} {name:18} accuracy {self.accuracy:.4f}   {self.seconds:8.2f} s"
        )


@dataclass(frozen=True)
class LatentUse:
    """How latents are used.

    effective_dimension: (sum of variances)² / sum of squared variances over the principal
    directions; from 1 (one direction has all variance) to k (all have the same).
    dead: constant latents. doubled: pairs of redundant latents.
    """

    effective_dimension: float
    dead: tuple[int, ...]
    doubled: tuple[tuple[int, int], ...]

    def to_lines(self, features: int) -> list[str]:
        """Lines for a terminal."""
        lines = [f"  effective dimension {self.effective_dimension:.1f} of {features}"]
        if self.dead:
            lines.append(f"  constant latents: {', '.join(map(str, self.dead))}")
        if self.doubled:
            pairs = ", ".join(f"{first} and {second}" for first, second in self.doubled)
            lines.append(f"  redundant latents: {pairs}")
        return lines


@dataclass(frozen=True)
class ProbeResult(Done):
    """Accuracy and use of the latents, and accuracy on the original features.

    original: None if the source cannot be read anymore; why_not says why.
    """

    path: Path
    neighbors: int
    latents: Accuracy
    use: LatentUse
    original: Accuracy | None
    why_not: str

    def to_json(self) -> dict[str, object]:
        """For --json."""
        return {
            "path": str(self.path),
            "neighbors": self.neighbors,
            "latents": {**vars(self.latents), **vars(self.use)},
            "original": vars(self.original) if self.original else None,
            "note": self.why_not,
        }

    def to_text(self) -> str:
        """For a terminal."""
        lines = [f"{self.neighbors} nearest neighbors", self.latents.to_text("latents")]
        if self.original:
            lines.append(self.original.to_text("original features"))
        lines += self.use.to_lines(self.latents.features)
        if self.why_not:
            lines.append(f"  original features: {self.why_not}")
        return "\n".join(lines)


def probe_stores(
    store: Path, labels: Path, test: Path, test_labels: Path, *, neighbors: int
) -> ProbeResult:
    """Predict the labels of the rows of `test` from their nearest rows in `store`."""
    store, test = reached(store), reached(test)
    known = _labeled_latents(store, labels)
    asked = _labeled_latents(test, test_labels)
    latents, use = knn_accuracy(known, asked, neighbors=neighbors), latent_use(known.rows)
    original, why_not = None, ""
    try:
        original = knn_accuracy(
            Labeled(original_rows(store), known.labels),
            Labeled(original_rows(test), asked.labels),
            neighbors=neighbors,
        )
    except (StorageError, OSError, KeyError) as error:
        why_not = f"not measured ({error})"
    return ProbeResult(store, neighbors, latents, use, original, why_not)


def _labeled_latents(folder: Path, labels: Path) -> Labeled:
    with open_store(folder) as store:
        return Labeled(all_latents(store), label_per_row(labels, store.n_rows))


def knn_accuracy(known: Labeled, asked: Labeled, *, neighbors: int) -> Accuracy:
    """Accuracy of k nearest neighbors fit on `known` that predict the labels of `asked`.

    Raises UsageError if `known` has fewer rows than neighbors.
    """
    from sklearn.neighbors import KNeighborsClassifier  # late: takes a second to import

    n_rows, features = known.rows.shape
    if neighbors > n_rows:
        raise UsageError(
            f"--neighbors must be at most the {n_rows:,} rows of the store. "
            f"Got {neighbors} instead."
        )
    began = time.perf_counter()
    predicted = KNeighborsClassifier(neighbors).fit(known.rows, known.labels).predict(asked.rows)
    share = float((predicted == asked.labels).mean())
    return Accuracy(share, features, round(time.perf_counter() - began, 3))


def latent_use(latents: NDArray[np.generic]) -> LatentUse:
    """How latents (n, k) are used.

    Two latents are redundant if their absolute correlation is above DOUBLED.
    """
    if len(latents) < 2:
        return LatentUse(0.0, (), ())
    covariance = np.atleast_2d(np.cov(latents.astype(np.float64), rowvar=False))
    alive = np.flatnonzero(np.ptp(latents, axis=0) > 0)
    dead = np.setdiff1d(np.arange(latents.shape[1]), alive)
    return LatentUse(
        effective_dimension=_effective_dimension(covariance),
        dead=tuple(int(each) for each in dead),
        doubled=_redundant_pairs(covariance, alive),
    )


def _effective_dimension(covariance: NDArray[np.float64]) -> float:
    variances = np.linalg.eigvalsh(covariance).clip(min=0)
    total = float(np.square(variances).sum())
    return float(variances.sum() ** 2 / total) if total else 0.0


def _redundant_pairs(
    covariance: NDArray[np.float64], alive: NDArray[np.intp]
) -> tuple[tuple[int, int], ...]:
    spread = np.sqrt(np.diag(covariance))[alive]
    correlation = np.abs(covariance[np.ix_(alive, alive)] / np.outer(spread, spread))
    pairs = np.argwhere(np.triu(correlation, 1) > DOUBLED)
    return tuple((int(alive[first]), int(alive[second])) for first, second in pairs)


def all_latents(store: Store) -> NDArray[np.float32]:
    """All latents of a store, (n, k)."""
    return store.latents(0, store.n_rows)


def label_per_row(path: Path, n_rows: int) -> NDArray[np.generic]:
    """Labels (n_rows,) from a file. Raises UsageError if it has another number of labels."""
    with open_source(path) as source:
        labels = _flat_rows(source)
    if labels.shape != (n_rows, 1):
        raise UsageError(
            f"{path}: must contain one label for each of the {n_rows:,} rows. "
            f"Got shape {labels.shape} instead."
        )
    return labels[:, 0]


def original_rows(store: Path) -> NDArray[np.generic]:
    """The rows (n, d) that a store was encoded from, read again from their source.

    Raises StorageError, OSError or KeyError if they cannot be read anymore, SourceError if there
    are gaps.
    """
    with open_store(store) as opened:
        if opened.columns.exact is not None:
            raise SourceError(f"{store}: holds columns that are no numbers and have no distances")
    facts = json.loads((store / "run.json").read_bytes())["source"]
    with open_source(
        Path(facts["path"]),
        field=facts["field"],
        columns=facts["columns"],
        id=facts["id"],
        missing=facts["missing"],
    ) as source:
        rows = _flat_rows(source)
    if rows.dtype.kind == "f" and np.isnan(rows).any():
        raise SourceError(f"{facts['path']}: contains NaN, but distances need every value")
    return rows


def _flat_rows(source: Source) -> NDArray[np.generic]:
    """All rows of a source, (n, d)."""
    chunks = [chunk.rows for chunk in source.chunks(max_rows=CHUNK_ROWS)]
    rows = np.concatenate(chunks)
    return rows.reshape(source.n_rows, -1)
