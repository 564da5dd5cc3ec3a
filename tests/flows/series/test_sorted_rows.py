"""Sorted rows in the workspace: what is kept, and what is deleted."""

from __future__ import annotations

import os
import shutil
from datetime import date, timedelta

from bench import DAY
from series_nights import clean_table, night_table, trained_series, write_night

from flows.jobs.job_file import read_job
from flows.jobs.series.inputs import sort_space
from flows.operations.prune import prune
from storage.sources.series.snapshot import FOLDERS

DAYS = ("2026-11-21", DAY, "2026-11-23", "2026-11-24")


def snapshots(bench, name="nights") -> list[str]:
    folder = sort_space(read_job(bench.job), name).folder
    return (
        sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.exists() else []
    )


def test_a_training_leaves_no_sorted_rows(series):
    assert snapshots(series, "clean") == []


def test_the_newest_two_nights_stay_sorted(series):
    found = []
    for day in DAYS:
        write_night(series, night_table(day), day)
        assert series.score(day=day).code == 0
        found.append(snapshots(series))

    assert [len(each) for each in found] == [1, 2, 2, 2]
    assert set(found[3]) - set(found[2]), "the last night is one of them"


def test_what_a_killed_sort_left_is_deleted_by_the_next(series):
    folder = sort_space(read_job(series.job), "nights").folder
    (folder / ".series-0123456789ab.tmp").mkdir(parents=True)
    assert series.score().code == 0

    assert not [*folder.glob("*.tmp")]


def test_prune_deletes_sorted_rows_of_long_ago(series):
    series.score()
    folder = sort_space(read_job(series.job), "nights").folder
    [old, _] = sorted(folder.glob(FOLDERS))
    os.utime(old, (0, 0))
    done = prune(series.job, yes=True, today=date.today() + timedelta(days=1))

    assert [each["path"] for each in done.facts["folders"]] == [str(old)]
    assert not old.exists()


def test_a_sort_needs_room_for_the_rows_twice(series, monkeypatch):
    usage = shutil.disk_usage("/")
    free = 200_000_000 + 2 * 576 * (24 + 48) - 1
    monkeypatch.setattr(
        "flows.engine.disk_space.shutil.disk_usage", lambda _: usage._replace(free=free)
    )
    result = series.score()

    assert result.code == 2
    assert "this run may need 200" in result.err


def test_rows_in_series_order_are_not_copied(tmp_path):
    table = clean_table().sort_by([("pump", "ascending"), ("at", "ascending")])
    bench = trained_series(tmp_path, clean=table)
    write_night(bench, night_table().sort_by([("pump", "ascending"), ("at", "ascending")]))

    assert bench.score().code == 0
    assert snapshots(bench) == []
