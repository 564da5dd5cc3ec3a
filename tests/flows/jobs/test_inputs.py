"""The input of a night."""

from __future__ import annotations

from datetime import date

import pytest

from flows.jobs.inputs import require_ready
from flows.jobs.sections.data import DataSettings
from flows.jobs.settings import Job
from storage.errors import NoDataError


def test_a_night_without_input_says_what_to_change(tmp_path):
    data = DataSettings(clean="clean.npy", incoming="nights/{date}.npy")
    job = Job(name="small", data=data, folder=tmp_path)
    advice = r"2026-11-22\.npy: no files found; .*; if the rows are elsewhere, set data\.incoming"

    with pytest.raises(NoDataError, match=advice):
        require_ready(job, date(2026, 11, 22))


def test_names_that_begin_like_a_missing_input_are_told(tmp_path):
    data = DataSettings(clean="clean.npy", incoming="nights/{date}")
    job = Job(name="small", data=data, folder=tmp_path)
    (tmp_path / "nights").mkdir()
    for name in ("2026-11-21.csv", "2026-11-22.csv", "2026-11-22.done"):
        (tmp_path / "nights" / name).touch()

    with pytest.raises(NoDataError, match=r"; beside it: 2026-11-22\.csv, 2026-11-22\.done; if"):
        require_ready(job, date(2026, 11, 22))
