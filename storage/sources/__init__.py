"""Input data in the usual formats, read as chunks of rows.

Rows arrive as NumPy arrays, in source order and in bounded memory.
"""

from __future__ import annotations

from storage.sources.chunks import (
    Chunk,
)
from storage.sources.columns.features import (
    BlockColumn,
    Feature,
    Reading,
    grouped,
    list_by_kind,
    list_unread,
    named_features,
)
from storage.sources.columns.schema import (
    CATEGORY,
    ENTITY,
    HOUR,
    NUMBER,
    TIME,
    WEEKDAY,
    Kinds,
    Schema,
    StoredColumns,
    check_schema,
)
from storage.sources.columns.survey import (
    DISTINCT,
    DayOrder,
    find_levels,
    name_blocks,
    order_of_days,
    survey_columns,
)
from storage.sources.csv_files.dialect import (
    DAY_FIRST,
    MONTH_FIRST,
    Dialect,
)
from storage.sources.digests import (
    RowsDigest,
    combine_digests,
    files_digest,
)
from storage.sources.input_files import (
    find_files,
    is_image,
    relative_names,
)
from storage.sources.opening import (
    open_sound_files,
    open_source,
    open_surveyed,
)
from storage.sources.shards import (
    Shard,
    plan_shards,
)
from storage.sources.source import (
    BROKEN_CELLS,
    Source,
)
from storage.sources.spread import (
    spread_rows,
)

__all__ = [
    "BROKEN_CELLS",
    "CATEGORY",
    "DAY_FIRST",
    "DISTINCT",
    "ENTITY",
    "HOUR",
    "MONTH_FIRST",
    "NUMBER",
    "TIME",
    "WEEKDAY",
    "BlockColumn",
    "Chunk",
    "DayOrder",
    "Dialect",
    "Feature",
    "Kinds",
    "Reading",
    "RowsDigest",
    "Schema",
    "Shard",
    "Source",
    "StoredColumns",
    "check_schema",
    "combine_digests",
    "files_digest",
    "find_files",
    "find_levels",
    "grouped",
    "is_image",
    "list_by_kind",
    "list_unread",
    "name_blocks",
    "named_features",
    "open_sound_files",
    "open_source",
    "open_surveyed",
    "order_of_days",
    "plan_shards",
    "relative_names",
    "spread_rows",
    "survey_columns",
]
