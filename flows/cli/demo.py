"""demo: the whole job on scikit-learn's handwritten digits, with patches of its two sample photographs among them."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flows.errors import UsageError
from flows.jobs.requests import EncodeRequest, ScoreRequest, TrainRequest
from flows.results import CommandResult
from storage.files.atomic import write_beside, write_bytes

DATE = "2026-11-22"
CLEAN_DIGITS = 1_500
FOREIGN_A_PHOTOGRAPH = 6
JOB = f"""\
# The demo's job: 8 x 8 digits, grey levels 0 to 16.
name = "digits"

[data]
clean    = "clean.npy"               # {CLEAN_DIGITS:,} handwritten digits and nothing else
incoming = "nights/{{date}}.npy"       # a night: digits never seen before, and a few images that are none

[model]
latent = 16                          # 64 grey levels through 16 numbers and back

[train]
epochs        = 150
batch_size    = 64
learning_rate = 2e-3
calibration   = 0.2                  # 300 digits: what a promise of 1 in 100 needs

[score]
rule  = "quantile 0.99"              # at most 1 digit in 100 is flagged by mistake
top_n = 20
"""
OFFLINE = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_LOGGING_LEVEL": "WARNING",
    "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",
}


def run_demo(folder: Path, *, prefect: bool) -> CommandResult:
    """Write the data and the job file into `folder`, then train, encode and score.

    Return the facts and the words for them.
    """
    job = write_demo(folder)
    if prefect and "PREFECT_API_URL" not in os.environ:
        use_own_server(folder)
    from flows.orchestration.backends import (
        pick_backend,  # late: Prefect reads its settings when it is imported
    )

    backend = pick_backend(prefect)
    say(
        "Training on digits …"
        if not prefect
        else "Training on digits, as a Prefect flow; its temporary server takes some ten seconds to start …"
    )
    trained = backend.train(TrainRequest(job=str(job)))
    say("Encoding them …")
    encoded = backend.encode(EncodeRequest(job=str(job)))
    say("Scoring a night …")
    scored = backend.score(ScoreRequest(job=str(job), date=DATE))
    missed = ranked_below_a_digit(scored.top_rows, np.load(folder / "foreign-rows.npy"))
    foreign = 2 * FOREIGN_A_PHOTOGRAPH
    facts = {
        **scored.to_json(),
        "foreign": foreign,
        "foreign_below_a_digit": missed,
        "job": str(job),
    }
    words = [
        trained.to_text(),
        encoded.to_text(),
        scored.to_text(),
        "",
        f"{foreign - missed} of {foreign} foreign images rank above every digit.",
    ]
    return CommandResult(facts, "\n".join(words))


def say(words: str) -> None:
    """What is going on, on stderr, for a person who waits."""
    sys.stderr.write(words + "\n")


def write_demo(folder: Path) -> Path:
    """Write clean rows, one night, the numbers of its foreign rows, and the job file.

    Return the job file's path.
    """
    clean, night, foreign = demo_rows()
    folder.mkdir(parents=True, exist_ok=True)
    job = folder / "digits.toml"
    if not job.exists() and any(folder.iterdir()):
        raise UsageError(
            f"{folder}: holds other files; give the demo a folder of its own with --dir"
        )
    for path, rows in (
        (folder / "clean.npy", clean),
        (folder / "nights" / f"{DATE}.npy", night),
        (folder / "foreign-rows.npy", foreign),
    ):
        if not path.exists():  # a second demo finds its input unchanged, as a second night would
            with write_beside(path) as beside, beside.open("wb") as file:
                np.save(file, rows)
    write_bytes(job, JOB.encode())
    return job


def demo_rows() -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    """Clean digits (1500, 8, 8), a night (309, 8, 8) of unseen digits and foreign images, and the foreign rows' numbers (12,)."""
    from sklearn.datasets import load_digits

    random = np.random.default_rng(0)
    digits = random.permutation(
        load_digits().images.astype(np.float32)
    )  # in the file, each writer's digits stand together
    patches = photograph_patches()
    unseen = digits[CLEAN_DIGITS:]
    places = random.permutation(len(unseen) + len(patches))
    return (
        digits[:CLEAN_DIGITS],
        np.concatenate([unseen, patches])[places],
        np.flatnonzero(places >= len(unseen)),
    )


def photograph_patches() -> NDArray[np.float32]:
    """Evenly spaced 64 x 64 pieces of scikit-learn's two photographs, in grey, averaged to 8 x 8 and stretched to 0 to 16: (12, 8, 8)."""
    from sklearn.datasets import load_sample_images

    patches = []
    for photograph in load_sample_images().images:
        grey = photograph.mean(axis=2)
        corners = np.linspace(0, grey.shape[1] - 64, FOREIGN_A_PHOTOGRAPH).astype(int)
        middle = (grey.shape[0] - 64) // 2
        small = [
            grey[middle : middle + 64, left : left + 64].reshape(8, 8, 8, 8).mean(axis=(1, 3))
            for left in corners
        ]
        patches += [16 * (piece - piece.min()) / np.ptp(piece) for piece in small]
    return np.stack(patches).astype(np.float32)


def use_own_server(folder: Path) -> None:
    """Point Prefect at a temporary server of this process that keeps its database in the demo's folder."""
    home = (folder / ".prefect").resolve()
    os.environ.update(
        {**OFFLINE, "PREFECT_HOME": str(home), "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true"}
    )


def ranked_below_a_digit(rows: Sequence[int], foreign: NDArray[np.int64]) -> int:
    """How many foreign rows do not stand in the first places of the ranking `rows`."""
    return len(foreign) - len(set(rows[: len(foreign)]) & set(foreign.tolist()))
