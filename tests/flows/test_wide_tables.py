"""Tables with many more columns than rows: every step ends, and its texts stay short."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from bench import DAY, Bench
from sklearn.metrics import roc_auc_score

from flows.operations.inspect import inspect_path

D = 2_500


def clean_rows(n, seed):
    random, factors = np.random.default_rng(seed), np.random.default_rng(9).normal(size=(6, D))
    return 5 + 0.5 * random.normal(size=(n, 6)) @ factors + random.normal(size=(n, D))


def shifted_rows(n, seed):
    rows, random = clean_rows(n, seed), np.random.default_rng(seed)
    for row in rows:
        row[random.permutation(D)[:50]] += 3
    return rows


def write(path, rows):
    path.parent.mkdir(exist_ok=True)
    table = pa.table(list(rows.T.copy()), [f"c{index}" for index in range(D)])
    (pa_csv.write_csv if path.suffix == ".csv" else pq.write_table)(table, path)
    return path


@pytest.fixture(params=["parquet", "csv"])
def scored(request, tmp_path):
    """A job as init writes it, trained, and a night of 60 clean and 30 shifted rows."""
    clean = write(tmp_path / f"clean.{request.param}", clean_rows(200, 1))
    bench = Bench(tmp_path)
    bench.job.write_text(
        bench.run("init", clean).facts["job"].replace('"nights/', f'"{tmp_path}/nights/')
    )
    write(
        tmp_path / f"nights/{DAY}.{request.param}",
        np.concatenate([clean_rows(60, 2), shifted_rows(30, 3)]),
    )
    for result in (bench.run("train", bench.job, "--no-prefect"), bench.score("--no-prefect")):
        assert result.code == 0, result.err
    return tmp_path / "workspace"


@pytest.mark.slow
def test_shifted_columns_are_found_by_a_small_model_with_short_reports(scored):
    part = next((scored / "scores/clean").rglob("part-*.parquet"))
    errors = pq.read_table(part)["error"].to_numpy()
    folder = next((scored / "models/clean").glob("*/model.safetensors")).parent

    assert roc_auc_score(np.arange(90) >= 60, errors) > 0.9
    assert (folder / "model.safetensors").stat().st_size < 10 * 200 * D  # below the clean rows
    assert (folder / "training.html").stat().st_size < 200_000
    assert next((scored / "reports/clean").rglob("report.html")).stat().st_size < 1_000_000


def test_inspect_lists_the_first_columns_and_counts_the_others(tmp_path):
    path = write(tmp_path / "clean.parquet", clean_rows(3, 1))

    assert "c98, c99 and 2,400 more" in inspect_path(path).text
