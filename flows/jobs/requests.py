"""Requests to train, encode and score: plain values from a command line or a form.

Also the command that repeats a request.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# settings that change neither scores nor report
WITHOUT_EFFECT = (
    "alert.",
    "encode.",
    "publish.",
    "retention.",
    "schedule.",
    "score.dask_address",
    "score.memory",
    "score.runner",
)


@dataclass(frozen=True, kw_only=True)
class TrainRequest:
    """job: path of the job file. overrides: `section.key=value`."""

    job: str
    overrides: tuple[str, ...] = ()
    require_gpu: bool = False


@dataclass(frozen=True, kw_only=True)
class EncodeRequest:
    """source or date: the input; without either, the clean rows.

    out: folder or URI of the store.
    """

    job: str
    source: str = ""
    date: str = ""
    out: str = ""
    overrides: tuple[str, ...] = ()
    require_gpu: bool = False


@dataclass(frozen=True, kw_only=True)
class ScoreRequest:
    """date: the data date. source: an input other than the one for the date.

    model: an id, 'as-of' for the champion on the data date, '' for the current champion.
    force: write a new revision even if nothing changed.
    """

    job: str
    date: str
    source: str = ""
    model: str = ""
    force: bool = False
    overrides: tuple[str, ...] = ()
    require_gpu: bool = False

    def command(self, model_id: str) -> str:
        """Return the command that scores these rows again with a model.

        It runs in the folder of the job file, so that it is the same wherever that folder lies.
        """
        job = Path(self.job).resolve()
        words = ["nightglass", "score", job.name, "--date", self.date, "--model", model_id]
        return shlex.join([*words, *self._source_words(job.parent), *self._set_words()])

    def _source_words(self, folder: Path) -> Iterator[str]:
        if self.source:
            source = Path(self.source)
            yield from ("--source", os.path.relpath(source.parent.resolve() / source.name, folder))

    def _set_words(self) -> Iterator[str]:
        for override in self.overrides:
            if not override.strip().startswith(WITHOUT_EFFECT):
                yield from ("--set", override)
