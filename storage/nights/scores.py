"""Scores of a night: one Parquet file a shard, with every row's id, place, error and p-value.

scores/<job>/date=2026-11-22/part-00000.parquet …, decision.json, manifest.json
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from storage.errors import DamagedError

BATCH_ROWS = 65_536
GROUP_ROWS = 65_536
READ_BYTES = 1 << 16  # a column is read piece by piece, not whole row groups ahead
SCORES = ("error", "novelty", "relative")
COLUMNS = ("id", "row", "file", *SCORES, "p_value")


def part_name(index: int) -> str:
    """File name of a shard's scores."""
    return f"part-{index:05d}.parquet"


def schema(id_kind: Any) -> Any:
    """The Arrow schema of scores whose ids are of a kind: int64 or text."""
    floats = ((name, pa.float64()) for name in (*SCORES, "p_value"))
    return pa.schema(
        [
            ("id", id_kind),
            ("row", pa.int64()),
            ("file", pa.dictionary(pa.int32(), pa.string())),
            *floats,
        ]
    )


class ScoreWriter:
    """Writes the scores of one shard.

    The same rows give the same bytes, whatever chunks they come in.
    """

    def __init__(self, path: Path, *, text_ids: bool) -> None:
        self._schema = schema(pa.string() if text_ids else pa.int64())
        self._held = self._schema.empty_table()
        self._writer = pq.ParquetWriter(
            path,
            self._schema,
            compression="zstd",
            use_dictionary=["file"],
            column_encoding={
                "row": "DELTA_BINARY_PACKED",
                **dict.fromkeys(SCORES, "BYTE_STREAM_SPLIT"),
                "p_value": "PLAIN",
            },
            write_page_checksum=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._write(self._held, all_of_it=True)
        self._writer.close()

    def _write(self, table: Any, *, all_of_it: bool) -> None:
        """Write whole row groups; what is left over is held until more comes."""
        whole = table.num_rows if all_of_it else table.num_rows // GROUP_ROWS * GROUP_ROWS
        for start in range(
            0, whole, GROUP_ROWS
        ):  # one by one: a group's dictionary of files then holds its own files alone
            group = table.slice(start, min(GROUP_ROWS, whole - start))
            self._writer.write_table(
                group.unify_dictionaries().combine_chunks(), row_group_size=GROUP_ROWS
            )
        self._held = table.slice(whole)

    def append(
        self,
        rows: NDArray[np.int64],
        ids: NDArray[Any] | None,
        file: str,
        scores: Mapping[str, NDArray[np.float64]],
        p_values: NDArray[np.float64] | None,
    ) -> None:
        """Add consecutive rows (n,) of one file, with each of SCORES (n,).

        Without ids the row number is the id, without calibration there are no p-values.
        """
        files = pa.DictionaryArray.from_arrays(
            pa.array(np.zeros(len(rows), np.int32)), pa.array([file])
        )
        known = pa.nulls(len(rows), pa.float64()) if p_values is None else pa.array(p_values)
        arrays = [
            pa.array(rows if ids is None else ids.tolist(), self._schema.field("id").type),
            pa.array(rows),
            files,
            *(pa.array(scores[score]) for score in SCORES),
            known,
        ]
        self._write(
            pa.concat_tables([self._held, pa.Table.from_arrays(arrays, schema=self._schema)]),
            all_of_it=False,
        )


def iter_scores(folder: Path, columns: Sequence[str] = COLUMNS) -> Iterator[Any]:
    """All scores of a night in row order, as Arrow record batches of some columns.

    Raises DamagedError.
    """
    for path in sorted(folder.glob("part-*.parquet")):
        try:
            with pq.ParquetFile(
                path, page_checksum_verification=True, pre_buffer=False, buffer_size=READ_BYTES
            ) as file:
                yield from file.iter_batches(
                    batch_size=BATCH_ROWS, columns=list(columns), use_threads=False
                )
        except (OSError, pa.ArrowInvalid) as error:
            raise DamagedError(
                f"{path}: cannot be read ({error}); score the date again with --force"
            ) from error


def pick_scores(folder: Path, by: str, score: float, row: int, shown: NDArray[np.int64]) -> Any:
    """A table of the rows above the cut (score, row) and of those whose row number is in `shown`, best first, with column `flagged`.

    by: the column that is the score, one of SCORES.
    """
    kept = [_pick(batch, by, score, row, pa.array(shown)) for batch in iter_scores(folder)]
    table = pa.Table.from_batches(kept).unify_dictionaries().combine_chunks() if kept else no_pick()
    return table.sort_by([(by, "descending"), ("row", "ascending")])


def no_pick() -> Any:
    """No rows, with the columns of `pick_scores`."""
    return schema(pa.string()).append(pa.field("flagged", pa.bool_())).empty_table()


def count_novel(folder: Path, novelty: float, by: str, score: float, row: int) -> int:
    """How many rows have a greater novelty, and a score in the column `by` that is not above the cut (score, row)."""
    batches = iter_scores(folder, ("row", by, "novelty"))
    passed_over = (
        pc.and_(
            pc.greater(batch.column("novelty"), novelty),
            pc.invert(_above(batch.column(by), batch.column("row"), score, row)),
        )
        for batch in batches
    )
    return sum(pc.sum(each).as_py() or 0 for each in passed_over)


def _above(found: Any, number: Any, score: float, row: int) -> Any:
    return pc.or_(
        pc.greater(found, score), pc.and_(pc.equal(found, score), pc.less_equal(number, row))
    )


def _pick(batch: Any, by: str, score: float, row: int, shown: Any) -> Any:
    found, number = batch.column(by), batch.column("row")
    flagged = _above(found, number, score, row)
    marked = batch.append_column("flagged", flagged)
    return marked.filter(pc.or_(flagged, pc.is_in(number, value_set=shown)))
