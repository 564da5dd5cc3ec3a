"""Tables in every format whose columns have types."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import feather, ipc, orc

PLAIN = ("parquet", "arrow", "arrows", "feather", "orc", "jsonl")
SUFFIXES = (*PLAIN, "ipc", "ndjson")


def write_table(path: Path, table: pa.Table, *, rows_in_part: int = 65_536) -> Path:
    """Write a table in the format that the suffix of `path` names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    suffix = path.name.partition(".")[2]
    if suffix == "parquet":
        pq.write_table(table, path, row_group_size=rows_in_part)
    elif suffix == "feather":
        feather.write_feather(table, str(path), chunksize=rows_in_part)
    elif suffix == "orc":
        orc.write_table(table, path, stripe_size=1_024, batch_size=rows_in_part)
    elif suffix in ("arrow", "arrows", "ipc"):
        write = ipc.new_stream if suffix == "arrows" else ipc.new_file
        with write(str(path), table.schema) as opened:
            opened.write_table(table, rows_in_part)
    else:
        lines = "".join(f"{json.dumps(row, default=str)}\n" for row in table.to_pylist())
        with pa.output_stream(str(path), compression="detect") as opened:
            opened.write(lines.encode())
    return path
