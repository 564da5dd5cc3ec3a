"""Scores of a night: one Parquet file per shard with id, place, scores and p-value of every row.

scores/JOB/date=2026-11-22/part-00000.parquet …, decision.json, manifest.json
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from storage.errors import DamagedError
from storage.files.reads import raise_refused
from storage.files.row_groups import RowGroupWriter

BATCH_ROWS = 65_536
READ_BYTES = 1 << 16  # read columns piecewise instead of whole row groups ahead
SCORES = ("error", "novelty", "relative")
COLUMNS = ("id", "row", "file", *SCORES, "p_value")
COUNTED = "DELTA_BINARY_PACKED"  # a few bytes for numbers that count up
ENCODINGS = {"row": COUNTED, **dict.fromkeys(SCORES, "BYTE_STREAM_SPLIT")}
MERGED_AT_ONCE = 16  # batches, to find quantiles
DROPPED_BITS = 40  # of the 52 of a score's mantissa, where quantiles are counted
REPEATED = ("file", "p_value")  # columns of few different values


def part_name(index: int) -> str:
    """Return the file name of a shard's scores."""
    return f"part-{index:05d}.parquet"


def _schema(id_type: pa.DataType) -> pa.Schema:
    """Return the Arrow schema of scores with ids of a type: int64 or string."""
    return pa.schema(
        [
            ("id", id_type),
            ("row", pa.int64()),
            ("file", pa.dictionary(pa.int32(), pa.string())),
            *((name, pa.float64()) for name in (*SCORES, "p_value")),
        ]
    )


class ScoreWriter(RowGroupWriter):
    """Writes the scores of one shard; the bytes do not depend on how rows are chunked."""

    def __init__(self, path: Path, *, text_ids: bool) -> None:
        schema = _schema(pa.string() if text_ids else pa.int64())
        encodings = ENCODINGS if text_ids else {"id": COUNTED, **ENCODINGS}
        super().__init__(path, schema, dictionaries=REPEATED, encodings=encodings)

    def append(
        self,
        rows: NDArray[np.int64],
        ids: NDArray[np.generic] | None,
        file: str,
        scores: Mapping[str, NDArray[np.float64]],
        p_values: NDArray[np.float64] | None,
    ) -> None:
        """Add consecutive rows (n,) of one file, with scores (n,) by name.

        Without ids, row numbers serve as ids; without calibration rows, p-values are null, and so
        are those of SCORES that were not computed.
        """
        unknown = pa.nulls(len(rows), pa.float64())
        by_name = {name: pa.array(each) for name, each in scores.items()}
        columns = [
            pa.array(rows if ids is None else ids, self._schema.field("id").type),
            pa.array(rows),
            _repeated(file, len(rows)),
            *(by_name.get(score, unknown) for score in SCORES),
            unknown if p_values is None else pa.array(p_values),
        ]
        self._append_columns(columns)


def _repeated(text: str, count: int) -> pa.DictionaryArray:
    """Return an array (count,) that holds one text in every place."""
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int32)), pa.array([text]))


def iter_scores(folder: Path, columns: Sequence[str] = COLUMNS) -> Iterator[pa.RecordBatch]:
    """Iterate over all scores of a night in row order. Raises DamagedError."""
    for path in sorted(folder.glob("part-*.parquet")):
        try:
            with pq.ParquetFile(
                path, page_checksum_verification=True, pre_buffer=False, buffer_size=READ_BYTES
            ) as file:
                yield from file.iter_batches(
                    batch_size=BATCH_ROWS, columns=list(columns), use_threads=False
                )
        except (OSError, pa.ArrowInvalid) as error:
            raise_refused(path, error)
            raise DamagedError(
                f"{path}: cannot be read ({error}); rescore the date with --force"
            ) from error


def pick_scores(
    folder: Path, listed: NDArray[np.int64], scores: NDArray[np.float64], cut: tuple[float, int]
) -> pa.Table:
    """Return the `listed` rows (n,), highest score first.

    scores: (n,), by which they are ranked. cut: score and row; rows above it are flagged.

    The table has all columns of the scores, and the columns `score` and `flagged`.
    """
    table = read_listed(folder, listed)
    ranked = pa.array(scores[np.argsort(listed)])
    flagged = _above(ranked, table.column("row"), *cut)
    marked = table.append_column("score", ranked).append_column("flagged", flagged)
    return marked.sort_by([("score", "descending"), ("row", "ascending")])


def read_listed(folder: Path, listed: NDArray[np.int64]) -> pa.Table:
    """Return the scores of the rows whose number is in `listed`, in row order."""
    numbers = pa.array(listed)
    kept = [
        batch.filter(pc.is_in(batch.column("row"), value_set=numbers))
        for batch in iter_scores(folder)
    ]
    table = pa.Table.from_batches(kept) if kept else _schema(pa.string()).empty_table()
    return table.unify_dictionaries().combine_chunks()


def no_pick() -> pa.Table:
    """Return an empty table with the columns of `pick_scores` and `file_row`."""
    added = (("score", pa.float64()), ("flagged", pa.bool_()), ("file_row", pa.int64()))
    schema = _schema(pa.string())
    return pa.schema([*schema, *(pa.field(*each) for each in added)]).empty_table()


def count_novel(folder: Path, novelty: float, by: str, cut: tuple[float, int]) -> int:
    """Count the rows with a greater novelty that are not flagged.

    by: the column to rank by, one of SCORES. cut: score and row; rows above it are flagged.
    """
    total = 0
    for batch in iter_scores(folder, ("row", by, "novelty")):
        novel = pc.greater(batch.column("novelty"), novelty)
        flagged = _above(batch.column(by), batch.column("row"), *cut)
        total += pc.sum(pc.and_(novel, pc.invert(flagged))).as_py() or 0
    return total


def count_novel_by_p_value(folder: Path, novelty: float, p_value: float) -> int:
    """Count the rows with a greater novelty, and a p-value above the highest that is flagged."""
    total = 0
    for batch in iter_scores(folder, ("novelty", "p_value")):
        novel = pc.greater(batch.column("novelty"), novelty)
        kept = pc.greater(batch.column("p_value"), p_value)
        total += pc.sum(pc.and_(novel, kept)).as_py() or 0
    return total


def score_quantiles(folder: Path, by: str, shares: Sequence[float]) -> tuple[float | None, ...]:
    """Return quantiles of a column of scores: the lowest score that a share of rows is up to.

    Each is right within a relative 2**-12, in memory for the distinct scores of that accuracy. None
    where it is infinite, and without scores.
    """
    parts: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    for batch in iter_scores(folder, (by,)):
        scores = batch.column(0).drop_null().to_numpy()
        parts.append(np.unique(_ordered_keys(scores), return_counts=True))
        if len(parts) == MERGED_AT_ONCE:
            parts = [_merged(parts)]
    keys, counts = _merged(parts)
    if not len(keys):
        return (None,) * len(shares)
    reached = np.cumsum(counts)
    first = np.searchsorted(reached, np.ceil(np.array(shares) * reached[-1]))
    found = (_score_of(int(key)) for key in keys[first])
    return tuple(score if np.isfinite(score) else None for score in found)


def _merged(
    parts: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the distinct keys of all parts, ascending, and how often each occurs."""
    none = np.empty(0, np.int64)
    every = np.concatenate([none, *(keys for keys, _ in parts)])
    times = np.concatenate([none, *(counts for _, counts in parts)])
    keys, places = np.unique(every, return_inverse=True)
    return keys, np.bincount(places, times, len(keys)).astype(np.int64)


def _ordered_keys(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the leading bits of scores (n,) as integers in the same order."""
    bits = np.abs(scores).view(np.int64) >> DROPPED_BITS
    return np.where(scores < 0, ~bits, bits)


def _score_of(key: int) -> float:
    """Return the score of those with a key that is nearest to zero."""
    size = float(np.int64((~key if key < 0 else key) << DROPPED_BITS).view(np.float64))
    return -size if key < 0 else size


def _above(
    scores: pa.Array | pa.ChunkedArray, rows: pa.Array | pa.ChunkedArray, score: float, row: int
) -> pa.Array | pa.ChunkedArray:
    """Return which rows lie above a cut; ties in the score are broken by row number."""
    tied = pc.and_(pc.equal(scores, score), pc.less_equal(rows, row))
    return pc.or_(pc.greater(scores, score), tied)
