"""A small job, trained once, and servers that it is deployed on."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from bench import JOB, Bench, rows_of
from postgres import BIN, Postgres
from station import Station, deployed


@pytest.fixture(scope="session")
def trained_folder(tmp_path_factory) -> Path:
    """A folder with a job whose model has been trained."""
    folder = tmp_path_factory.mktemp("job")
    (folder / "small.toml").write_text(JOB)
    np.save(folder / "clean.npy", rows_of(1500, 0))
    result = Bench(folder).run("train", folder / "small.toml")
    assert result.code == 0, result.err
    return folder


@pytest.fixture
def bench(trained_folder, tmp_path) -> Bench:
    """A copy of the trained job, to do anything to."""
    shutil.copytree(trained_folder, tmp_path / "job", copy_function=shutil.copy2)
    return Bench(tmp_path / "job")


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL server of our own."""
    if not BIN:
        pytest.skip("no PostgreSQL here; apt-get install postgresql")
    found = Postgres()
    found.start()
    yield found
    found.remove()


@pytest.fixture(scope="session")
def on_postgres(postgres, trained_folder, tmp_path_factory):
    """A station whose server keeps its records in PostgreSQL."""
    with deployed(
        trained_folder, Station(tmp_path_factory.mktemp("on-postgres"), postgres.url)
    ) as found:
        yield found
