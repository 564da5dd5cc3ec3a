"""How often a night's rows are scaled and pass through the networks."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from aemodel import model
from aemodel.rows.scaling import Scaler


def counted(function, rows_at, calls):
    """The function, noting how many rows each call gets."""

    def noting(*values):
        calls.append(len(values[rows_at]))
        return function(*values)

    return noting


@pytest.mark.parametrize("by", ["error", "novelty"])
def test_a_night_reconstructs_each_row_once_and_only_shown_rows_again(bench, monkeypatch, by):
    passed, scaled = [], []
    monkeypatch.setattr(model, "map_rows", counted(model.map_rows, 0, passed))
    monkeypatch.setattr(Scaler, "transform_into", counted(Scaler.transform_into, 1, scaled))
    bench.night(n=301, outliers=30)
    result = bench.score("--set", f"score.by={by}")
    listed = pq.read_table(Path(result.facts["path"]) / "outliers.parquet").num_rows

    assert (passed.count(301), scaled.count(301)) == (1, 1)
    assert (passed.count(listed), scaled.count(listed)) <= (2, 2)  # evidence, and the map
    shown = [count for count in passed if count not in (301, listed)]
    assert sorted(shown) == [20, 1_500]  # rows near the cut and ordinary ones; the reference rows
