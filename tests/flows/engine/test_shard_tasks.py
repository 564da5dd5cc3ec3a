"""Rows per chunk."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from flows.engine.shard_tasks import rows_per_chunk
from storage.sources import open_source


def test_a_chunk_holds_whole_batches_within_the_memory_budget(tmp_path):
    np.save(tmp_path / "rows.npy", np.zeros((5, 10), np.float32))  # 40 bytes a row
    with open_source(tmp_path / "rows.npy") as source:
        plenty, little = 10**9, 8 * 40 * 1000

        assert rows_per_chunk(source, plenty) == 100_000
        assert rows_per_chunk(source, plenty, batch=4096) == 24 * 4096
        assert rows_per_chunk(source, little, batch=4096) == 1000


def test_a_chunk_of_a_wide_table_has_rows_enough_to_be_worth_its_columns(tmp_path):
    columns = {f"c{index}": np.zeros(2) for index in range(3_000)}  # 24,000 bytes a row
    pq.write_table(pa.table(columns), tmp_path / "rows.parquet")
    with open_source(tmp_path / "rows.parquet") as source:
        assert rows_per_chunk(source, 10**9) == 256
        assert rows_per_chunk(source, 8 * 24_000 * 100) == 100
