"""Rows in many small files or row groups cost no more passes through the network than in one."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bench import DAY, JOB, Bench, rows_of

from aemodel.model import Autoencoder
from flows.engine.shard_tasks import join_chunks, merge_chunks
from storage.nights.scores import iter_scores
from storage.sources import Chunk


def table_of(rows):
    return pa.table({f"c{index}": rows[:, index] for index in range(rows.shape[1])})


@pytest.fixture
def tables(tmp_path):
    """A trained job on folders of Parquet files."""
    bench = Bench(tmp_path)
    bench.job.write_text(JOB.replace(".npy", "").replace("epochs = 15", "epochs = 3"))
    (tmp_path / "clean").mkdir()
    pq.write_table(table_of(rows_of(600, 1)), tmp_path / "clean/a.parquet", row_group_size=100)
    bench.run("train", bench.job)
    return bench


def chunk_of(start, n):
    return Chunk(start, np.full((n, 2), start), None, "a")


def test_consecutive_chunks_are_joined_up_to_a_limit():
    sizes = [3, 3, 3, 10, 1, 8, 12]
    starts = np.cumsum([0, *sizes[:-1]]).tolist()
    groups = list(join_chunks(map(chunk_of, starts, sizes), 10))

    assert [[len(chunk.rows) for chunk in group] for group in groups] == [
        [3, 3, 3],
        [10],
        [1, 8],
        [12],
    ]
    merged = merge_chunks(groups[0])
    assert (merged.start, merged.rows[:, 0].tolist()) == (0, [0, 0, 0, 3, 3, 3, 6, 6, 6])


def test_rows_in_many_files_are_scored_in_one_pass_as_in_one_file(tables, monkeypatch):
    calls = []
    whole = Autoencoder.scale_and_score

    def counted(self, rows, wanted):
        calls.append(len(rows))
        return whole(self, rows, wanted)

    monkeypatch.setattr(Autoencoder, "scale_and_score", counted)
    rows, found = rows_of(200, 5), {}
    for count in (40, 1):
        folder = tables.folder / f"nights/{DAY}"
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("*"):
            old.unlink()
        for index, part in enumerate(np.array_split(rows, count)):
            pq.write_table(table_of(part), folder / f"{index:02}.parquet")
        assert tables.score("--force").code == 0
        scores = tables.workspace / f"scores/small/date={DAY}"
        found[count] = pa.Table.from_batches(iter_scores(scores, ["row", "error", "p_value"]))

    assert found[40].equals(found[1])
    assert calls.count(200) == 2


def test_many_files_are_encoded_in_one_pass_as_one_file(tables, monkeypatch):
    calls = []
    whole = Autoencoder.encode_and_errors
    monkeypatch.setattr(
        Autoencoder,
        "encode_and_errors",
        lambda self, rows: calls.append(len(rows)) or whole(self, rows),
    )
    rows, stores = rows_of(200, 5), []
    for count in (40, 1):
        folder = tables.folder / f"rows{count}"
        folder.mkdir()
        for index, part in enumerate(np.array_split(rows, count)):
            pq.write_table(table_of(part), folder / f"{index:02}.parquet")
        out = tables.folder / f"store{count}"
        encoded = tables.run("encode", tables.job, "--source", folder, "--out", out)
        assert encoded.code == 0
        stores.append((out / "shard-00000.h5").read_bytes())

    assert stores[0] == stores[1]
    assert calls[: len(calls) // 2] == calls[len(calls) // 2 :]
