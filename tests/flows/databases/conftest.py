"""The three databases, filled with sales, and jobs trained on them."""

from __future__ import annotations

import shutil

import pytest
from bench import Bench
from databases import VARIABLE, InDuckDB, InPostgres, InSqlite, on_files, on_queries

POSTGRES = pytest.param("postgres", marks=pytest.mark.postgres)


@pytest.fixture(params=["sqlite", "duckdb", POSTGRES])
def sales(request, tmp_path, monkeypatch):
    """A database with the table `sales`; its URI is in the environment."""
    if request.param == "postgres":
        server = request.getfixturevalue("postgres")
        found = InPostgres(server.url.replace("+asyncpg", ""))
    else:
        kind = {"sqlite": InSqlite, "duckdb": InDuckDB}[request.param]
        found = kind(f"{request.param}:///{tmp_path}/sales.db")
    found.fill()
    monkeypatch.setenv(VARIABLE, found.uri)
    return found


@pytest.fixture(scope="session")
def trained_files(tmp_path_factory):
    """A job trained on Parquet files with the same rows."""
    bench = on_files(tmp_path_factory.mktemp("files") / "job")
    trained = bench.run("train", bench.job)
    assert trained.code == 0, trained.err
    return bench


@pytest.fixture
def on_local_files(trained_files, tmp_path) -> Bench:
    """A copy of the job on files."""
    folder = tmp_path / "files"
    shutil.copytree(trained_files.folder, folder, copy_function=shutil.copy2)
    return Bench(folder)


@pytest.fixture
def bench(sales, trained_files, tmp_path) -> Bench:
    """A job on queries, with the model that was trained on the same rows in files."""
    bench = on_queries(tmp_path / "job")
    shutil.copytree(trained_files.workspace / "models", bench.workspace / "models")
    return bench
