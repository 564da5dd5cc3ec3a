"""Which folders of a job are older than [retention] allows, and the locks of who writes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

from flows.jobs.series.inputs import SORTED
from flows.jobs.settings import Job
from flows.jobs.workspace import Workspace
from storage.files.locks import is_locked, lock
from storage.files.manifest import NAME as MANIFEST
from storage.models import champion_lock, list_models, read_champion
from storage.nights.revisions import NIGHT, is_ready, newest_nights
from storage.sources.series.snapshot import FOLDERS, LOCK

DATED = ("scores", "superseded", "snapshots")  # kinds of folders named `date=...`


@dataclass(frozen=True)
class Retention:
    """What [retention] of a job says about the folders of its workspace on one day."""

    job: Job
    workspace: Workspace
    today: date

    def old_folders(self) -> Iterator[tuple[str, Path]]:
        """Find everything that may be deleted, by kind; 0 days keep a kind forever."""
        for kind, folders in _FOLDERS.items():
            if self.days(kind):
                old = self.rule(kind)
                yield from ((kind, path) for path in folders(self) if old(path))

    def days(self, kind: str) -> int:
        """Days after which a kind of folder may be deleted."""
        days: int = getattr(self.job.retention, kind)
        return days

    def rule(self, kind: str) -> Callable[[Path], bool]:
        """Return what decides whether a folder of this kind may be deleted, as of now."""
        if kind == "snapshots":  # an old night may be scored again just now
            return lambda path: date_of(path) < self._cutoff(kind) and self._aged(kind, path)
        if kind in DATED:
            return lambda path: date_of(path) < self._cutoff(kind)
        if kind == "models":
            needed = needed_models(self)
            return lambda path: path.name not in needed and self._aged(kind, path / MANIFEST)
        if kind == "latents":
            return lambda path: self._aged(kind, path / MANIFEST)
        return lambda path: self._aged(kind, path) and not is_ready(path / NIGHT)

    @property
    def window(self) -> date:
        """The first date that is still backfilled."""
        return self.today - timedelta(days=self.job.schedule.max_catch_up_days + 1)

    def _cutoff(self, kind: str) -> date:
        """The date before which a night's scores or snapshot may be deleted."""
        return min(self.today - timedelta(days=self.days(kind)), self.window)

    def _aged(self, kind: str, path: Path) -> bool:
        """Whether a file or folder has not changed for longer than its retention."""
        changed = datetime.fromtimestamp(path.stat().st_mtime, UTC).date()
        return (self.today - changed).days > self.days(kind)

    def lock(self, kind: str, path: Path) -> AbstractContextManager[None]:
        """Hold the lock under which a folder is written."""
        if kind == "models":
            return champion_lock(self.workspace.models)
        if kind in DATED:
            return lock(self.workspace.lock(f"score-{date_of(path)}"))
        if kind == "latents":
            return lock(self.workspace.lock(f"encode-{path.name}"))
        return lock(_work_lock(path))


def date_of(path: Path) -> date:
    """The data date of a folder `date=...`."""
    return date.fromisoformat(path.name.removeprefix("date="))


def _dated(kind: str, retention: Retention) -> list[Path]:
    return sorted((retention.workspace.root / kind / retention.job.name).glob("date=*"))


def _latents(retention: Retention) -> list[Path]:
    return [path.parent for path in sorted(retention.workspace.latents.glob(f"*/{MANIFEST}"))]


def _models(retention: Retention) -> list[Path]:
    models = retention.workspace.models
    return [models / name for name in sorted(list_models(models))]


def _work(retention: Retention) -> list[Path]:
    """The job's idle work folders, not those of a job whose name starts with this one's."""
    root, name = retention.workspace.root, retention.job.name
    others = tuple(f"{path.name}-" for path in (root / "models").glob(f"{name}-*"))
    folders = [path for path in sorted((root / ".work").glob(f"{name}-*")) if path.is_dir()]
    own = [path for path in folders if not path.name.startswith(others)]
    idle = [path for path in own if not is_locked(_work_lock(path))]
    sorted_rows = [path for path in idle if path.name.startswith(f"{name}-{SORTED}")]
    snapshots = [each for path in sorted_rows for each in sorted(path.glob(FOLDERS))]
    return [*(path for path in idle if path not in sorted_rows), *snapshots]


_FOLDERS: Mapping[str, Callable[[Retention], list[Path]]] = {
    **{kind: partial(_dated, kind) for kind in DATED},
    "latents": _latents,
    "models": _models,
    "work": _work,
}


def _work_lock(work: Path) -> Path:
    if work.parent.name != ".work":  # sorted rows
        return work.parent / LOCK
    return work.with_name(f"{work.name}.lock")


def needed_models(retention: Retention) -> set[str]:
    """Return the ids of the models that must be kept."""
    models, window = retention.workspace.models, retention.window
    nights = newest_nights(retention.workspace.root, retention.job.name)
    reported = {night.model_id for night in nights}
    champion = read_champion(models)
    if champion is None:
        return reported
    days = [window + timedelta(days=day) for day in range((retention.today - window).days + 1)]
    in_window = {champion.as_of(day, retention.job.zone) for day in days}
    return reported | in_window | {champion.current, champion.previous() or champion.current}
