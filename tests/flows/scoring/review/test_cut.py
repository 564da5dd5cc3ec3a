"""What helps to judge the cut of a night."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from aemodel.decisions.ranking import Tally
from flows.scoring.review.cut import P_BINS, p_value_counts
from flows.scoring.shards.summary import _hashes


def test_clean_rows_fill_the_bins_of_p_values_alike():
    random = np.random.default_rng(0)
    calibration = np.sort(random.normal(size=37))
    counts = p_value_counts(Tally.of(calibration, random.normal(size=200_000)))
    one_by_one = np.sort(random.permutation(calibration))

    assert counts.shape == (P_BINS,)
    assert counts.sum() == pytest.approx(200_000)
    assert p_value_counts(Tally.of(one_by_one, one_by_one + 1e-9)).std() < 0.5


def test_rows_are_drawn_evenly_over_a_night():
    drawn = np.sort(np.argsort(_hashes(np.arange(100_000)))[-1_000:])

    assert abs(drawn.mean() - 50_000) < 4_000
    assert np.diff(drawn).max() < 2_000


def test_a_report_shows_rows_near_the_cut_and_ordinary_ones_that_are_not_flagged(bench):
    bench.night(outliers=30)
    folder = Path(bench.score().facts["path"])
    page = (folder / "report.html").read_text()
    summary = json.loads((folder / "summary.json").read_text())
    below, ordinary = page.split("Right below the cut")[1].split("Ordinary rows, drawn at random")
    flagged = set(summary["flagged_ids"])
    near, drawn = (re.findall(r'class="mark">row (\d+)', each) for each in (below, ordinary))

    assert (len(near), len(drawn)) == (10, 10)
    assert not flagged & {*near, *drawn}
    assert not {*near} & {*drawn}
