"""Keys of [data] that would have no effect are refused and not ignored."""

from __future__ import annotations

import numpy as np
import pytest
from bench import JOB, Bench, rows_of, write_rows

from flows.errors import UsageError
from flows.jobs.job_file import read_job

CSV = '[data.csv]\ndelimiter = ";"\n'


def write_job(folder, text):
    (folder / "small.toml").write_text(text)
    return folder / "small.toml"


def test_a_connection_without_a_query_is_refused(tmp_path):
    job = write_job(tmp_path, JOB.replace("[model]", 'connection = "SHOP"\n[model]'))

    with pytest.raises(UsageError, match=r"data\.connection names the database of queries, but"):
        read_job(job)


def test_csv_settings_beside_queries_alone_are_refused(tmp_path):
    text = JOB.replace("clean.npy", "sql: SELECT a FROM t ORDER BY a")
    text = text.replace("nights/{date}.npy", "sql: SELECT a FROM t WHERE d = {date} ORDER BY a")
    text = text.replace("[model]", f'connection = "SHOP"\n{CSV}[model]')

    with pytest.raises(UsageError, match=r"data\.csv .* but all inputs are queries; remove it"):
        read_job(write_job(tmp_path, text))
    one_file = text.replace("sql: SELECT a FROM t ORDER BY a", "clean.csv")
    assert read_job(write_job(tmp_path, one_file)).data.csv.delimiter == ";"


@pytest.mark.parametrize(
    ("name", "found"), [("clean.parquet", "Parquet"), ("clean.npy", "an array")]
)
def test_csv_settings_beside_other_files_are_refused(tmp_path, name, found):
    if name.endswith(".npy"):
        np.save(tmp_path / name, rows_of(50, 0))
    else:
        write_rows(tmp_path / name, 50, 0)
    job = write_job(tmp_path, JOB.replace("clean.npy", name).replace("[model]", f"{CSV}[model]"))
    result = Bench(tmp_path).run("train", job)

    assert result.code == 2
    assert f"expected CSV files, since data.csv is set, got {found}; remove this key" in result.err
