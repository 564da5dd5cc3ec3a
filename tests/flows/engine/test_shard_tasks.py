"""Rows per chunk."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from flows.engine.shard_tasks import group_shards, read_shards, rows_per_chunk
from storage.sources import open_source, plan_shards


def test_a_chunk_holds_whole_batches_within_the_memory_budget(tmp_path):
    np.save(tmp_path / "rows.npy", np.zeros((5, 10), np.float32))  # 40 bytes a row
    with open_source(tmp_path / "rows.npy") as source:
        plenty, little = 10**9, 8 * 40 * 1000

        assert rows_per_chunk(source, plenty) == 200_000
        assert rows_per_chunk(source, plenty, batch=4096) == 48 * 4096
        assert rows_per_chunk(source, plenty, batch=250_000) == 250_000
        assert rows_per_chunk(source, little, batch=4096) == 1000


def test_a_chunk_of_a_wide_table_has_rows_enough_to_be_worth_its_columns(tmp_path):
    columns = {f"c{index}": np.zeros(2) for index in range(6_000)}  # 48,000 bytes a row
    pq.write_table(pa.table(columns), tmp_path / "rows.parquet")
    with open_source(tmp_path / "rows.parquet") as source:
        assert rows_per_chunk(source, 10**9) == 256
        assert rows_per_chunk(source, 8 * 48_000 * 100) == 100


def put_table(bucket, folder, group_rows):
    """Write 3,000 rows of 8 bytes to a local file and an object, in row groups."""
    path = folder / "rows.parquet"
    pq.write_table(pa.table({"x": np.arange(3_000.0)}), path, row_group_size=group_rows)
    return path, bucket.put(f"{folder.name}.parquet", path)


def test_shards_of_one_row_group_of_an_object_are_one_task(bucket, tmp_path):
    local, uri = put_table(bucket, tmp_path, 1_500)
    groups = []
    for path in (local, uri):
        with open_source(path) as source:
            shards = plan_shards(source, 8 * 100)
            groups.append([len(group) for group in group_shards(source, shards)])

    assert groups == [[3] * 10, [15, 15]]


def test_a_row_group_of_an_object_is_fetched_once_for_all_its_shards(bucket, tmp_path):
    _, uri = put_table(bucket, tmp_path, 3_000)
    with open_source(uri) as source, bucket.failing(lambda _: None) as requests:
        shards = plan_shards(source, 8 * 100)
        read = [
            (shard.start, np.concatenate([chunk.rows[:, 0] for chunk in chunks]))
            for shard, chunks in read_shards(source, [*shards[:7], *shards[8:]], 64)
        ]

    assert len(shards) == 30
    assert len([each for each in requests if each.startswith("GET")]) <= 6  # two passes
    assert all((rows == np.arange(start, start + 100)).all() for start, rows in read)
    assert len(read) == 29
