"""Delta and Iceberg tables as a source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from storage.errors import SourceError
from storage.sources.columns.features import Wanted
from storage.sources.lakes.snapshots import Partition, Snapshot, real_path
from storage.sources.typed.parquet_files import ParquetSource
from storage.sources.typed.typed_tables import Footer

FIELD_ID = b"PARQUET:field_id"


class LakeSource(ParquetSource):
    """The Parquet files of one version of a table.

    A column that was added after a file was written is a gap in its rows. Partition columns have
    the values that the log gives, and are read like those that folders name.
    """

    def __init__(
        self,
        path: Path,
        files: Sequence[Path],
        wanted: Wanted,
        *,
        missing: str,
        snapshot: Snapshot,
    ) -> None:
        self._snapshot = snapshot
        self._lacking: dict[Path, list[pa.Field]] = {}
        super().__init__(path, files, wanted, missing=missing)
        self.facts = {**self.facts, "format": snapshot.format, "version": snapshot.version}

    def _partition_values(self, file: Path) -> Partition:
        return self._snapshot.files[real_path(file)]

    def _read_footer(self, file: Path) -> Footer:
        footer = super()._read_footer(file)
        self._require_same_columns(file, footer.schema)
        partition = self._partition_values(file)
        held = {*footer.schema.names, *partition}
        self._lacking[file] = [each for each in self._snapshot.schema if each.name not in held]
        current = [each for each in footer.schema if each.name in self._snapshot.schema.names]
        return Footer(pa.schema([*current, *self._lacking[file]]), footer.sizes)

    def _read_parts(
        self, file: Path, parts: range, max_rows: int, names: Sequence[str]
    ) -> Iterator[pa.RecordBatch]:
        lacking = {each.name: each.type for each in self._lacking[file] if each.name in names}
        held = [name for name in names if name not in lacking]
        for rows in super()._read_parts(file, parts, max_rows, held):
            gaps = [pa.nulls(rows.num_rows, kind) for kind in lacking.values()]
            yield pa.record_batch([*rows.columns, *gaps], [*rows.schema.names, *lacking])

    def _require_same_columns(self, file: Path, schema: pa.Schema) -> None:
        """Refuse a file whose columns have other names than in the table now."""
        names = {number: name for name, number in self._snapshot.ids.items()}
        for field in schema:
            number = int((field.metadata or {}).get(FIELD_ID, -1))
            now = names.get(number, field.name)
            known = self._snapshot.ids.get(field.name, number)
            if number >= 0 and (now != field.name or known != number):
                raise SourceError(
                    f"{file}: its column {field.name} is another one of the table now (renamed, or "
                    "dropped and added again); rewrite the data files of the table"
                )
