"""The settings of a job file: frozen values that check themselves.

`flows.jobs.job_file` parses them from TOML.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import NewType
from zoneinfo import ZoneInfo

from aemodel.decisions.rules import Rule, parse_rule
from aemodel.rows.layout import MAX_LEVELS
from aemodel.settings import SCORES, ModelSettings, TrainSettings
from flows.errors import UsageError
from flows.jobs.csv_settings import DETECTED_CSV, CsvSettings, require_csv_files
from flows.jobs.date_paths import fill_date, names_a_date, require_daily, require_marker
from flows.jobs.limits import (
    require_choice,
    require_endpoint,
    require_image_size,
    require_range,
    require_size,
)
from flows.jobs.operation_settings import (
    AlertSettings,
    PublishSettings,
    ReportSettings,
    RetentionSettings,
    ScheduleSettings,
)
from flows.jobs.query_settings import parse_queries, require_queries
from flows.jobs.series.settings import SeriesSettings, require_series_rule
from storage.databases.query import Query, is_query
from storage.objects.paths import ObjectPath, located
from storage.sources import CATEGORY, ENTITY, TIME, Reading

ByteSize = NewType("ByteSize", int)  # written as '256 MB' in a job file

FORMATS = ("hdf5", "parquet")
RUNNERS = ("threads", "dask")
PRECISIONS = ("float32", "float16", "int8", "auto")
BOUNDS = ("max_error", "max_error_relative", "max_rmse")


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """[data]: where the rows are and how to read them.

    clean: rows believed to contain no outliers: a path or URI of a file, a folder, or a glob, or a
    query (`"sql: SELECT …"`).
    incoming: input of a nightly run; `{date}` stands for the data date, also in another form, as in
    `{date:%Y/%m/%d}`.
    connection: name of the environment variable that holds the URI of the queries' database.
    field: HDF5 dataset, Zarr array, or NPZ member, if there are several.
    columns: features of a table; empty for all that can be one, fixed at training.
    categories: columns read as categories whatever their type, such as codes.
    times: columns read as times: as hour of day and weekday.
    ignore: columns that are not read.
    entity: column of a table that says whose row it is (a machine, a meter); rows are scaled by the
    level and spread of their entity.
    max_levels [levels]: most frequent levels of a category that the network tells apart; the rest
    share one.
    id: column of a table that identifies a row; empty for the row number.
    missing: `error`, or `impute`: the network sees the median in place of a gap, and the error
    skips it.
    resize [pixels]: height and width to which images are scaled; empty if all have one size.
    csv: what not to detect in CSV files, such as `{delimiter = ";", decimal = ","}`.
    ready: marker file of a complete input, such as `nights/{date}.done`; empty for none.
    settle: how long an input without a marker must stay unchanged before it counts as complete.
    shard_bytes: bytes of input in one shard, the unit of storage and resume.
    """

    clean: str
    incoming: str = ""
    connection: str = ""
    field: str = ""
    columns: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    times: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    entity: str = ""
    max_levels: int = MAX_LEVELS
    id: str = ""
    missing: str = "error"
    resize: tuple[int, ...] = ()
    csv: CsvSettings = DETECTED_CSV
    ready: str = ""
    settle: timedelta = timedelta(0)
    shard_bytes: ByteSize = ByteSize(256_000_000)

    def __post_init__(self) -> None:
        if not self.clean:
            raise UsageError(
                "data.clean must name the clean rows: a file, a folder of tables, or a glob. "
                "Got '' instead."
            )
        self._require_distinct_columns()
        self._require_one_kind()
        require_range("data.max_levels", self.max_levels, 1, 10_000)
        require_choice("data.missing", self.missing, ("error", "impute"))
        require_size("data.shard_bytes", self.shard_bytes)
        require_queries(
            self.queries, connection=self.connection, id_column=self.id, settle=self.settle
        )
        require_csv_files(self.csv, [*filter(None, (self.clean, self.incoming))])
        require_daily("data.incoming", self.incoming)
        require_marker(self.ready)
        require_image_size("data.resize", self.resize)

    @property
    def queries(self) -> dict[str, Query]:
        """The queries among `clean` and `incoming`, by key. Raises UsageError."""
        return parse_queries({"clean": self.clean, "incoming": self.incoming})

    @property
    def kinds(self) -> dict[str, tuple[str, ...]]:
        """As what columns are read, where the job file says so."""
        return {
            **dict.fromkeys(self.categories, (CATEGORY,)),
            **dict.fromkeys(self.times, TIME),
            **dict.fromkeys(self.ignore, ()),
            **({self.entity: (ENTITY,)} if self.entity else {}),
        }

    @property
    def reading(self) -> Reading:
        """How clean rows are read: the features and the entity, or all that can be features."""
        entity = (self.entity,) if self.entity and self.columns else ()
        return {
            "field": self.field,
            "columns": (*self.columns, *entity),
            "id": self.id,
            "missing": self.missing,
            "kinds": self.kinds,
            "resize": self.resize,
            "csv": self.csv.dialect,
        }

    def _require_one_kind(self) -> None:
        single = [name for name in (self.id, self.entity) if name]
        named = [*self.categories, *self.times, *self.ignore, *single]
        twice = sorted({name for name in named if named.count(name) > 1})
        ignored = sorted({*self.ignore, self.entity} & {*self.columns})
        if twice or ignored:
            raise UsageError(
                "data.columns, categories, times, ignore, id, and entity must not contradict each "
                "other. "
                f"Got {', '.join(map(repr, [*twice, *ignored]))} in more than one place instead."
            )

    def _require_distinct_columns(self) -> None:
        if len(set(self.columns) - {self.id}) < len(self.columns):
            raise UsageError(
                "data.columns must name each feature once, and not data.id. "
                f"Got {list(self.columns)} instead."
            )


@dataclass(frozen=True, kw_only=True)
class EncodeSettings:
    """[encode]: how a latent store is written. A bound of 0 is no bound.

    format: `hdf5` or `parquet`.
    precision: how latents are stored: `float32`, `float16`, `int8`, or `auto` (the fewest levels
    that raise the held-out RMSE by at most 0.5 %).
    max_error [units of the data]: largest error of any decoded value.
    max_error_relative [share]: the same, as a share of each column's range in the clean data.
    max_rmse [units of the data]: largest root mean square error of any shard.
    keep_exact [share]: rows with errors in this top share of calibration errors are stored exactly.
    keep_latents: write latents and decoder even where decoding within a bound does not need them,
    for `probe` and other readers.
    """

    format: str = "hdf5"
    precision: str = "int8"
    max_error: float = 0.0
    max_error_relative: float = 0.0
    max_rmse: float = 0.0
    keep_exact: float = 0.001
    keep_latents: bool = False

    def __post_init__(self) -> None:
        require_choice("encode.format", self.format, FORMATS)
        require_choice("encode.precision", self.precision, PRECISIONS)
        require_range("encode.keep_exact", self.keep_exact, 0.0, 0.1)
        require_range("encode.max_error_relative", self.max_error_relative, 0.0, 1.0)
        for name in ("max_error", "max_rmse"):
            require_range(f"encode.{name}", getattr(self, name), 0.0, 1e300)

    @property
    def bounds(self) -> dict[str, float]:
        """The requested bounds, by key."""
        values = {name: float(getattr(self, name)) for name in BOUNDS}
        return {name: value for name, value in values.items() if value > 0}


@dataclass(frozen=True, kw_only=True)
class ScoreSettings:
    """[score]: how a night is judged.

    by: the score that ranks rows: `error`, `novelty` (distance to clean rows and error), or
    `relative` (error over expected error).
    also: other scores to compute and write; `novelty` also lists novel rows, at several times the
    cost.
    top_n [rows]: rows that the report always lists, flagged or not.
    rule: `quantile q`, `fdr a`, `absolute s`, `mad k`, or `top`; with [series] also `events 1/7d`.
    alert_budget [rows]: a night with more flagged rows is a FLOOD; outliers.csv lists up to that
    many, or 1,000 if larger.
    memory: buffers of one worker.
    runner: `threads`, or `dask`, which requires Prefect.
    dask_address: Dask scheduler, such as `tcp://host:8786`; empty for a local cluster.
    """

    by: str = "error"
    also: tuple[str, ...] = ()
    top_n: int = 100
    rule: Rule = field(default_factory=lambda: parse_rule("quantile 0.999"))
    alert_budget: int = 1000
    memory: ByteSize = ByteSize(512_000_000)
    runner: str = "threads"
    dask_address: str = ""

    def __post_init__(self) -> None:
        require_choice("score.by", self.by, SCORES)
        for index, name in enumerate(self.also):
            require_choice(f"score.also[{index}]", name, SCORES)
        require_choice("score.runner", self.runner, RUNNERS)
        if self.dask_address and self.runner != "dask":
            raise UsageError('score.dask_address requires score.runner = "dask"')
        require_range("score.top_n", self.top_n, 1, 100_000)
        require_range("score.alert_budget", self.alert_budget, 0, 1_000_000)
        require_size("score.memory", self.memory)

    @property
    def computed(self) -> tuple[str, ...]:
        """Those of SCORES that are computed for every row, in their order.

        The error is what the others are made of. Beside novelty, the others cost next to nothing,
        so all are there if novelty ranks rows.
        """
        if self.by == "novelty":
            return SCORES
        return tuple(name for name in SCORES if name in ("error", self.by, *self.also))

    def digested(self) -> dict[str, object]:
        """The settings that a report depends on, as written in the job file."""
        return {
            "by": self.by,
            "top_n": self.top_n,
            "rule": self.rule.text,
            "alert_budget": self.alert_budget,
            **({"also": list(self.also)} if self.also else {}),
        }


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
