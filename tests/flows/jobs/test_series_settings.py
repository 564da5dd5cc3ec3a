"""[series] of a job file: parsed values, and errors that name the key."""

from __future__ import annotations

import math

import pytest
from series_nights import SERIES_JOB

from flows.errors import UsageError
from flows.jobs.job_file import read_job


@pytest.fixture
def read(tmp_path):
    def read(*overrides, text=SERIES_JOB):
        path = tmp_path / "job.toml"
        path.write_text(text, encoding="utf-8")
        return read_job(path, overrides)

    return read


def test_every_key_holds_its_parsed_value(read):
    keys = ("stride=2", "baseline=warmup 400", "resample=1 min")
    series = read(*(f"series.{key}" for key in keys)).series

    assert (series.time, series.entity, series.window, series.stride) == ("at", "pump", 32, 2)
    assert (series.baseline.kind, series.baseline.rows) == ("warmup", 400)
    assert (series.gap, series.resample) == (3_600.0, 60.0)


def test_what_is_not_named_has_its_default(read):
    series = read(text='name = "j"\n[data]\nclean = "c.npy"\n[series]\n').series

    assert (series.time, series.entity, series.window, series.stride) == ("", "", 0, 0)
    assert (str(series.baseline), series.gap, series.resample) == ("entity", math.inf, 0.0)


@pytest.mark.parametrize("gap", ["90", "90.0", "1.5 min"])
def test_a_pause_is_a_duration_or_a_number_in_the_unit_of_the_time(read, gap):
    assert read(f"series.gap={gap}").series.gap == 90.0


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("series.window=12", "series.window must be 'auto' or a multiple of 8 from 16 to 4096"),
        ("series.window=100", "Got 100 instead; the nearest is 96"),
        ("series.window=soon", "series.window: a window must be 'auto' or a number of rows"),
        ("series.window=0", "a window must be 'auto' or a number of rows. Got '0'"),
        ("series.stride=3", "series.stride must divide an eighth of the window, 4 rows. Got 3"),
        ("series.baseline=week", "series.baseline must be 'none', 'entity', or 'warmup N'"),
        ("series.baseline=warmup", "with a number of rows. Got 'warmup' instead"),
        (
            "series.baseline=warmup 63",
            "a warm-up of at least two windows, 64 rows",
        ),
        ("series.gap=0", "series.gap must be longer than 0"),
        ("series.gap=5 moons", "series.gap: "),
        ("series.gap=nan", "series.gap must be longer than 0"),
        ("series.resample=-1", "series.resample must be at least 0"),
        ("series.resample=inf", "series.resample must be at least 0"),
        ("series.time=pump", "series.time and series.entity must be two columns"),
        ("series.windows=32", "'series.windows' is not a known key; did you mean 'series.window'"),
        ("series=32", "'series' must be a section"),
        ("score.rule=fdr 0.1", "whose points are not independent. Got 'fdr'"),
        ("score.rule=events 1/7w", "score.rule must look like 'events 1/7d'"),
        ("data.columns=['heat', 'at']", "data.columns must not name the columns of .series.*'at'"),
        ("data.ignore=['pump']", "data.ignore must not name the columns of .series.*'pump'"),
        ("data.entity=pump", "set series.entity and series.time, and remove them"),
        ("data.categories=['kind']", "have no effect with .series."),
        ("data.times=['at']", "have no effect with .series."),
        ("train.split=blocks", "train.split and train.blocks have no effect with .series."),
        ("score.by=novelty", "score.by and score.also have no effect with .series."),
        (r'score.also=["novelty"]', "score.by and score.also have no effect with .series."),
    ],
)
def test_a_wrong_value_is_refused_by_its_key(read, override, message):
    with pytest.raises(UsageError, match=message):
        read(override)


def test_a_stride_needs_a_window(read):
    with pytest.raises(UsageError, match=r"series.stride needs a number for series.window"):
        read("series.window=auto", "series.stride=4")


def test_rules_of_events_need_the_section(read):
    text = SERIES_JOB.replace("[series]", "[alert]").split("[model]")[0].split("[alert]")[0]
    with pytest.raises(UsageError, match=r"score.rule 'events' needs a section .series."):
        read("score.rule=events 1/7d", text=text)


def test_whole_files_can_be_entities(read):
    assert read("series.entity=file").series.columns == ("at",)
