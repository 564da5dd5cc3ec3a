"""init says if the clean rows look contaminated."""

from __future__ import annotations

import tomllib

import numpy as np
import pytest

from flows.jobs.proposal.propose import propose_job


def proposed(folder, rows):
    np.save(folder / "rows.npy", rows)
    return propose_job(str(folder / "rows.npy"), field="").text


def test_a_group_that_stands_apart_is_reported_with_what_to_do(tmp_path):
    random = np.random.default_rng(0)
    rows = random.normal(size=(3000, 5))
    rows[::100] = [3, -3, 3, -3, 3] + 0.01 * random.normal(size=(30, 5))
    text = proposed(tmp_path, rows)

    assert "% of the rows sampled stand apart" in text
    assert "trim = 0.0" in text
    assert "--in-sample" in text
    assert "trim" not in tomllib.loads(text)["train"]


@pytest.mark.parametrize("kind", ["normal", "heavy", "counts", "constant column", "few"])
def test_clean_rows_are_not_suspected(tmp_path, kind):
    random = np.random.default_rng(3)
    rows = random.normal(size=(2000, 4))
    rows = {
        "normal": rows,
        "heavy": random.standard_t(3, size=(2000, 4)),
        "counts": random.poisson(1, size=(2000, 4)).astype(float),
        "constant column": rows * [1, 1, 0, 1],
        "few": rows[:20],
    }[kind]

    assert "stand apart" not in proposed(tmp_path, rows)
