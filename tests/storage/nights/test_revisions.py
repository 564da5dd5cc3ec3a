"""Publishing a night: no line is lost between two processes, no kill mixes two revisions."""

from __future__ import annotations

import json
import threading
from dataclasses import fields

import pytest

from storage.errors import LockedError
from storage.files.atomic import write_json
from storage.files.locks import lock
from storage.nights import revisions
from storage.nights.index import year_lists
from storage.nights.revisions import NightPlace, list_night
from storage.nights.summary import NightSummary


def summary_of(day: str, revision: int) -> dict[str, object]:
    figures = dict.fromkeys((field.name for field in fields(NightSummary)), 0)
    return {**figures, "date": day, "revision": revision, "verdict": "OK"}


def place_of(root, day: int) -> NightPlace:
    place = NightPlace(root, "small", f"2026-11-{day:02d}")
    write_json(place.report(1) / "summary.json", summary_of(place.date, 1))
    return place


def listed(root) -> set[str]:
    lines = (root / "reports/small/nights-2026.jsonl").read_text().splitlines()
    return {json.loads(line)["date"] for line in lines}


def test_two_dates_published_side_by_side_are_both_listed(tmp_path, monkeypatch):
    first, second = place_of(tmp_path, 1), place_of(tmp_path, 2)
    other = threading.Thread(target=list_night, args=(second, 1))
    write = year_lists.write_bytes

    def write_late(path, content):
        if path.suffix == ".jsonl" and not other.ident:
            other.start()  # between this one's read and its write
            other.join(timeout=0.5)
        write(path, content)

    monkeypatch.setattr(year_lists, "write_bytes", write_late)
    list_night(first, 1)
    other.join()

    assert listed(tmp_path) == {first.date, second.date}


def test_the_list_of_nights_has_one_lock_whatever_the_date(tmp_path, monkeypatch):
    monkeypatch.setattr(revisions, "CHANGE_SECONDS", 0)
    held, other = place_of(tmp_path, 1), place_of(tmp_path, 2)

    with (
        lock(held.nights_lock),
        pytest.raises(LockedError, match=r"small-nights: process .* is using it"),
    ):
        list_night(other, 1)
