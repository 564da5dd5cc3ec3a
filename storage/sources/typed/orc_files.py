"""ORC files as a source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
from pyarrow import orc

from storage.errors import SourceError
from storage.files.reads import unreadable
from storage.objects.paths import ObjectPath
from storage.sources.typed.typed_tables import Footer, TypedSource, cheapest_column, cut_rows

DAMAGE = (OSError, pa.ArrowException)  # what pyarrow raises for damaged content


class OrcSource(TypedSource):
    """ORC, read by stripes."""

    format = "ORC"
    part = "stripe"

    def _read_footer(self, file: Path) -> Footer:
        opened = _open(file)
        schema = opened.schema
        if not len(schema):
            return Footer(schema, [])
        counted = [schema.names[cheapest_column(schema)]]
        stripes = range(opened.nstripes)
        sizes = [self._read_stripe(file, opened, each, counted).num_rows for each in stripes]
        if sum(sizes) != opened.nrows:
            raise SourceError(
                f"{file}: damaged: the stripes have {sum(sizes)} rows, the footer says "
                f"{opened.nrows}; restore the file"
            )
        return Footer(schema, sizes)

    def _read_parts(
        self, file: Path, parts: range, max_rows: int, names: Sequence[str]
    ) -> Iterator[pa.RecordBatch]:
        opened = _open(file)
        for stripe in parts:
            yield from cut_rows(self._read_stripe(file, opened, stripe, names), max_rows)

    def _read_stripe(
        self, file: Path, opened: orc.ORCFile, stripe: int, names: Sequence[str]
    ) -> pa.RecordBatch:
        try:
            rows = opened.read_stripe(stripe, columns=list(names)).select(list(names))
            rows.validate(full=True)
        except (*DAMAGE, KeyError, ValueError) as error:
            raise unreadable(file, error, self._damage(stripe, error)) from error
        return rows


def _open(file: Path) -> orc.ORCFile:
    try:
        source = file.open_object() if isinstance(file, ObjectPath) else file.absolute()
        opened = orc.ORCFile(source)
        opened.schema  # noqa: B018 # raises if a column has a type that Arrow lacks
    except UnicodeDecodeError as error:
        raise SourceError(
            f"{file}: the name of a column is not UTF-8 text ({error}); rename the column"
        ) from error
    except DAMAGE as error:
        raise unreadable(file, error, f": not an ORC file, or truncated ({error})") from error
    return opened
