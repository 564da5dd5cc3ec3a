"""The first screen of a night that was read in part names the rows that were not read."""

from __future__ import annotations

from night_pages import night_of

from storage.pages.nights.first_screen import warnings
from storage.pages.nights.unread import unread_words

FULL = "disk gone"


def test_shards_that_follow_each_other_are_one_range_of_rows():
    failed = [
        ("shard 2, rows 2,000 to 3,000", FULL),
        ("shard 3, rows 3,000 to 4,000", FULL),
        ("shard 5, rows 5,000 to 6,000", FULL),
        ("shard 6, rows 6,000 to 7,000", "timeout"),
    ]

    assert unread_words(failed) == (
        "rows 2,000 to 4,000 (disk gone); rows 5,000 to 6,000 (disk gone); "
        "rows 6,000 to 7,000 (timeout)"
    )


def test_files_are_named_and_rows_that_could_not_be_judged_come_with_their_place():
    failed = [
        ("shard 0, rows 0 to 300", "1 row could not be judged: a.npy: row 17 contains NaN"),
        ("file b.parquet", "night/b.parquet: not a Parquet file (magic bytes not found in …)"),
    ]

    assert unread_words(failed) == (
        "rows 0 to 300 (1 row could not be judged: a.npy: row 17 contains NaN); "
        "file b.parquet (not a Parquet file)"
    )


def test_only_the_first_parts_are_named_and_long_reasons_are_cut():
    words = unread_words([(f"file {each}", "x" * 500) for each in range(5)])

    assert words.endswith("; and 2 more")
    assert len(words) < 500


def test_the_warning_of_a_partial_night_names_them():
    night = night_of(verdict="PARTIAL 1 of 2", failed=[("shard 1, rows 50 to 90", FULL)])

    assert ("Incomplete", "Not read: rows 50 to 90 (disk gone). The flags are provisional.") in (
        warnings(night)
    )
