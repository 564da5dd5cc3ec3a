"""The demo: train, encode and score on scikit-learn's handwritten digits.

The night to score also contains patches of scikit-learn's two sample photographs, the foreign rows.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import typer
from numpy.typing import NDArray

from flows.errors import UsageError
from flows.jobs.requests import EncodeRequest, ScoreRequest, TrainRequest
from flows.results import CommandResult
from storage.files.atomic import write_beside, write_bytes

DATE = "2026-11-22"
CLEAN_DIGITS = 1_500
PATCHES_PER_PHOTOGRAPH = 6
N_FOREIGN = 2 * PATCHES_PER_PHOTOGRAPH
PATCH = 64  # width and height of a patch in pixels, before it is averaged to 8 x 8
JOB = f"""\
# The demo's job: 8 x 8 digits with gray levels from 0 to 16.
name = "digits"

[data]
clean    = "clean.npy"               # {CLEAN_DIGITS:,} handwritten digits
incoming = "nights/{{date}}.npy"       # one night: unseen digits and a few foreign images

[model]
latent = 16                          # compresses 64 pixels to 16 numbers

[train]
epochs        = 150
batch_size    = 64
learning_rate = 4e-3
calibration   = 0.2                  # 300 digits, enough for a false alarm rate of 1 in 100

[score]
rule  = "quantile 0.99"              # flags at most 1 % of clean digits on average
top_n = 20
"""
TEMPORARY_SERVER = {
    "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",  # 20 is too short on a busy machine
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_LOGGING_LEVEL": "WARNING",
    "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",
}


def run_demo(folder: Path, *, prefect: bool) -> CommandResult:
    """Write the data and the job file into `folder`, then train, encode and score."""
    job = write_demo(folder)
    if prefect and "PREFECT_API_URL" not in os.environ:
        _use_temporary_server(folder)
    from flows.orchestration.backends import pick_backend  # late: reads Prefect's settings

    backend = pick_backend(prefect)
    _print_progress("Training on digits …")
    trained = backend.train(TrainRequest(job=str(job)))
    _print_progress("Encoding the digits …")
    encoded = backend.encode(EncodeRequest(job=str(job)))
    _print_progress("Scoring a night …")
    scored = backend.score(ScoreRequest(job=str(job), date=DATE))

    missed = count_missed(scored.top_rows, np.load(folder / "foreign-rows.npy"))
    facts = {
        **scored.to_json(),
        "foreign": N_FOREIGN,
        "foreign_below_a_digit": missed,
        "job": str(job),
    }
    summary = f"{N_FOREIGN - missed} of {N_FOREIGN} foreign images rank above every digit."
    texts = [trained.to_text(), encoded.to_text(), scored.to_text(), "", summary]
    return CommandResult(facts, "\n".join(texts))


def _print_progress(text: str) -> None:
    typer.echo(text, err=True)


def write_demo(folder: Path) -> Path:
    """Write the clean rows, one night, its foreign row numbers and the job file.

    Existing arrays are kept, so that a second demo finds its input unchanged. Returns the path of
    the job file. Raises UsageError if the folder holds other files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    job = folder / "digits.toml"
    if not job.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder}: contains other files; choose an empty folder with --dir")
    clean, night, foreign = demo_rows()
    _save_once(folder / "clean.npy", clean)
    _save_once(folder / "nights" / f"{DATE}.npy", night)
    _save_once(folder / "foreign-rows.npy", foreign)
    write_bytes(job, JOB.encode())
    return job


def _save_once(path: Path, array: NDArray[np.generic]) -> None:
    """Write a .npy file unless it exists."""
    if path.exists():
        return
    with write_beside(path) as beside, beside.open("wb") as file:
        np.save(file, array)


def demo_rows() -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    """Return the clean rows, a night, and the row numbers of its foreign rows.

    Shapes: (1500, 8, 8) digits; (309, 8, 8) unseen digits and photograph patches; (12,).
    """
    from sklearn.datasets import load_digits

    random = np.random.default_rng(0)
    # shuffled, since the data set is ordered by writer
    digits = random.permutation(load_digits().images.astype(np.float32))
    unseen = digits[CLEAN_DIGITS:]
    patches = photograph_patches()
    order = random.permutation(len(unseen) + len(patches))
    night = np.concatenate([unseen, patches])[order]
    return digits[:CLEAN_DIGITS], night, np.flatnonzero(order >= len(unseen))


def photograph_patches() -> NDArray[np.float32]:
    """Cut evenly spaced patches out of scikit-learn's two photographs: (12, 8, 8), 0 to 16."""
    from sklearn.datasets import load_sample_images

    photographs = [image.mean(axis=2) for image in load_sample_images().images]
    patches = [patch for photograph in photographs for patch in _patches(photograph)]
    return np.stack(patches).astype(np.float32)


def _patches(photograph: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
    """Yield 8 x 8 patches along the middle of a gray image, stretched to 0 to 16."""
    height, width = photograph.shape
    top = (height - PATCH) // 2
    for left in np.linspace(0, width - PATCH, PATCHES_PER_PHOTOGRAPH).astype(int):
        patch = photograph[top : top + PATCH, left : left + PATCH]
        small = patch.reshape(8, 8, 8, 8).mean(axis=(1, 3))
        yield 16 * (small - small.min()) / np.ptp(small)


def _use_temporary_server(folder: Path) -> None:
    """Let Prefect start a server within this process, with its database in the demo's folder."""
    _print_progress("Prefect runs on a temporary server, which starts in about ten seconds.")
    home = (folder / ".prefect").resolve()
    os.environ.update(TEMPORARY_SERVER, PREFECT_HOME=str(home))


def count_missed(ranked: Sequence[int], foreign: NDArray[np.int64]) -> int:
    """Count the foreign rows that do not come first in the ranking of row numbers."""
    top = set(ranked[: len(foreign)])
    return len(set(foreign.tolist()) - top)
