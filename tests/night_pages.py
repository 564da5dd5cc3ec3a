"""Nights as the pages show them."""

from __future__ import annotations

from typing import Any

import numpy as np

from storage.nights.night import Evidence, Night
from storage.nights.summary import NightLine


def night_of(**facts: Any) -> Night:
    """A night of 1,530 rows with 32 flagged, to be reviewed, unless `facts` say otherwise."""
    known = {
        "job": "cards",
        "date": "2026-11-22",
        "revision": 1,
        "verdict": "REVIEW 32",
        "rows": 1530,
        "flagged": 32,
        "expected": 1.3,
        "limit": 5,
        "rule": "quantile 0.999",
        "promise": "At most 0.1 % of clean rows are flagged on average.",
        "promises": True,
        "cut_score": 2.0,
        "calibration_rows": 2433,
        "model_id": "a1",
        "input_digest": "0" * 64,
        "settings_digest": "0" * 64,
        "alert_budget": 1000,
        "shards_done": 1,
        "shards_total": 1,
    }
    return Night(**{**known, **facts})


def line_of(date: str, flagged: int = 3, **facts: Any) -> NightLine:
    """A night in the list of its year."""
    known = {
        "date": date,
        "revision": 1,
        "verdict": "OK",
        "rows": 1500,
        "flagged": flagged,
        "model_id": "a1",
        "rule": "quantile 0.999",
        "expected": 1.3,
        "limit": 5,
    }
    return NightLine(**{**known, **facts})


def outliers_of(rows: list[int], flagged: int | None = None) -> list[dict[str, Any]]:
    """Listed rows as in outliers.parquet, best first; the first `flagged` are flagged."""
    most = len(rows) if flagged is None else flagged
    return [
        {
            "rank": rank,
            "id": str(row),
            "row": row,
            "p_value": 1 / 2434,
            "flagged": rank <= most,
            "cause": "a is 9, above the 1 expected; b is 2, above the 1 expected",
        }
        for rank, row in enumerate(rows, 1)
    ]


def evidence_of(shape: tuple[int, ...]) -> Evidence:
    """A row of zeros whose reconstruction is one at the end."""
    expected = np.zeros(shape)
    expected[-3:] = 1
    features = [{"name": "a", "share": 0.9, "residual": 3.0}]
    return Evidence("a is 9, above the 1 expected", features, np.zeros(shape), expected)
