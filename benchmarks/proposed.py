"""The job file that `nightglass init` proposes, and the models that it trains."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aemodel.rows.layout import Layout
from aemodel.settings import ModelSettings, TrainSettings
from aemodel.training.loop import CleanRows, train_autoencoder
from aemodel.training.result import Trained
from flows.jobs.job_file import read_job
from flows.jobs.proposal.propose import propose_job
from flows.jobs.settings import Job

MEMORY_BYTES = 1_000_000_000


def propose_for_file(path: Path) -> str:
    """The text of the job file proposed for a file of clean rows."""
    return propose_job(str(path), field="").text


def propose_for_rows(rows: NDArray[np.generic]) -> str:
    """The text of the job file proposed for clean rows (n, *row_shape)."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clean.npy"
        np.save(path, rows)
        return propose_for_file(path)


def parse_job(text: str, overrides: Sequence[str] = ()) -> Job:
    """Parse the text of a job file; `overrides` as with --set."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "job.toml"
        path.write_text(text, encoding="utf-8")
        return read_job(path, list(overrides))


def train_on(
    rows: NDArray[np.generic],
    model: ModelSettings,
    train: TrainSettings,
    *,
    memory_bytes: int = MEMORY_BYTES,
) -> Trained:
    """Train on clean rows (n, *row_shape)."""
    layout = Layout(row_shape=rows.shape[1:], dtype=rows.dtype.name)
    return train_autoencoder(
        CleanRows(lambda: [rows], layout, memory_bytes), model=model, train=train
    )


def train_as_proposed(rows: NDArray[np.generic], seed: int) -> Trained:
    """Train on clean rows (n, d) with the job file that `nightglass init` writes for them."""
    job = parse_job(propose_for_rows(rows))
    train = replace(job.train, seed=seed)
    return train_on(rows, job.model, train, memory_bytes=job.score.memory)
