"""The settings of a job file: frozen values that check themselves.

`flows.jobs.job_file` parses them from TOML.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

from aemodel.settings import ModelSettings, TrainSettings
from flows.errors import UsageError
from flows.jobs.date_paths import fill_date, names_a_date
from flows.jobs.sections.data import DataSettings
from flows.jobs.sections.limits import (
    require_endpoint,
)
from flows.jobs.sections.operation import (
    AlertSettings,
    PublishSettings,
    ReportSettings,
    RetentionSettings,
    ScheduleSettings,
)
from flows.jobs.sections.results import EncodeSettings, ScoreSettings
from flows.jobs.series.settings import SeriesSettings, require_series_rule
from storage.databases.query import is_query
from storage.objects.paths import ObjectPath, located


@dataclass(frozen=True, kw_only=True)
class Job:
    """One job file. Relative paths start at its folder.

    name: lower-case letters, digits, and dashes, at most 100.
    workspace: output folder, on a local disk.
    endpoint: URL of a server that is compatible with S3, for all `s3://` URIs; empty for the one
    that `AWS_ENDPOINT_URL` names, or Amazon's own.
    """

    name: str
    data: DataSettings
    series: SeriesSettings | None = None
    workspace: str = "workspace"
    endpoint: str = ""
    model: ModelSettings = field(default_factory=ModelSettings)
    train: TrainSettings = field(default_factory=TrainSettings)
    encode: EncodeSettings = field(default_factory=EncodeSettings)
    score: ScoreSettings = field(default_factory=ScoreSettings)
    schedule: ScheduleSettings = field(default_factory=ScheduleSettings)
    report: ReportSettings = field(default_factory=ReportSettings)
    alert: AlertSettings = field(default_factory=AlertSettings)
    publish: PublishSettings = field(default_factory=PublishSettings)
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    folder: Path = Path()  # of the job file

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,99}", self.name):
            raise UsageError(
                "name must be lower-case letters, digits and dashes, at most 100. "
                f"Got '{self.name}' instead."
            )
        require_series_rule(self.score.rule.kind, series=self.series is not None)
        self._require_rows_of_series()
        require_endpoint(self.endpoint)
        if isinstance(self.path(self.workspace), ObjectPath):
            raise UsageError(f"workspace must be a local folder. Got '{self.workspace}' instead.")

    def _require_rows_of_series(self) -> None:
        if self.series is None:
            return
        for key, names in {"columns": self.data.columns, "ignore": self.data.ignore}.items():
            if both := sorted({*names} & {*self.series.columns}):
                raise UsageError(
                    f"data.{key} must not name the columns of [series]. Got {both[0]!r} in both."
                )
        if self.data.entity or self.data.categories or self.data.times:
            raise UsageError(
                "data.entity, categories, and times have no effect with [series], whose windows "
                "see numbers; set series.entity and series.time, and remove them"
            )
        usual = TrainSettings()
        if (self.train.split, self.train.blocks) != (usual.split, usual.blocks):
            raise UsageError(
                "train.split and train.blocks have no effect with [series], which holds out runs "
                "of consecutive rows; remove them"
            )
        if self.score.by != "error" or self.score.also:
            raise UsageError(
                "score.by and score.also have no effect with [series], whose rows are ranked by "
                "windows; remove them"
            )

    @property
    def zone(self) -> ZoneInfo:
        """The time zone in which a data date is a day."""
        return self.schedule.timezone

    def path(self, text: str) -> Path:
        """Resolve a path of the job file against the job file's folder; a URI stands for itself."""
        return located(text, below=self.folder, endpoint=self.endpoint)

    @property
    def clean(self) -> Path:
        """The clean rows; of a query, the snapshot of its result."""
        if is_query(self.data.clean):
            return self.snapshots / "clean" / "clean.parquet"
        return self.path(self.data.clean)

    @property
    def snapshots(self) -> Path:
        """The folder with the results of queries."""
        return self.path(self.workspace) / "snapshots" / self.name

    def incoming(self, data_date: date) -> Path:
        """The input of `data_date`; of a query, the snapshot of its result.

        Raises UsageError if data.incoming is not set.
        """
        if not names_a_date(self.data.incoming):
            raise UsageError(
                "data.incoming must contain {date}, as in 'nights/{date}.npy'; "
                "set it, or name the input with --source"
            )
        if is_query(self.data.incoming):
            return self.snapshots / f"date={data_date}" / f"{data_date}.parquet"
        return self.path(fill_date(self.data.incoming, data_date))

    def marker(self, data_date: date) -> Path | None:
        """The file that marks the input of `data_date` as complete; None without data.ready."""
        return self.path(fill_date(self.data.ready, data_date)) if self.data.ready else None
