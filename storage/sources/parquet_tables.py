"""Parquet files as a source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from storage.errors import SourceError
from storage.sources.columns import pick_columns
from storage.sources.source import Origin, Schema
from storage.sources.tables import (
    Batch,
    TableSource,
    is_numeric,
    is_whole,
    own_types,
    require_distinct,
)


class Footer(NamedTuple):
    """Schema of a Parquet file, and the number of rows of each row group."""

    schema: pa.Schema
    group_sizes: list[int]


class ParquetSource(TableSource):
    """Parquet, read one row group at a time. Values are cast to one common dtype."""

    def __init__(
        self, path: Path, files: Sequence[Path], *, columns: Sequence[str], id: str, missing: str
    ) -> None:
        footers = [read_footer(file) for file in files]
        schemas = [footer.schema for footer in footers]
        chosen, ignored = _shared_columns(files, schemas, columns, id)
        kinds = _column_types(schemas, chosen)
        dtype = _common_dtype(kinds, missing)
        sizes = [size for footer in footers for size in footer.group_sizes]
        starts = list(accumulate((sum(footer.group_sizes) for footer in footers), initial=0))
        super().__init__(
            Origin(path, tuple(files), missing, id),
            Schema((len(chosen),), dtype.name, chosen, own_types(kinds, dtype)),
            starts[-1],
        )
        self.starts = starts
        self.borders = list(accumulate(sizes, initial=0))
        self.id_column = id
        self.whole_ids = bool(id) and all(is_whole(schema.field(id).type) for schema in schemas)
        self.ignored = ignored
        self.ignored_numbers = tuple(
            name for name in ignored if is_numeric(schemas[0].field(name).type)
        )
        self.facts = {"format": "Parquet", "files": str(len(files))}

    def _stored_batches(self, file: Path, start: int, stop: int, max_rows: int) -> Iterator[Batch]:
        with open_parquet(file) as opened:
            group_start = 0
            for group, size in enumerate(group_sizes(opened.metadata)):
                if group_start < stop and group_start + size > start:
                    for batch in self._group_batches(file, opened, group, max_rows):
                        yield Batch(group_start + batch.start, batch.rows)
                group_start += size

    def _group_batches(
        self, file: Path, opened: pq.ParquetFile, group: int, max_rows: int
    ) -> Iterator[Batch]:
        """Yield batches of one row group; their starts count from the start of the group."""
        start = 0
        try:
            for rows in opened.iter_batches(
                batch_size=max_rows,
                row_groups=[group],
                columns=self._columns_read(),
                use_threads=False,
            ):
                yield Batch(start, rows)
                start += rows.num_rows
        except (OSError, pa.ArrowInvalid) as error:
            raise SourceError(
                f"{file}: row group {group} cannot be read ({error}); restore the file"
            ) from error


def open_parquet(file: Path) -> pq.ParquetFile:
    """Open a Parquet file with page checksums verified. Raises SourceError."""
    try:
        return pq.ParquetFile(file, page_checksum_verification=True, pre_buffer=False)
    except (OSError, pa.ArrowInvalid) as error:
        raise SourceError(f"{file}: not a Parquet file, or truncated ({error})") from error


def read_footer(file: Path) -> Footer:
    """Read schema and row group sizes of a Parquet file. Raises SourceError."""
    with open_parquet(file) as opened:
        return Footer(opened.schema_arrow, group_sizes(opened.metadata))


def group_sizes(footer: pq.FileMetaData) -> list[int]:
    """Return the number of rows of each row group."""
    return [footer.row_group(index).num_rows for index in range(footer.num_row_groups)]


def _shared_columns(
    files: Sequence[Path], schemas: Sequence[pa.Schema], wanted: Sequence[str], id: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Pick features in the first file, and require them in all."""
    for file, schema in zip(files, schemas, strict=True):
        require_distinct(file, schema.names)
    kinds = [{field.name: is_numeric(field.type) for field in schema} for schema in schemas]
    chosen, ignored = pick_columns(files[0], kinds[0], wanted, id)
    for file, kind in zip(files, kinds, strict=True):
        pick_columns(file, kind, chosen, id)
    return chosen, ignored


def _column_types(
    schemas: Sequence[pa.Schema], columns: Sequence[str]
) -> list[np.dtype[np.generic]]:
    """Return the NumPy dtype of each column that holds its values in all files."""
    by_name = [dict(zip(schema.names, schema.types, strict=True)) for schema in schemas]
    return [
        np.result_type(*{np.dtype(kinds[name].to_pandas_dtype()) for kinds in by_name})
        for name in columns
    ]


def _common_dtype(kinds: Sequence[np.dtype[np.generic]], missing: str) -> np.dtype[np.generic]:
    """Return the NumPy dtype that holds every feature; a float if gaps are imputed."""
    numbers = {np.dtype(np.uint8) if kind.kind == "b" else kind for kind in kinds}
    floats = [np.dtype(np.float32)] if missing == "impute" else []
    return np.result_type(np.result_type(*numbers), *floats)
