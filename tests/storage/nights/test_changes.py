"""Differences between two revisions of a night."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from storage.nights import changes
from storage.nights.changes import Changes, compare_scores
from storage.nights.scores import SCORES, ScoreWriter, iter_scores, part_name


def scores(
    folder: Path,
    errors: dict[int, float] | np.ndarray,
    *,
    ids: list[str] | None = None,
    parts: int = 1,
) -> Path:
    """Write a scores folder in `parts` files; `errors` by row number."""
    folder.mkdir()
    known = dict(enumerate(errors)) if isinstance(errors, np.ndarray) else errors
    rows, values = np.array(list(known)), np.array(list(known.values()))
    for index, part in enumerate(np.array_split(np.arange(len(rows)), parts)):
        with ScoreWriter(folder / part_name(index), text_ids=ids is not None) as writer:
            given = None if ids is None else np.array(ids, object)[part]
            part_errors = values[part]
            writer.append(rows[part], given, "a", dict.fromkeys(SCORES, part_errors), part_errors)
    return folder


def compare(
    old: Path, new: Path, was: set[str] = frozenset(), now: set[str] = frozenset()
) -> Changes:
    return compare_scores(old, new, since=1, old_flagged=set(was), new_flagged=set(now))


@pytest.mark.parametrize("parts", [1, 3, 7])
def test_new_removed_and_changed_rows_are_named_for_any_number_of_parts(tmp_path, parts):
    old = scores(tmp_path / "old", {0: 0.1, 1: 0.2, 2: 0.3, 3: 0.4, 8: 0.5})
    new = scores(
        tmp_path / "new", {0: 0.1, 2: 0.9, 3: 0.4, 5: 0.6, 6: 0.6, 8: 0.5, 9: 0.1}, parts=parts
    )
    found = compare(old, new)
    assert (found.new_ids, found.gone_ids, found.changed_ids) == (("5", "6", "9"), ("1",), ("2",))
    assert (found.new, found.gone, found.changed) == (3, 1, 1)


def test_rows_with_ids_are_compared_by_id_in_any_order(tmp_path):
    old = scores(tmp_path / "old", np.array([0.1, 0.2, 0.3]), ids=["x", "y", "z"])
    new = scores(tmp_path / "new", np.array([0.3, 0.1, 0.5, 0.2]), ids=["z", "x", "w", "y"])
    found = compare(old, new)
    assert (found.new_ids, found.gone, found.changed) == (("w",), 0, 0)


@pytest.mark.parametrize("ids", [None, list("abcdef")])
def test_rows_are_changed_only_beyond_what_another_device_or_thread_count_explains(tmp_path, ids):
    before = np.array([1.0, 1.0, 1e-10, 1e6, np.inf, 1.0])
    after = np.array([1 + 9e-6, 1 + 2e-5, 9e-10, 1e6 + 9, np.inf, np.inf])
    old, new = scores(tmp_path / "old", before, ids=ids), scores(tmp_path / "new", after, ids=ids)
    found = compare(old, new)

    assert found.changed_ids == (("1", "5") if ids is None else ("b", "f"))
    assert (found.new, found.gone) == (0, 0)


def test_repeated_ids_are_compared_by_row(tmp_path):
    old = scores(tmp_path / "old", np.array([0.1, 0.2, 0.3]), ids=["x"] * 3)
    new = scores(tmp_path / "new", np.array([0.1, 0.2, 0.4]), ids=["x"] * 3)
    assert compare(old, new).changed_ids == ("2",)


def test_all_changes_are_counted_and_the_first_twenty_are_named(tmp_path):
    old, new = scores(tmp_path / "old", np.zeros(70_000)), scores(tmp_path / "new", np.ones(70_000))
    found = compare(old, new)
    assert (found.changed, found.changed_ids) == (70_000, tuple(map(str, range(20))))


def test_every_row_is_new_compared_with_a_night_without_rows(tmp_path):
    found = compare(scores(tmp_path / "old", np.empty(0)), scores(tmp_path / "new", np.ones(3)))
    assert (found.new, found.gone) == (3, 0)


def test_newly_and_no_longer_flagged_rows_are_named_in_the_sentence(tmp_path):
    old, new = scores(tmp_path / "old", np.ones(3)), scores(tmp_path / "new", np.ones(3))
    words = compare(old, new, {"0", "1"}, {"1", "2"}).to_text()
    assert words == (
        "Compared with revision 1: all scores agree within 1e-05; newly flagged: 2; "
        "no longer flagged: 0"
    )


def test_memory_does_not_grow_with_the_number_of_rows(tmp_path, monkeypatch):
    """Arrow's allocations are measured each time another batch is read."""
    held: list[int] = []

    def measured(folder: Path):
        for batch in iter_scores(folder):
            held.append(pa.total_allocated_bytes())
            yield batch

    monkeypatch.setattr(changes, "iter_scores", measured)
    peaks = []
    for n in (200_000, 1_000_000):
        errors = np.random.default_rng(0).random(n)
        old = scores(tmp_path / f"old{n}", errors)
        new = scores(tmp_path / f"new{n}", errors + (np.arange(n) == 7))
        held.clear()
        assert compare(old, new).changed_ids == ("7",)
        peaks.append(max(held))
    assert peaks[1] < 2 * peaks[0], peaks
