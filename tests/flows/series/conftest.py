"""A job whose rows are series, trained once, with one night and the one before it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from bench import Bench
from series_nights import night_table, trained_series, write_night


@pytest.fixture(scope="session")
def series_folder(tmp_path_factory) -> Path:
    """A folder with a trained job, a night with 30 planted rows, and the night before."""
    bench = trained_series(tmp_path_factory.mktemp("series"))
    write_night(bench, night_table("2026-11-21"), "2026-11-21")
    write_night(bench, night_table(planted=slice(100, 130)))
    return bench.folder


@pytest.fixture
def series(series_folder, tmp_path) -> Bench:
    """A copy of the trained job, to do anything to."""
    shutil.copytree(series_folder, tmp_path / "job", copy_function=shutil.copy2)
    return Bench(tmp_path / "job")
