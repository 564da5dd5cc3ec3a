"""probe: how informative latents are, measured by nearest neighbours on them beside the same on the original features."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flows.errors import UsageError
from flows.results import Done
from storage.errors import SourceError, StorageError
from storage.latents import Store, open_store
from storage.sources import open_source

CHUNK_ROWS = 65_536
DOUBLED = 0.98  # correlation beyond which two latents say the same


@dataclass(frozen=True)
class Accuracy:
    """Share of test rows whose label the neighbours get right, the features used, and the seconds of fit and prediction."""

    accuracy: float
    features: int
    seconds: float


@dataclass(frozen=True)
class Use:
    """How the latents are used: how many directions carry their variance, which never move, and which pairs say the same.

    effective_dimension: (sum of variances)^2 / sum of squared variances over the principal directions; k where all are alike, 1 where one has all.
    """

    effective_dimension: float
    dead: tuple[int, ...]
    doubled: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class ProbeResult(Done):
    """Accuracy on latents, how they are used, and accuracy on the original features where the source can still be read."""

    path: Path
    neighbors: int
    latents: Accuracy
    use: Use
    original: Accuracy | None
    why_not: str

    def to_json(self) -> dict[str, Any]:
        """For --json."""
        original = vars(self.original) if self.original else None
        return {
            "path": str(self.path),
            "neighbors": self.neighbors,
            "latents": {**vars(self.latents), **vars(self.use)},
            "original": original,
            "note": self.why_not,
        }

    def to_text(self) -> str:
        """For a terminal."""
        lines = [f"{self.neighbors} nearest neighbours"]
        for name, found in (("latents", self.latents), ("original features", self.original)):
            if found:
                lines.append(
                    f"  {found.features:6,} {name:18} accuracy {found.accuracy:.4f}   {found.seconds:8.2f} s"
                )
        lines.append(
            f"  effective dimension {self.use.effective_dimension:.1f} of {self.latents.features}"
        )
        lines += (
            [f"  latents that never move: {', '.join(map(str, self.use.dead))}"]
            if self.use.dead
            else []
        )
        lines += (
            [
                f"  latents that say the same: {', '.join(f'{a} and {b}' for a, b in self.use.doubled)}"
            ]
            if self.use.doubled
            else []
        )
        return "\n".join(lines + ([f"  original features: {self.why_not}"] if self.why_not else []))


def probe_stores(
    store: Path, labels: Path, test: Path, test_labels: Path, *, neighbors: int
) -> ProbeResult:
    """Predict the labels of the rows of `test` from their nearest rows in `store`."""
    with open_store(store) as known, open_store(test) as asked:
        known_labels, asked_labels = (
            read_labels(labels, known.n_rows),
            read_labels(test_labels, asked.n_rows),
        )
        stored = all_latents(known)
        latents, use = (
            measure(stored, known_labels, all_latents(asked), asked_labels, neighbors=neighbors),
            use_of(stored),
        )
    try:
        original, why_not = (
            measure(
                original_rows(store),
                known_labels,
                original_rows(test),
                asked_labels,
                neighbors=neighbors,
            ),
            "",
        )
    except (StorageError, OSError, KeyError) as error:
        original, why_not = None, f"not measured ({error})"
    return ProbeResult(store, neighbors, latents, use, original, why_not)


def measure(
    known: NDArray[Any],
    labels: NDArray[Any],
    asked: NDArray[Any],
    expected: NDArray[Any],
    *,
    neighbors: int,
) -> Accuracy:
    """Accuracy and seconds of k nearest neighbours fitted on `known` (n, d) and asked for the labels of `asked` (m, d)."""
    from sklearn.neighbors import KNeighborsClassifier  # late: takes a second to import

    if neighbors > len(known):
        raise UsageError(
            f"--neighbors must be at most the {len(known):,} rows of the store. Got {neighbors} instead."
        )
    began = time.perf_counter()
    predicted = KNeighborsClassifier(neighbors).fit(known, labels).predict(asked)
    return Accuracy(
        float((predicted == expected).mean()), known.shape[1], round(time.perf_counter() - began, 3)
    )


def use_of(latents: NDArray[np.float32]) -> Use:
    """How latents (n, k) are used.

    A pair counts as doubled where its correlation is beyond DOUBLED.
    """
    if len(latents) < 2:
        return Use(0.0, (), ())
    covariance = np.atleast_2d(np.cov(latents.astype(np.float64), rowvar=False))
    spread = np.sqrt(np.diag(covariance))
    alive = np.flatnonzero(np.ptp(latents, axis=0) > 0)
    variances = np.linalg.eigvalsh(covariance).clip(min=0)
    correlation = np.abs(covariance[np.ix_(alive, alive)] / np.outer(spread[alive], spread[alive]))
    pairs = np.argwhere(np.triu(correlation, 1) > DOUBLED)
    total = float(np.square(variances).sum())
    return Use(
        float(variances.sum() ** 2 / total) if total else 0.0,
        tuple(int(each) for each in np.setdiff1d(np.arange(latents.shape[1]), alive)),
        tuple((int(alive[a]), int(alive[b])) for a, b in pairs),
    )


def all_latents(store: Store) -> NDArray[np.float32]:
    """All latents of a store, (n, k)."""
    return store.latents(0, store.n_rows)


def read_labels(path: Path, n_rows: int) -> NDArray[Any]:
    """One label a row. Raises UsageError where their number is not that of the rows."""
    with open_source(path) as source:
        labels = np.concatenate(
            [chunk.rows for chunk in source.chunks(max_rows=CHUNK_ROWS)]
        ).reshape(source.n_rows, -1)
    if labels.shape != (n_rows, 1):
        raise UsageError(
            f"{path}: must hold one label for each of the {n_rows:,} rows. Got {labels.shape} instead."
        )
    return labels[:, 0]


def original_rows(store: Path) -> NDArray[Any]:
    """The rows that a store was made of, flat (n, d), read from where they were then.

    Raises StorageError, OSError or KeyError where they cannot be read any more, SourceError where
    some have gaps.
    """
    facts = json.loads((store / "run.json").read_text(encoding="utf-8"))["source"]
    with open_source(
        Path(facts["path"]),
        field=facts["field"],
        columns=facts["columns"],
        id=facts["id"],
        missing=facts["missing"],
    ) as source:
        rows = np.concatenate(
            [
                chunk.rows.reshape(len(chunk.rows), -1)
                for chunk in source.chunks(max_rows=CHUNK_ROWS)
            ]
        )
    if rows.dtype.kind == "f" and np.isnan(rows).any():
        raise SourceError(f"{facts['path']}: holds NaN, and distances need every value")
    return rows
