"""Parquet files as a source."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from storage.errors import SourceError
from storage.files.reads import unreadable
from storage.objects.paths import ObjectPath
from storage.sources.typed.typed_tables import Footer, TypedSource

BUFFER_BYTES = 1 << 16  # of a column that are read at once; without it, whole row groups are
FETCHED_BYTES = 8 << 20  # of all columns of an object that are fetched at once
READING = {"page_checksum_verification": True, "pre_buffer": False}


class ParquetSource(TypedSource):
    """Parquet, read by row groups."""

    format = "Parquet"
    part = "row group"

    def _read_footer(self, file: Path) -> Footer:
        with open_parquet(file) as opened:
            sizes = _group_sizes(opened.metadata)
            if sum(sizes) != opened.metadata.num_rows:
                raise SourceError(
                    f"{file}: damaged: the row groups have {sum(sizes)} rows, the footer says "
                    f"{opened.metadata.num_rows}; restore the file"
                )
            return Footer(opened.schema_arrow, sizes)

    def _read_parts(
        self, file: Path, parts: range, max_rows: int, names: Sequence[str]
    ) -> Iterator[pa.RecordBatch]:
        """Read row groups as one: small ones share a batch."""
        starts = self._part_starts(file)
        row = starts[parts.start]
        with open_parquet(file) as opened:
            if _group_sizes(opened.metadata) != self._footers[file].sizes:
                raise SourceError(
                    f"{file}: changed while it was read; rerun once the file is complete"
                )
            try:
                for together in _fetched_together(file, opened.metadata, parts):
                    for rows in opened.iter_batches(
                        batch_size=max_rows,
                        row_groups=together,
                        columns=list(names),
                        use_threads=False,
                    ):
                        yield rows
                        row += rows.num_rows
            except (OSError, pa.ArrowInvalid) as error:
                group = bisect_right(starts, row) - 1
                raise unreadable(file, error, self._damage(group, error)) from error


def open_parquet(file: Path) -> pq.ParquetFile:
    """Open a Parquet file with page checksums verified. Raises SourceError."""
    try:
        if isinstance(file, ObjectPath):
            return _open_object(file)
        path = file.absolute()  # pyarrow takes a relative path with a colon for a URI
        return pq.ParquetFile(path, **READING, buffer_size=BUFFER_BYTES)
    except UnicodeDecodeError as error:
        raise SourceError(
            f"{file}: the name of a column is not UTF-8 text ({error}); rename the column"
        ) from error
    except (OSError, pa.ArrowInvalid) as error:
        raise unreadable(file, error, f": not a Parquet file, or truncated ({error})") from error


def _open_object(file: ObjectPath) -> pq.ParquetFile:
    """Open an object: its row groups are fetched as a whole, or column by column if they are large.

    A request takes time, however few its bytes.
    """
    footer = pq.read_metadata(file.open_object())
    largest = max(_group_bytes(footer), default=0)
    if largest <= FETCHED_BYTES:
        how = {**READING, "pre_buffer": True}
    else:
        how = {**READING, "buffer_size": max(BUFFER_BYTES, FETCHED_BYTES // footer.num_columns)}
    return pq.ParquetFile(file.open_object(), metadata=footer, **how)


def _fetched_together(
    file: Path, footer: pq.FileMetaData, groups: Sequence[int]
) -> Iterator[Sequence[int]]:
    """Yield runs of row groups that are read as one: of an object, those that are fetched at once.

    Of a local file, all are.
    """
    most = FETCHED_BYTES if isinstance(file, ObjectPath) else math.inf
    sizes, run, held = _group_bytes(footer), list[int](), 0
    for group in groups:
        if run and held + sizes[group] > most:
            yield run
            run, held = [], 0
        run.append(group)
        held += sizes[group]
    yield run


def _group_bytes(footer: pq.FileMetaData) -> list[int]:
    """Return the bytes of each row group, uncompressed."""
    return [footer.row_group(index).total_byte_size for index in range(footer.num_row_groups)]


def _group_sizes(footer: pq.FileMetaData) -> list[int]:
    """Return the number of rows of each row group."""
    return [footer.row_group(index).num_rows for index in range(footer.num_row_groups)]
