"""One run of `score`: its settings and model, and the judgment it arrives at."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aemodel.decisions.block_scores import BlockScores
from aemodel.decisions.drift import Drift
from aemodel.decisions.entity_groups import EntityGroups, entity_groups
from aemodel.decisions.rules import Decision
from aemodel.model import Autoencoder
from flows.engine.run_record import RunRecord, package_versions
from flows.jobs.date_paths import fill_date
from flows.jobs.dates import parse_date
from flows.jobs.queries import name_queries
from flows.jobs.settings import Job
from flows.scoring.shards.summary import ShardSummary
from storage.databases.query import is_query
from storage.labels import Label
from storage.nights.night import Evidence
from storage.nights.revisions import NightPlace
from storage.sources import Source, files_digest

FEWEST_KEPT = 1_000  # rows in detail, so that a small alert budget hides no flagged rows


@dataclass(frozen=True, kw_only=True)
class NightRun:
    """One run of `score` for one data date, under its lock.

    work: folder where the revision is built. path: the input. record: when the run began.
    force: publish a new revision even if nothing has changed. command: repeats this run in the
    folder of the job file.
    remarks: notes for the report about model and device.
    known: labels that make flagged rows known normal, by the kind of these rows.
    """

    job: Job
    place: NightPlace
    work: Path
    path: Path
    model_id: str
    model: Autoencoder
    record: RunRecord
    force: bool
    command: str
    remarks: tuple[str, ...] = ()
    known: Mapping[str, Label] = field(default_factory=dict)

    @functools.cached_property
    def settings_digest(self) -> str:
        """SHA-256 of the settings that affect scores or report, and of the labels that do."""
        settings = self.job.score.digested()
        if self.job.series is not None:
            settings["series"] = str(self.job.series.order)
        if self.known:
            settings["known_normal"] = [
                [kind, label.author, label.expires] for kind, label in sorted(self.known.items())
            ]
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()

    @property
    def made_with(self) -> dict[str, str]:
        """What the figures rest on beside model, input, and settings, for the report."""
        return {
            "seed of training": str(self.model.train_settings.seed),
            "versions": package_versions(),
        }

    @property
    def calibration(self) -> NDArray[np.float64]:
        """Calibration scores (n,) of the score that ranks (`score.by`), ascending."""
        return self.model.calibration_by(self.job.score.by)

    @functools.cached_property
    def groups(self) -> EntityGroups | None:
        """The groups of entities that are judged by their own calibration rows, if any are."""
        entities, score = self.model.scaler.entities, self.job.score
        return entity_groups(entities, self.model.measured, score.by, score.rule)

    @property
    def blocks(self) -> BlockScores | None:
        """What the score that ranks says about blocks of clean rows, if these are known."""
        return self.model.blocks_by(self.job.score.by)

    @property
    def keep(self) -> int:
        """Number of rows kept in detail, and listed at most."""
        return max(FEWEST_KEPT, self.job.score.top_n, self.job.score.alert_budget)

    def fingerprint(self, source: Source) -> str:
        """Fingerprint of the input, its shard size, and its files."""
        return f"{source.fingerprint()} {self.job.data.shard_bytes} {files_digest(source.files)}"

    def without_folder(self, message: str) -> str:
        """Strip the input's folder from `message`; digests must not depend on paths."""
        return name_queries(self.job, message).replace(f"{self.path.parent}/", "")

    def named_as_in_job(self, message: str) -> str:
        """Name the input and its marker in `message` as the job file does, and strip folders.

        Absolute paths are stripped, since they differ from one machine to the next.
        """
        data, night = self.job.data, parse_date(self.place.date)
        for text, path in (
            (data.ready, self.job.marker(night)),
            (data.incoming, None if is_query(data.incoming) else self.path),
        ):
            if path is not None:
                shown = path.name if Path(text).is_absolute() else fill_date(text, night)
                message = message.replace(str(path), shown)
        return self.without_folder(message)


@dataclass(frozen=True, kw_only=True)
class Judged:
    """The judgment of a night.

    If nothing was scored, `decision`, `summary` and `drift` are None and `why` holds the reason.
    failed: (shard, reason) for each shard that could not be scored, or not all of its rows.
    shards: number of all shards.
    digest: SHA-256 of the content of all scored rows.
    unscored: rows without a score, None if the input could not be opened. broken_files: number of
    files that could not be opened, whose rows are not counted.
    known: the label that makes a flagged row known normal, by row number.
    evidence: of the listed rows, by row number.
    """

    verdict: str
    decision: Decision | None
    summary: ShardSummary | None
    drift: Drift | None
    notes: Sequence[str]
    failed: Sequence[tuple[str, str]]
    shards_done: int
    shards: int
    digest: str
    why: str
    unscored: int | None = None
    broken_files: int = 0
    known: Mapping[int, Label] = field(default_factory=dict)
    evidence: Mapping[int, Evidence] = field(default_factory=dict)


def nothing_scored(verdict: str, why: str) -> Judged:
    """Return the judgment of a night without scored rows: NO DATA or FAILED."""
    return Judged(
        verdict=verdict,
        decision=None,
        summary=None,
        drift=None,
        notes=(),
        failed=(),
        shards_done=0,
        shards=0,
        digest="",
        why=why,
    )
