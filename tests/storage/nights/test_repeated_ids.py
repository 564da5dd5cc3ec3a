"""Ids that several rows have are counted, however many passes that takes."""

from __future__ import annotations

import numpy as np
import pytest

from storage.nights import repeated_ids
from storage.nights.repeated_ids import RepeatedIds, find_repeated_ids
from storage.nights.scores import SCORES, ScoreWriter, part_name


def write_ids(folder, ids):
    scores = dict.fromkeys(SCORES, np.zeros(len(ids)))
    with ScoreWriter(folder / part_name(0), text_ids=ids.dtype == object) as writer:
        writer.append(np.arange(len(ids)), ids, "a.npy", scores, None)


@pytest.mark.parametrize("fewest", [1, 7, 1000])
def test_all_rows_with_a_repeated_id_are_counted(tmp_path, monkeypatch, fewest):
    monkeypatch.setattr(repeated_ids, "FEWEST_IDS", fewest)
    write_ids(tmp_path, np.array(["x", *map(str, range(40)), "3", "3", "39"], object))

    found = find_repeated_ids(tmp_path, rows=44, memory=1)
    assert found == RepeatedIds(5, "3")


def test_distinct_whole_ids_do_not_repeat(tmp_path):
    write_ids(tmp_path, np.arange(-5, 50))

    assert find_repeated_ids(tmp_path, rows=55, memory=1) is None
