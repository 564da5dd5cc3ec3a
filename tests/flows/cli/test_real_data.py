"""The CLI on public data: one shoe among handwritten digits, and sensors of a water circuit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from bench import Bench

from storage.sources import open_source

pytestmark = pytest.mark.slow


def read(path):
    with open_source(path) as source:
        return np.concatenate([chunk.rows for chunk in source.chunks(max_rows=10_000)])


def test_one_shoe_among_ten_thousand_digits_ranks_first(real_data, tmp_path):
    digits = read(real_data / "mnist/t10k-images-idx3-ubyte.gz")
    items, labels = (
        read(real_data / f"fashion-mnist/t10k-{name}-ubyte.gz")
        for name in ("images-idx3", "labels-idx1")
    )
    shoe = items[np.flatnonzero(labels.ravel() == 9)[0]]
    np.save(tmp_path / "night.npy", np.insert(digits, 4_321, shoe, axis=0))
    bench = Bench(tmp_path)
    clean = real_data / "mnist/train-images-idx3-ubyte.gz"
    bench.job.write_text(
        f'name = "digits"\n[data]\nclean = "{clean}"\n[train]\nepochs = 10\n'
        '[score]\nrule = "top"\ntop_n = 10\n'
    )

    assert bench.run("train", bench.job).code == 0
    result = bench.score("--source", tmp_path / "night.npy")
    outliers = pq.read_table(Path(result.facts["path"]) / "outliers.parquet").to_pylist()

    assert (result.code, result.facts["rows"]) == (0, 10_001)
    assert outliers[0]["row"] == 4_321


def test_the_job_proposed_for_sensors_detects_faults(real_data, tmp_path, monkeypatch):
    """Train on anomaly-free SKAB data, score 16 files in which a valve closes."""
    from sklearn.metrics import roc_auc_score

    monkeypatch.chdir(tmp_path)
    bench = Bench(tmp_path)
    text = bench.run("init", real_data / "skab/anomaly-free/anomaly-free.csv").facts["job"]
    bench.job.write_text(text)
    assert "[series]" in text
    assert bench.run("train", bench.job).code == 0
    result = bench.score("--source", real_data / "skab/valve1")
    [part] = (tmp_path / "workspace/scores/anomaly-free").glob("date=*/part-*.parquet")
    scores = pq.read_table(part)
    faulty = np.concatenate(
        [read_column(path) for path in sorted((real_data / "skab/valve1").glob("*.csv"))]
    )

    assert (result.code, scores.num_rows) == (0, len(faulty))
    score = scores.column("score").fill_null(0).to_numpy()  # rows of short pieces have none
    rows = scores.column("row").to_numpy()  # in order of time, not of files
    assert roc_auc_score(faulty[rows], score) > 0.6
    assert "columns not read" in (Path(result.facts["path"]) / "report.html").read_text()


def read_column(path):
    with open_source(path, columns=["anomaly"]) as source:
        return np.concatenate([chunk.rows[:, 0] for chunk in source.chunks(max_rows=10_000)])
