"""The checkpoint of a training: written between epochs, and resumed by the same training alone."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

import torch

from aemodel.errors import BundleError
from aemodel.training.epochs.course import BetweenEpochs
from aemodel.training.epochs.state import TrainingState, state_bytes, state_from_bytes
from flows.jobs.inputs import layout_of
from flows.jobs.settings import Job
from flows.training.epochs_shown import EpochsShown
from flows.training.rows.clean_rows import DigestedPasses
from storage.checkpoints import read_checkpoint, write_checkpoint
from storage.errors import DamagedError, ReadError, WorkspaceError
from storage.sources import Source
from storage.sources.digests import sha256_text

SHORTEST = 1.0  # seconds between two checkpoints
COST = 0.02  # share of the time that they may take, once the first is written

log = logging.getLogger(__name__)


def training_key(source: Source, passes: DigestedPasses, job: Job, *, device: str) -> str:
    """Digest all that the weights depend on; `passes` has read all rows once."""
    facts = {
        "rows": passes.digest,
        "files": source.fingerprint(),
        "layout": asdict(layout_of(job, source.schema)),
        "model": asdict(job.model),
        "train": asdict(replace(job.train, device=device)),
        "memory": job.score.memory,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "nightglass": version("nightglass"),
    }
    return sha256_text(json.dumps(facts))


class Checkpoint:
    """The newest state of one training, in a file.

    key: returns the `training_key`; called when all rows have been read. epochs: at most, in total.
    """

    def __init__(self, path: Path, key: Callable[[], str], *, epochs: int) -> None:
        self._path, self._find_key, self._epochs = path, key, epochs
        self._due = time.monotonic() + SHORTEST

    def between(self, shown: EpochsShown) -> BetweenEpochs:
        """Return what training calls."""
        return BetweenEpochs(
            resume=self._resume, report=shown.on_epoch, keep=self._keep, batch=shown.on_batch
        )

    @cached_property
    def _key(self) -> str:
        return self._find_key()

    def _resume(self) -> TrainingState | None:
        try:
            content = read_checkpoint(self._path, key=self._key)
            state = state_from_bytes(content) if content else None
        except (DamagedError, ReadError, BundleError) as error:
            log.warning("%s; training starts over", error)
            return None
        if state:
            log.warning("resuming after epoch %d of %d", len(state.epochs), self._epochs)
        return state

    def _keep(self, state: Callable[[], TrainingState]) -> None:
        began = time.monotonic()
        if began < self._due:
            return
        try:
            write_checkpoint(self._path, state_bytes(state()), key=self._key)
        except WorkspaceError as error:
            log.warning("training goes on without this checkpoint: %s", error)
        ended = time.monotonic()
        self._due = ended + max(SHORTEST, (ended - began) / COST)
