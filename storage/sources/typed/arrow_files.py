"""Arrow IPC files (also called Feather) and streams as a source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import ipc

from storage.errors import SourceError
from storage.files.reads import unreadable
from storage.objects.paths import ObjectPath
from storage.sources.columns.features import Wanted
from storage.sources.typed.typed_tables import Footer, TypedSource, cheapest_column, cut_rows

Opened = Any  # ipc.RecordBatchFileReader or ipc.RecordBatchStreamReader; pyarrow has no types

FILE_MAGIC, FEATHER_V1_MAGIC = b"ARROW1", b"FEA1"
END_OF_STREAM = b"\xff\xff\xff\xff\0\0\0\0"
MAPPED_BYTES = 256_000_000
# What pyarrow raises for damaged content; KeyError for an unknown dictionary.
DAMAGE = (OSError, pa.ArrowException, KeyError)


class ArrowSource(TypedSource):
    """Arrow IPC, read by record batches. A stream can only be read from its start."""

    format = "Arrow IPC"
    part = "record batch"

    def __init__(self, path: Path, files: Sequence[Path], wanted: Wanted, *, missing: str) -> None:
        self.sequential = not all(map(_is_file, files))
        super().__init__(path, files, wanted, missing=missing)

    def _read_footer(self, file: Path) -> Footer:
        if not _is_file(file):
            _require_stream(file)
        with _open(file) as opened:
            schema = pa.schema(map(_plain_field, opened.schema), opened.schema.metadata)
        if not len(schema):
            return Footer(schema, [])
        with _open(file, [cheapest_column(schema)]) as opened:
            return Footer(schema, [rows.num_rows for _, rows in self._batches_of(file, opened)])

    def _read_parts(
        self, file: Path, parts: range, max_rows: int, names: Sequence[str]
    ) -> Iterator[pa.RecordBatch]:
        schema = self._footers[file].schema
        fields = [schema.field(name) for name in names]
        with _open(file, [schema.get_field_index(field.name) for field in fields]) as opened:
            for part, batch in self._batches_of(file, opened, parts):
                for rows in cut_rows(batch, max_rows):
                    try:
                        rows.validate(full=True)  # the format has no checksums
                        columns = [rows.column(each.name).cast(each.type) for each in fields]
                    except DAMAGE as error:
                        raise SourceError(f"{file}{self._damage(part, error)}") from error
                    yield pa.record_batch(columns, schema=pa.schema(fields))

    def _batches_of(
        self, file: Path, opened: Opened, parts: range | None = None
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Yield the numbers of record batches, and their rows."""
        part = (parts.start if parts else 0) - 1
        try:
            for part, batch in _numbered(opened, parts):
                yield part, batch
        except DAMAGE as error:
            raise unreadable(file, error, self._damage(part + 1, error)) from error


def _numbered(opened: Opened, parts: range | None) -> Iterator[tuple[int, pa.RecordBatch]]:
    if isinstance(opened, ipc.RecordBatchFileReader):
        for part in range(opened.num_record_batches) if parts is None else parts:
            yield part, opened.get_batch(part)
        return
    for part, batch in enumerate(opened):
        if parts is None or part in parts:
            yield part, batch
        if parts and part == parts[-1]:
            return


@contextmanager
def _open(file: Path, fields: Sequence[int] = ()) -> Iterator[Opened]:
    """Open an Arrow file to read some of its columns by their places. Raises SourceError."""
    options = ipc.IpcReadOptions(use_threads=False, included_fields=list(fields))
    with file.open_object() if isinstance(file, ObjectPath) else pa.OSFile(str(file)) as read:
        opened = _reader(file, read, options)
        if not _has_large_batches(file, opened):
            yield opened
            return
    with pa.memory_map(str(file)) as mapped:  # or a batch would be held in memory as a whole
        yield _reader(file, mapped, options)


def _reader(file: Path, opened: pa.NativeFile, options: ipc.IpcReadOptions) -> Opened:
    try:
        if _is_file(file):
            return ipc.open_file(opened, options=options)
        return ipc.open_stream(opened, options=options)
    except UnicodeDecodeError as error:
        raise SourceError(
            f"{file}: the name of a column is not UTF-8 text ({error}); rename the column"
        ) from error
    except DAMAGE as error:
        damage = f": not an Arrow file or stream, or truncated ({error})"
        raise unreadable(file, error, damage) from error


def _has_large_batches(file: Path, opened: Opened) -> bool:
    """Return whether a local file is better mapped into memory."""
    if isinstance(file, ObjectPath):
        return False
    count = opened.num_record_batches if isinstance(opened, ipc.RecordBatchFileReader) else 1
    return file.stat().st_size > MAPPED_BYTES * max(1, count)


def _is_file(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(len(FILE_MAGIC)) == FILE_MAGIC


def _require_stream(file: Path) -> None:
    """Refuse what begins or ends as no Arrow stream does. Raises SourceError."""
    content = file.open("rb")
    with content:
        start = content.read(len(FEATHER_V1_MAGIC))
        content.seek(max(0, file.stat().st_size - len(END_OF_STREAM)))
        end = content.read()
    if start == FEATHER_V1_MAGIC:
        raise SourceError(
            f"{file}: Feather version 1; expected version 2, which is Arrow IPC. Write it again"
        )
    if end != END_OF_STREAM:
        raise SourceError(
            f"{file}: not an Arrow file, nor a stream with its end-of-stream mark; if it is a "
            "stream, it is truncated or still being written: restore the file"
        )


def _plain_field(field: pa.Field) -> pa.Field:
    """Return a field without views, for which pyarrow has few functions."""
    return field.with_type(_plain_type(field.type))


def _plain_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_string_view(kind):
        return pa.large_string()
    if pa.types.is_binary_view(kind):
        return pa.large_binary()
    if pa.types.is_dictionary(kind):
        return pa.dictionary(kind.index_type, _plain_type(kind.value_type), kind.ordered)
    return kind
