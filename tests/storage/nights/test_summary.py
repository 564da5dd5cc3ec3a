"""summary.json and the lines of the lists of nights."""

from __future__ import annotations

import json

import numpy as np
import pytest

from storage.nights.night import Evidence, Night, NovelRow
from storage.nights.report import summarize
from storage.nights.summary import NightLine, NightSummary

PLAIN = {
    "job": "small",
    "date": "2026-11-22",
    "revision": 2,
    "verdict": "REVIEW 3",
    "rows": 300,
    "flagged": 3,
    "expected": 0.5,
    "limit": 2,
    "rule": "top 1%",
    "promise": "1 in 100",
    "promises": True,
    "calibration_rows": 99,
    "model_id": "abc",
    "input_digest": "def",
    "settings_digest": "123",
    "alert_budget": 10,
    "shards_done": 1,
    "shards_total": 1,
    "unscored": 4,
    "missing": 0.25,
    "p50": 0.5,
    "p99": 1.25,
}


def night(**changes) -> Night:
    row = np.zeros(2)
    evidence = Evidence("feature 0", [], row, row, {"range": 0.5, "latent": 0.01, "residual": 0.2})
    novel = NovelRow("r7", "a.npy", 7, 7, 2.5, 0.1, evidence)
    content = {"cut_score": 1.5, "novel_rows": [novel], "novel_rows_total": 1, **PLAIN, **changes}
    return Night(**content)


def summary(**changes) -> NightSummary:
    return summarize(night(**changes), ["r1"])


def test_a_summary_survives_json():
    content = json.loads(json.dumps(summary().to_json()))

    assert NightSummary.from_json(content) == summary()


def test_a_summary_holds_the_figures_of_the_night():
    content = summary(failed=[("shard 1", "damaged")]).to_json()

    assert {key: content[key] for key in PLAIN} == PLAIN
    assert content["failed_shards"] == [{"shard": "shard 1", "why": "damaged"}]
    assert (content["flagged_ids"], content["complete"]) == (["r1"], False)


def test_a_novel_row_is_listed_with_its_p_values():
    [row] = summary().novel_rows

    assert (row["id"], row["novelty"], row["p_latent"]) == ("r7", 2.5, 0.01)
    assert night().novel_rows[0].words == "its latents differ from those of all clean rows"


@pytest.mark.parametrize("cut", [None, np.inf])
def test_a_night_without_a_finite_cut_has_no_threshold(cut):
    assert summary(cut_score=cut).threshold is None


@pytest.mark.parametrize("verdict", ["FAILED", "NO DATA"])
def test_a_night_without_scores_is_not_complete(verdict):
    assert not summary(verdict=verdict, shards_done=0, shards_total=0).complete


def test_the_line_of_a_night_survives_json():
    line = summary().line

    assert NightLine.from_json(line.to_json()) == line
    assert list(line.to_json()) == [
        "date",
        "revision",
        "verdict",
        "rows",
        "flagged",
        "model_id",
        "rule",
        "expected",
        "limit",
        "score",
        "unscored",
        "broken_files",
        "missing",
        "p50",
        "p99",
    ]
