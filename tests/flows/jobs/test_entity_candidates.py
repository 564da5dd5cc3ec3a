"""The comment of `init` on categories that may name entities."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.jobs.entity_candidates import entity_candidates
from flows.jobs.propose import propose_job
from storage.sources import CATEGORY, NUMBER, Feature

COLUMNS = [Feature("machine", CATEGORY), Feature("heat", NUMBER), Feature("load", NUMBER)]


def rows_of(levels: int, apart: float, n: int = 2_000) -> np.ndarray:
    """Rows of levels whose means have the standard deviation `apart`, beside noise of 1."""
    random = np.random.default_rng(0)
    which = random.integers(0, levels, n)
    means = random.normal(0, apart, (levels, 2))
    return np.column_stack([which, means[which] + random.normal(size=(n, 2))])


@pytest.mark.parametrize(
    ("levels", "apart", "found"),
    [(50, 3.0, True), (50, 0.5, False), (50, 0.0, False), (3, 9.0, False), (1_500, 9.0, False)],
)
def test_a_category_is_one_if_numbers_differ_more_between_its_levels_than_within(
    levels, apart, found
):
    expected = ("machine",) if found else ()

    assert entity_candidates(rows_of(levels, apart), COLUMNS) == expected


def test_gaps_and_a_constant_number_do_no_harm():
    rows = rows_of(50, 3.0)
    rows[::3, 1], rows[:, 2] = np.nan, 4.0
    rows[::10, 0] = np.nan

    assert entity_candidates(rows, COLUMNS) == ()


def test_init_names_it_in_a_comment_and_sets_nothing(tmp_path):
    rows = rows_of(20, 5.0)
    table = {"machine": [f"M{int(each)}" for each in rows[:, 0]], "heat": rows[:, 1]}
    pq.write_table(pa.table(table), tmp_path / "clean.parquet")
    text = propose_job(str(tmp_path / "clean.parquet"), field="").text

    assert "data.entity" in text.replace("\n# ", " ")
    assert "\nentity" not in text
