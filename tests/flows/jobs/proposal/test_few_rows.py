"""The job that init proposes for a few rows can be trained, and its rule can be honored."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bench import Bench


def write_rows(folder, rows, *, mixed):
    random = np.random.default_rng(1)  # with seed 1, a tenth of 12 rows and of 30 is empty
    columns = dict(zip("abcd", random.normal(size=(rows, 4)).round(3).T, strict=True))
    if mixed:
        columns["city"] = random.choice(["x", "y", "z"], rows)
    pq.write_table(pa.table(columns), folder / "clean.parquet")
    return Bench(folder)


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("rows", [12, 20, 30, 39, 40, 50, 89, 100])
def test_the_proposed_job_trains_on_a_few_rows(tmp_path, monkeypatch, rows, mixed):
    monkeypatch.chdir(tmp_path)
    bench = write_rows(tmp_path, rows, mixed=mixed)
    bench.job.write_text(bench.run("init", "clean.parquet").facts["job"])
    trained = bench.run("train", bench.job, "--set", "train.epochs=1", "--set", "model.members=1")

    assert (trained.code, trained.facts["rows"]) == (0, rows), trained.err
    assert 'rule        = "top"' in bench.job.read_text()  # no guarantee from so few rows


@pytest.mark.parametrize("rows", [2, 11])
def test_init_says_that_so_few_rows_do_not_show_what_is_usual(tmp_path, monkeypatch, rows):
    monkeypatch.chdir(tmp_path)
    result = write_rows(tmp_path, rows, mixed=False).run("init", "clean.parquet")

    assert result.code == 0
    assert f"# {rows} rows do not show what is usual: collect at least 12" in result.facts["job"]
