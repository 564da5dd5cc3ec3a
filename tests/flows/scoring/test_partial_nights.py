"""A night of which something cannot be read: the rest is judged, and what is missing is listed."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from bench import DAY, rows_of

pytestmark = pytest.mark.slow


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

    assert (first.code, first.facts["verdict"], first.facts["rows"]) == (
        4,
        "PARTIAL 1 of 2 files",
        300,
    )
    [failed] = summary(bench)["failed_shards"]
    assert (failed["shard"], "b.parquet: " in failed["why"]) == ("file b.parquet", True)
    assert (summary(bench)["unscored"], summary(bench)["broken_files"]) == (0, 1)

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

    assert (found.code, found.facts["verdict"], found.facts["rows"]) == (
        4,
        "PARTIAL 1 of 2 files",
        300,
    )


def test_a_night_whose_files_are_all_broken_is_an_error(bench, tables):
    for name in ("a.parquet", "b.parquet"):
        (bench.folder / "nights" / DAY / name).write_bytes(b"PAR1 broken")
    found = bench.score()

    assert (found.code, "a.parquet: not a Parquet file" in found.err) == (1, True)


def test_training_on_a_broken_file_is_an_error(bench, tables):
    tables("a.parquet", 300)
    (bench.folder / "nights" / DAY / "b.parquet").write_bytes(b"PAR1 broken")
    found = bench.run("train", bench.job, "--set", f"data.clean=nights/{DAY}")

    assert (found.code, "b.parquet: not a Parquet file" in found.err) == (2, True)


def test_a_row_with_a_null_cell_is_listed_and_all_others_are_judged(bench, tables):
    tables("a.parquet", 300)
    path = bench.folder / "nights" / DAY / "a.parquet"
    whole = bench.score().facts
    table = pq.read_table(path)
    cells = table.column("c2").to_pylist()
    cells[17], cells[40] = None, float("inf")
    pq.write_table(table.set_column(2, "c2", pa.array(cells)), path)
    found = bench.score()

    assert (whole["verdict"].split()[0] in ("OK", "REVIEW"), whole["rows"]) == (True, 300)
    assert (found.code, found.facts["verdict"]) == (4, "PARTIAL 298 of 300 rows")
    [failed] = summary(bench, 2)["failed_shards"]
    assert failed["shard"] == "shard 0, rows 0 to 300"
    assert failed["why"].startswith(
        f"2 rows could not be judged: {DAY}/a.parquet: row 17, column c2"
    )
    assert "row 40, column c2: expected a number, got inf" in failed["why"]
    assert (summary(bench, 2)["unscored"], summary(bench, 2)["broken_files"]) == (2, 0)

    scores = pq.read_table(bench.workspace / f"scores/small/date={DAY}/part-00000.parquet")
    assert scores.column("row").to_pylist() == [row for row in range(300) if row not in (17, 40)]
    assert bench.score().facts["written"] is False


def test_the_others_are_scored_as_they_would_be_without_the_row_that_cannot_be_judged(bench):
    path = bench.night()
    rows = np.load(path)
    assert bench.score().code == 0
    before = bench.workspace / f"scores/small/date={DAY}/part-00000.parquet"
    errors = pq.read_table(before).column("error").to_numpy()
    rows[100, 3] = np.nan
    np.save(path, rows)
    assert bench.score().code == 4

    after = pq.read_table(before).column("error").to_numpy()
    np.testing.assert_allclose(after, np.delete(errors, 100), rtol=1e-6)


def test_a_cell_that_is_no_number_is_named_by_line_and_text_and_all_other_rows_are_judged(
    bench, tables
):
    tables("a.csv", 300)
    path = bench.folder / "nights" / DAY / "a.csv"
    lines = path.read_text().splitlines()
    lines[151] = "?" + lines[151][lines[151].index(",") :]
    path.write_text("\n".join(lines) + "\n")
    found = bench.score()
    [failure] = summary(bench)["failed_shards"]

    assert found.facts["verdict"] == "PARTIAL 299 of 300 rows"
    assert "row 150 (line 152)" in failure["why"]
    assert "got '?'" in failure["why"]
    assert "got '?'" in found.err


def test_a_gap_among_integers_is_listed_and_the_other_rows_are_judged(bench, tables):
    counts = np.random.default_rng(0).poisson(9, (1500, 8))
    names = [f"c{index}" for index in range(8)]
    columns = [pa.array(column) for column in counts.T]
    pq.write_table(pa.table(columns, names=names), bench.folder / "clean.parquet")
    assert bench.run("train", bench.job, "--set", "train.epochs=2").code == 0
    columns[5] = pa.array([None, *counts[1:, 5].tolist()], pa.int64())
    pq.write_table(pa.table(columns, names=names), bench.folder / "nights" / DAY / "a.parquet")
    found = bench.score()

    assert found.facts["verdict"] == "PARTIAL 1,499 of 1,500 rows"
    assert "a.parquet: row 0: expected a number" in summary(bench)["failed_shards"][0]["why"]


def test_with_missing_values_imputed_only_an_infinity_cannot_be_judged(bench):
    rows = np.load(bench.night())
    rows[3, 2], rows[5, 1] = np.nan, -np.inf
    np.save(bench.folder / "nights" / f"{DAY}.npy", rows)
    found = bench.score("--set", "data.missing=impute")

    assert found.facts["verdict"] == "PARTIAL 299 of 300 rows"
    assert summary(bench)["missing"] == pytest.approx(1 / (299 * rows.shape[1]))


def test_a_shard_without_any_row_that_can_be_judged_fails(bench):
    rows = np.load(bench.night(n=50_000))
    rows[:16_000] = np.nan
    np.save(bench.folder / "nights" / f"{DAY}.npy", rows)
    found = bench.score()

    assert found.facts["verdict"] == "PARTIAL 3 of 4"
    assert (found.facts["rows"], summary(bench)["unscored"]) == (34_000, 16_000)
