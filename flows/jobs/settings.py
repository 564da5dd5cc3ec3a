"""What a job file says: frozen settings that check themselves.

`flows.jobs.job_file` reads them from TOML.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from aemodel.decisions.rules import parse_rule
from aemodel.settings import SCORES, ModelSettings, TrainSettings
from flows.errors import UsageError
from storage.units import parse_bytes, parse_duration

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
FORMATS = ("hdf5", "parquet")
RUNNERS = ("threads", "dask")
PRECISIONS = ("float32", "float16", "int8", "auto")


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """[data]: where the rows are and how to read them.

    `clean` and `incoming` are paths, or globs of Parquet or CSV files.
    """

    clean: str
    incoming: str = ""
    field: str = ""
    columns: tuple[str, ...] = ()
    id: str = ""
    missing: str = "error"
    ready: str = ""
    settle: str = "0 min"
    shard_bytes: str = "256 MB"

    def __post_init__(self) -> None:
        if not self.clean:
            raise UsageError(
                "data.clean must name the clean rows: a file, a folder of Parquet or CSV files, or a glob. Got '' instead."
            )
        if len(set(self.columns) - {self.id}) < len(self.columns):
            raise UsageError(
                f"data.columns must name each feature once, and not data.id. Got {list(self.columns)} instead."
            )
        _require_choice("data.missing", self.missing, ("error", "impute"))
        _require_size("data.shard_bytes", self.shard_bytes)
        if self.ready and "{date}" not in self.ready:
            raise UsageError(
                f"data.ready must hold {{date}}, as in 'nights/{{date}}.done'. Got '{self.ready}' instead."
            )
        try:
            parse_duration(self.settle)
        except ValueError as error:
            raise UsageError(f"data.settle: {error}") from error


@dataclass(frozen=True, kw_only=True)
class EncodeSettings:
    """[encode]: how a latent store is written.

    Bounds are 0 where none is asked for; max_error_relative is a share of a column's clean range.
    """

    format: str = "hdf5"
    precision: str = "int8"
    max_error: float = 0.0
    max_error_relative: float = 0.0
    max_rmse: float = 0.0
    keep_exact: float = 0.001

    def __post_init__(self) -> None:
        _require_choice("encode.format", self.format, FORMATS)
        _require_choice("encode.precision", self.precision, PRECISIONS)
        _require_range("encode.keep_exact", self.keep_exact, 0.0, 0.1)
        _require_range("encode.max_error_relative", self.max_error_relative, 0.0, 1.0)
        for name in ("max_error", "max_rmse"):
            _require_range(f"encode.{name}", getattr(self, name), 0.0, 1e300)

    @property
    def bounds(self) -> dict[str, float]:
        """The bounds that are asked for, by key."""
        asked = {
            name: float(getattr(self, name))
            for name in ("max_error", "max_error_relative", "max_rmse")
        }
        return {name: value for name, value in asked.items() if value > 0}


@dataclass(frozen=True, kw_only=True)
class ScoreSettings:
    """[score]: how a night is judged.

    `by` is what rows are ranked by, `memory` the byte budget of one worker's buffers.
    """

    by: str = "error"
    top_n: int = 100
    rule: str = "quantile 0.999"
    alert_budget: int = 1000
    memory: str = "512 MB"
    runner: str = "threads"
    dask_address: str = ""

    def __post_init__(self) -> None:
        _require_choice("score.by", self.by, SCORES)
        _require_choice("score.runner", self.runner, RUNNERS)
        if self.dask_address and self.runner != "dask":
            raise UsageError('score.dask_address is of use with score.runner = "dask" only')
        _require_range("score.top_n", self.top_n, 1, 100_000)
        _require_range("score.alert_budget", self.alert_budget, 0, 1_000_000)
        _require_size("score.memory", self.memory)
        parse_rule(self.rule)


@dataclass(frozen=True, kw_only=True)
class ScheduleSettings:
    """[schedule]: when the night runs, in which zone a data date is a day, how far back is caught up, how old a model may be."""

    cron: str = "0 4 * * *"
    timezone: str = "UTC"
    max_catch_up_days: int = 7
    max_model_age_days: int = 0

    def __post_init__(self) -> None:
        try:
            ZoneInfo(self.timezone)
        except (ValueError, KeyError, OSError) as error:
            raise UsageError(
                f"schedule.timezone must be a zone such as 'Europe/Berlin'. Got '{self.timezone}' instead."
            ) from error
        try:
            CronSim(self.cron, EPOCH)
        except CronSimError as error:
            raise UsageError(
                f"schedule.cron must look like '0 4 * * *' (minute, hour, day, month, weekday). Got '{self.cron}' instead."
            ) from error
        _require_range("schedule.max_catch_up_days", self.max_catch_up_days, 0, 366)
        _require_range("schedule.max_model_age_days", self.max_model_age_days, 0, 36_500)


@dataclass(frozen=True, kw_only=True)
class AlertSettings:
    """[alert]: where the one message a night goes.

    Secrets stay outside: `webhook` names a variable of the environment that holds a URL,
    `block` a Prefect notification block. `reports_url` is where a web server shows
    workspace/reports.
    """

    webhook: str = ""
    block: str = ""
    reports_url: str = ""

    def __post_init__(self) -> None:
        if self.webhook and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", self.webhook):
            raise UsageError(
                "alert.webhook must be the name of an environment variable that holds the URL, such as NIGHTGLASS_WEBHOOK"
            )
        if self.block and not re.fullmatch(r"[a-z0-9-]+/[a-z0-9-]+", self.block):
            raise UsageError(
                f"alert.block must look like 'slack-webhook/operators'. Got '{self.block}' instead."
            )


@dataclass(frozen=True, kw_only=True)
class RetentionSettings:
    """[retention]: days after which `prune` offers to delete; 0 = never.

    Reports are never deleted.
    """

    scores: int = 0
    superseded: int = 90
    latents: int = 0
    models: int = 180
    work: int = 14

    def __post_init__(self) -> None:
        for name in ("scores", "superseded", "latents", "models", "work"):
            _require_range(f"retention.{name}", getattr(self, name), 0, 36_500)


@dataclass(frozen=True, kw_only=True)
class Job:
    """One job file. `folder` is the folder it lies in: relative paths start there."""

    name: str
    data: DataSettings
    workspace: str = "workspace"
    model: ModelSettings = field(default_factory=ModelSettings)
    train: TrainSettings = field(default_factory=TrainSettings)
    encode: EncodeSettings = field(default_factory=EncodeSettings)
    score: ScoreSettings = field(default_factory=ScoreSettings)
    schedule: ScheduleSettings = field(default_factory=ScheduleSettings)
    alert: AlertSettings = field(default_factory=AlertSettings)
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    folder: Path = Path()

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,99}", self.name):
            raise UsageError(
                f"name must be lower-case letters, digits and dashes, 100 at most. Got '{self.name}' instead."
            )

    def path(self, text: str) -> Path:
        """A path of the job file as seen from here: relative ones start at the job file's folder."""
        return self.folder / text

    def incoming(self, data_date: date) -> Path:
        """Where the rows of `data_date` are expected.

        Raises UsageError where the job names no place.
        """
        if "{date}" not in self.data.incoming:
            raise UsageError(
                "data.incoming must hold {date}, as in 'nights/{date}.npy'; set it, or name the input with --source"
            )
        return self.path(self.data.incoming.replace("{date}", data_date.isoformat()))

    def marker(self, data_date: date) -> Path | None:
        """The file that says that the rows of `data_date` are complete;

        None where the job names none.
        """
        return (
            self.path(self.data.ready.replace("{date}", data_date.isoformat()))
            if self.data.ready
            else None
        )

    @property
    def settle(self) -> timedelta:
        """How long an input must have stayed as it is before it counts as complete."""
        return parse_duration(self.data.settle)

    @property
    def zone(self) -> ZoneInfo:
        """The time zone in which a data date is a day."""
        return ZoneInfo(self.schedule.timezone)

    @property
    def shard_bytes(self) -> int:
        """Bytes of input in one shard."""
        return parse_bytes(self.data.shard_bytes)

    @property
    def memory_bytes(self) -> int:
        """Bytes that one worker's buffers may take."""
        return parse_bytes(self.score.memory)


def _require_choice(key: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UsageError(f"{key} must be one of {', '.join(choices)}. Got '{value}' instead.")


def _require_range(key: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise UsageError(f"{key} must be from {low} to {high}. Got {value} instead.")


def _require_size(key: str, value: str) -> None:
    try:
        size = parse_bytes(value)
    except ValueError as error:
        raise UsageError(f"{key}: {error}") from error
    if size < 1_000_000:
        raise UsageError(f"{key} must be at least 1 MB. Got '{value}' instead.")
