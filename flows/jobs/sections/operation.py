"""The sections of a job file on its operation: when it runs, whom it tells, what it keeps."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from flows.errors import UsageError
from flows.jobs.sections.limits import require_range, require_variable
from storage.objects.paths import ObjectPath, located

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
MOST_DAYS = 36_500
MOST_OWNER = 200  # characters
TABLE_NAME = r"([A-Za-z_]\w{0,62}\.)?[A-Za-z_]\w{0,62}"


@dataclass(frozen=True, kw_only=True)
class ScheduleSettings:
    """[schedule]: when the nightly run starts and how far back it catches up.

    cron: minute, hour, day, month, weekday; a run scores the day before its start.
    timezone: the zone in which a data date is a day.
    max_catch_up_days [days]: how many earlier nights to backfill, and to recheck for late data.
    max_model_age_days [days]: older models get a warning, and are refused at twice this age; 0 for
    no limit.
    """

    cron: str = "0 4 * * *"
    timezone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    max_catch_up_days: int = 7
    max_model_age_days: int = 0

    def __post_init__(self) -> None:
        try:
            CronSim(self.cron, EPOCH)
        except CronSimError as error:
            raise UsageError(
                "schedule.cron must look like '0 4 * * *' (minute, hour, day, month, weekday). "
                f"Got '{self.cron}' instead."
            ) from error
        require_range("schedule.max_catch_up_days", self.max_catch_up_days, 0, 366)
        require_range("schedule.max_model_age_days", self.max_model_age_days, 0, MOST_DAYS)


@dataclass(frozen=True, kw_only=True)
class AlertSettings:
    """[alert]: where the nightly message goes, at most one a run.

    Secrets stay out of the job file.

    webhook: name of the environment variable that holds a URL.
    block: Prefect notification block, such as `slack-webhook/operators`.
    reports_url: URL at which a web server publishes workspace/reports.
    """

    webhook: str = ""
    block: str = ""
    reports_url: str = ""

    def __post_init__(self) -> None:
        if self.webhook:
            require_variable("alert.webhook", self.webhook, holds="the URL")
        if self.block and not re.fullmatch(r"[a-z0-9-]+/[a-z0-9-]+", self.block):
            raise UsageError(
                f"alert.block must look like 'slack-webhook/operators'. Got '{self.block}' instead."
            )


@dataclass(frozen=True, kw_only=True)
class ReportSettings:
    """[report]: what reports say besides the results.

    owner: whom to ask about the results.
    """

    owner: str = ""

    def __post_init__(self) -> None:
        if len(self.owner) > MOST_OWNER:
            raise UsageError(
                f"report.owner must have at most {MOST_OWNER} characters. "
                f"Got {len(self.owner)} instead."
            )


@dataclass(frozen=True, kw_only=True)
class PublishSettings:
    """[publish]: where results go besides the workspace, each night as a whole.

    bucket: URI of a bucket or prefix, for reports and scores of each revision; empty for none.
    connection: name of the environment variable that holds the URI of the database.
    scores: table of the database, also `schema.table`, for the scores of all rows; created if it is
    missing.
    outliers: table of the database for the rows that reports list.
    delta_scores: path or URI of a Delta table for the scores of all rows; created if it is missing.
    delta_outliers: path or URI of a Delta table for the rows that reports list.
    """

    bucket: str = ""
    connection: str = ""
    scores: str = ""
    outliers: str = ""
    delta_scores: str = ""
    delta_outliers: str = ""

    def __post_init__(self) -> None:
        if self.bucket and not isinstance(located(self.bucket), ObjectPath):
            raise UsageError(
                "publish.bucket must be the URI of a bucket or prefix, such as "
                f"s3://bank-results/nightglass. Got '{self.bucket}' instead."
            )
        for what, table in self.tables.items():
            if not re.fullmatch(TABLE_NAME, table):
                raise UsageError(
                    f"publish.{what} must be the name of a table, such as night_{what} or "
                    f"public.night_{what}. Got '{table}' instead."
                )
        if self.tables:
            holds = "the URI of the database"
            require_variable("publish.connection", self.connection, holds=holds)
        for prefix in ("", "delta_"):
            self._require_two_tables(f"{prefix}scores", f"{prefix}outliers")
        for table in self.delta_tables.values():
            located(table)  # refuses credentials and other services

    def _require_two_tables(self, scores: str, outliers: str) -> None:
        named = getattr(self, scores)
        if named and named == getattr(self, outliers):
            raise UsageError(
                f"publish.{scores} and publish.{outliers} must be two tables. Got '{named}' twice."
            )

    @property
    def tables(self) -> dict[str, str]:
        """The tables by what they hold: "scores" and "outliers"."""
        return _those_named({"scores": self.scores, "outliers": self.outliers})

    @property
    def delta_tables(self) -> dict[str, str]:
        """The Delta tables by what they hold: "scores" and "outliers"."""
        return _those_named({"scores": self.delta_scores, "outliers": self.delta_outliers})


def _those_named(tables: dict[str, str]) -> dict[str, str]:
    return {what: table for what, table in tables.items() if table}


@dataclass(frozen=True, kw_only=True)
class RetentionSettings:
    """[retention]: days after which `prune` offers to delete; 0 for never.

    Reports are never deleted.

    scores [days]: scores of nights.
    superseded [days]: scores of superseded revisions.
    latents [days]: latent stores.
    models [days]: models that are neither champion nor used by any night's newest report.
    snapshots [days]: results of queries for single nights.
    work [days]: abandoned partial work.
    """

    scores: int = 0
    superseded: int = 90
    latents: int = 0
    models: int = 180
    snapshots: int = 30
    work: int = 14

    def __post_init__(self) -> None:
        for name in ("scores", "superseded", "latents", "models", "snapshots", "work"):
            require_range(f"retention.{name}", getattr(self, name), 0, MOST_DAYS)
