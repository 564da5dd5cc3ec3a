"""[data]: where the rows are and how to read them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from aemodel.rows.layout import MAX_LEVELS
from flows.errors import UsageError
from flows.jobs.date_paths import require_daily, require_marker
from flows.jobs.sections.csv_files import DETECTED_CSV, CsvSettings, require_csv_files
from flows.jobs.sections.limits import (
    ByteSize,
    require_choice,
    require_image_size,
    require_range,
    require_size,
)
from flows.jobs.sections.queries import parse_queries, require_queries
from storage.databases.query import Query
from storage.sources import CATEGORY, ENTITY, TIME, Reading

SHARD_BYTES = ByteSize(256_000_000)


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
    missing: `error`, or `impute`: the network sees what similar rows have in place of a gap, and
    the error skips it.
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
    shard_bytes: ByteSize = SHARD_BYTES

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
