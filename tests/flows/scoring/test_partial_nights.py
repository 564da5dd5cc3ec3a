"""A night of which something cannot be read: the rest is judged, and what is missing is listed."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from bench import DAY, rows_of


@pytest.fixture
def tables(bench):
    """A job on tables; `write(name, n)` adds a file with n rows to the night's folder."""
    folder = bench.folder / "nights" / DAY
    folder.mkdir(parents=True)
    text = bench.job.read_text().replace("clean.npy", "clean.parquet")
    bench.job.write_text(text.replace("{date}.npy", "{date}"))

    def table(n: int, seed: int) -> pa.Table:
        return pa.table({f"c{index}": column for index, column in enumerate(rows_of(n, seed).T)})

    def write(name: str, n: int) -> None:
        write_table = pa_csv.write_csv if name.endswith(".csv") else pq.write_table
        write_table(table(n, n), folder / name)

    pq.write_table(table(1500, 0), bench.folder / "clean.parquet")
    assert bench.run("train", bench.job, "--set", "train.epochs=2").code == 0
    return write


def summary(bench, revision: int = 1) -> dict:
    path = bench.workspace / f"reports/small/{DAY}/rev={revision}/summary.json"
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("content", [b"PAR1 broken", b""])
def test_one_broken_file_of_two_leaves_the_night_partial(bench, tables, content):
    tables("a.parquet", 300)
    broken = bench.folder / "nights" / DAY / "b.parquet"
    broken.write_bytes(content)
    first = bench.score()

    assert (first.code, first.facts["verdict"], first.facts["rows"]) == (4, "PARTIAL 1 of 2", 300)
    [failed] = summary(bench)["failed_shards"]
    assert (failed["shard"], "b.parquet: " in failed["why"]) == ("file b.parquet", True)

    again = bench.score()
    assert (again.code, again.facts["revision"], again.facts["written"]) == (4, 1, False)

    tables("b.parquet", 200)
    whole = bench.score()
    assert (whole.facts["revision"], whole.facts["rows"]) == (2, 500)
    assert whole.code == 0


def test_one_broken_csv_file_of_two_leaves_the_night_partial(bench, tables):
    tables("a.csv", 300)
    tables("b.csv", 300)
    path = bench.folder / "nights" / DAY / "b.csv"
    path.write_text(path.read_text() + "1,2,3\n")
    found = bench.score()

    assert (found.code, found.facts["verdict"], found.facts["rows"]) == (4, "PARTIAL 1 of 2", 300)


def test_a_night_whose_files_are_all_broken_is_an_error(bench, tables):
    for name in ("a.parquet", "b.parquet"):
        (bench.folder / "nights" / DAY / name).write_bytes(b"PAR1 broken")
    found = bench.score()

    assert (found.code, "a.parquet: not a Parquet file" in found.err) == (2, True)


def test_training_on_a_broken_file_is_an_error(bench, tables):
    tables("a.parquet", 300)
    (bench.folder / "nights" / DAY / "b.parquet").write_bytes(b"PAR1 broken")
    found = bench.run("train", bench.job, "--set", f"data.clean=nights/{DAY}")

    assert (found.code, "b.parquet: not a Parquet file" in found.err) == (2, True)
