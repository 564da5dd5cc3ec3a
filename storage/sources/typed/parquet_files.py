"""Parquet files as a source."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from storage.errors import SourceError
from storage.files.reads import unreadable
from storage.sources.typed.typed_tables import Footer, TypedSource

BUFFER_BYTES = 1 << 16  # of a column that are read at once; without it, whole row groups are


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

    def _columns_in(self, file: Path) -> list[str]:  # noqa: ARG002 (the same in all files)
        """Return the columns to read from a file."""
        return self._columns_read()

    def _read_parts(self, file: Path, parts: range, max_rows: int) -> Iterator[pa.RecordBatch]:
        """Read row groups as one: small ones share a batch."""
        starts = self._part_starts(file)
        row = starts[parts.start]
        with open_parquet(file) as opened:
            if _group_sizes(opened.metadata) != self._footers[file].sizes:
                raise SourceError(
                    f"{file}: changed while it was read; rerun once the file is complete"
                )
            try:
                for rows in opened.iter_batches(
                    batch_size=max_rows,
                    row_groups=parts,
                    columns=self._columns_in(file),
                    use_threads=False,
                ):
                    yield rows
                    row += rows.num_rows
            except (OSError, pa.ArrowInvalid) as error:
                group = bisect_right(starts, row) - 1
                raise unreadable(file, error, self._damage(group, error)) from error


def open_parquet(file: Path) -> pq.ParquetFile:
    """Open a Parquet file with page checksums verified. Raises SourceError."""
    path = file.absolute()  # pyarrow takes a relative path with a colon for a URI
    try:
        return pq.ParquetFile(
            path, page_checksum_verification=True, pre_buffer=False, buffer_size=BUFFER_BYTES
        )
    except UnicodeDecodeError as error:
        raise SourceError(
            f"{file}: the name of a column is not UTF-8 text ({error}); rename the column"
        ) from error
    except (OSError, pa.ArrowInvalid) as error:
        raise unreadable(file, error, f": not a Parquet file, or truncated ({error})") from error


def _group_sizes(footer: pq.FileMetaData) -> list[int]:
    """Return the number of rows of each row group."""
    return [footer.row_group(index).num_rows for index in range(footer.num_row_groups)]
