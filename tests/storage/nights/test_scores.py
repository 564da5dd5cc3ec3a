"""Scores of a night: bytes independent of chunks, exact round trip, and rows above the cut."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import polars
import pyarrow.parquet as pq
import pytest

from storage.errors import DamagedError
from storage.nights.scores import (
    SCORES,
    ScoreWriter,
    iter_scores,
    part_name,
    pick_scores,
    score_quantiles,
)

FILES = (("a.npy", 60_000), ("b.npy", 150_000), ("c.npy", 3))


def write_part(path: Path, errors: np.ndarray, *, chunk: int, files=None, ids=None) -> Path:
    """Write scores in chunks of `chunk` rows; no chunk crosses a file border."""
    start = 0
    with ScoreWriter(path, text_ids=ids is not None and ids.dtype == object) as writer:
        for name, n in files or (("a.npy", len(errors)),):
            for first in range(start, start + n, chunk):
                part = slice(first, min(first + chunk, start + n))
                given = None if ids is None else ids[part]
                writer.append(
                    np.arange(part.start, part.stop),
                    given,
                    name,
                    dict.fromkeys(SCORES, errors[part]),
                    np.full(part.stop - part.start, 0.5),
                )
            start += n
    return path


@pytest.mark.parametrize("chunk", [4_096, 65_536, 65_537, 1_000_000])
def test_the_bytes_do_not_depend_on_chunk_size(tmp_path, random, chunk):
    errors = random.random(sum(n for _, n in FILES))
    once = write_part(tmp_path / "once.parquet", errors, chunk=10_000, files=FILES)
    other = write_part(tmp_path / "other.parquet", errors, chunk=chunk, files=FILES)
    assert once.read_bytes() == other.read_bytes()


def test_scores_are_read_back_bit_for_bit(tmp_path):
    errors = np.array([0.0, -0.0, np.inf, 5e-324, 0.1])
    write_part(tmp_path / part_name(0), errors, chunk=2)
    found = np.concatenate([batch.column("error").to_numpy() for batch in iter_scores(tmp_path)])
    assert found.tobytes() == errors.tobytes()


def test_a_part_without_rows_can_be_read(tmp_path):
    write_part(tmp_path / part_name(0), np.empty(0), chunk=10)
    assert sum(batch.num_rows for batch in iter_scores(tmp_path)) == 0


def test_rows_without_an_id_get_their_row_number_and_text_ids_stay_text(tmp_path, random):
    write_part(tmp_path / "numbers.parquet", random.random(3), chunk=2)
    write_part(
        tmp_path / "texts.parquet", random.random(3), chunk=2, ids=np.array(["a", "ß", ""], object)
    )
    assert pq.read_table(tmp_path / "numbers.parquet").column("id").to_pylist() == [0, 1, 2]
    assert pq.read_table(tmp_path / "texts.parquet").column("id").to_pylist() == ["a", "ß", ""]


def test_without_calibration_rows_p_values_are_null(tmp_path):
    with ScoreWriter(tmp_path / part_name(0), text_ids=False) as writer:
        writer.append(np.arange(2), None, "a.npy", dict.fromkeys(SCORES, np.ones(2)), None)
    assert pq.read_table(tmp_path / part_name(0)).column("p_value").to_pylist() == [None, None]


def test_duckdb_and_polars_read_the_parts_as_one_table(tmp_path, random):
    errors = random.random(20)
    write_part(tmp_path / part_name(0), errors, chunk=7)
    best = f"select row from '{tmp_path}/part-*.parquet' order by error desc limit 1"
    assert duckdb.sql(best).fetchall() == [(int(errors.argmax()),)]
    assert polars.read_parquet(tmp_path / "part-*.parquet")["error"].to_list() == errors.tolist()


def test_ties_at_the_cut_are_flagged_up_to_its_row_and_ranked_by_row(tmp_path):
    errors = np.array([1.0, 3.0, 2.0, 2.0, 2.0, 0.5])
    write_part(tmp_path / part_name(0), errors, chunk=4)
    picked = pick_scores(tmp_path, np.arange(5), errors[:5], (2.0, 3))
    flagged = picked.filter(picked.column("flagged"))
    assert flagged.column("row").to_pylist() == [1, 2, 3]
    assert picked.column("row").to_pylist() == [1, 2, 3, 4, 0]


def test_listed_rows_that_are_not_flagged_follow_the_flagged_ones(tmp_path):
    write_part(tmp_path / part_name(0), np.array([1.0, 3.0, 2.0]), chunk=4)
    picked = pick_scores(tmp_path, np.array([2, 1]), np.array([2.0, 3.0]), (2.5, -1))
    assert picked.select(["row", "flagged"]).to_pylist() == [
        {"row": 1, "flagged": True},
        {"row": 2, "flagged": False},
    ]


def test_flagged_rows_that_are_not_listed_are_left_out(tmp_path, random):
    write_part(tmp_path / part_name(0), 1 + random.random(200_000), chunk=65_536)
    picked = pick_scores(tmp_path, np.array([7, 150_000]), np.ones(2), (0.5, -1))
    assert sorted(picked.column("row").to_pylist()) == [7, 150_000]
    assert picked.column("flagged").to_pylist() == [True, True]


def test_an_infinite_cut_flags_nothing(tmp_path, random):
    errors = random.random(9)
    write_part(tmp_path / part_name(0), errors, chunk=4)
    picked = pick_scores(tmp_path, np.arange(9), errors, (np.inf, -1))
    assert picked.column("flagged").to_pylist() == [False] * 9


def test_a_truncated_part_is_named(tmp_path, random):
    path = write_part(tmp_path / part_name(0), random.random(900), chunk=400)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(
        DamagedError, match=r"part-00000\.parquet: cannot be read .* rescore the date with --force"
    ):
        list(iter_scores(tmp_path))


def test_quantiles_of_scores_are_those_of_all_rows_together(tmp_path):
    scores = np.random.default_rng(0).lognormal(size=150_000)
    scores[:70_000] = 2.0
    for index, part in enumerate(np.split(scores, 3)):
        write_part(tmp_path / part_name(index), part, chunk=7_000)
    found = score_quantiles(tmp_path, "error", (0.5, 0.99, 1.0))
    exact = np.quantile(scores, [0.5, 0.99, 1.0], method="inverted_cdf")

    assert found == pytest.approx(exact, rel=2**-12)
    assert found[0] == 2.0


def test_quantiles_of_scores_may_be_zero_or_negative_but_not_infinite(tmp_path):
    scores = np.array([-3.0, -1.0, 0.0, np.inf])
    write_part(tmp_path / part_name(0), scores, chunk=2)

    assert score_quantiles(tmp_path, "error", (0.25, 0.5, 0.75, 1.0)) == (-3.0, -1.0, 0.0, None)


def test_a_night_without_scores_has_no_quantiles(tmp_path):
    with ScoreWriter(tmp_path / part_name(0), text_ids=False) as writer:
        writer.append(np.arange(3), None, "a.npy", {"error": np.ones(3)}, None)

    assert score_quantiles(tmp_path, "novelty", (0.5, 0.99)) == (None, None)
