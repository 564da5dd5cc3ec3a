"""A job on a Delta table whose days are nights."""

from __future__ import annotations

import pyarrow as pa
import pytest
from bench import DAY, JOB, Bench, rows_of, tree

deltalake = pytest.importorskip("deltalake")


def append(root, days, n):
    columns = {f"x{i}": column for i, column in enumerate(rows_of(n * len(days), len(days)).T)}
    table = pa.table({**columns, "dt": [day for day in days for _ in range(n)]})
    deltalake.write_deltalake(root, table, mode="append", partition_by=["dt"])


def test_days_of_a_delta_table_are_nights_and_deleted_rows_make_a_new_revision(tmp_path):
    text = JOB.replace("clean.npy", "clean").replace("nights/{date}.npy", "orders/dt={date}")
    (tmp_path / "small.toml").write_text(text.replace("epochs = 15", "epochs = 6"))
    append(tmp_path / "clean", [f"2026-11-{day:02}" for day in range(1, 13)], 50)
    append(tmp_path / "orders", [DAY], 120)
    append(tmp_path / "orders", ["2026-11-23", "2026-11-24"], 50)
    bench = Bench(tmp_path)
    trained = bench.run("train", bench.job)
    assert trained.code == 0, trained.err
    assert trained.facts["not_read"]["columns not read"].startswith("dt (a date in the path")

    first = bench.score()
    deltalake.DeltaTable(tmp_path / "orders").delete(f"dt = '{DAY}' and x0 > 1")
    again = bench.score()
    assert (first.facts["revision"], first.facts["rows"]) == (1, 120)
    assert again.facts["revision"] == 2
    assert again.facts["rows"] < 120
    assert bench.score(day="2026-11-25").facts["verdict"] == "NO DATA"


@pytest.mark.slow
def test_scores_of_a_table_in_a_bucket_are_those_of_the_same_table_on_disk(tmp_path, bucket):
    append(tmp_path / "lake/clean", [f"2026-11-{day:02}" for day in range(1, 13)], 50)
    append(tmp_path / "lake/orders", [DAY, "2026-11-23"], 120)
    deltalake.DeltaTable(tmp_path / "lake/orders").delete(f"dt = '{DAY}' and x0 > 1")
    scores = []
    for name, lake in (
        ("local", tmp_path / "lake"),
        ("s3", bucket.upload(tmp_path / "lake", "lake")),
    ):
        (tmp_path / name).mkdir()
        text = JOB.replace("clean.npy", f"{lake}/clean")
        text = text.replace("nights/{date}.npy", f"{lake}/orders/dt={{date}}")
        (tmp_path / name / "small.toml").write_text(text.replace("epochs = 15", "epochs = 6"))
        bench = Bench(tmp_path / name)
        assert [bench.run("train", bench.job).code, bench.score().code] == [0, 0]
        scores.append(tree(bench.workspace / "scores"))

    assert scores[0] == scores[1] != {}
