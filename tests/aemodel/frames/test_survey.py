"""Which columns of a frame are features."""

from __future__ import annotations

import pyarrow as pa
import pytest

from aemodel.frames.columns import read_frame
from aemodel.frames.survey import choose_features
from aemodel.rows.layout import CATEGORY, HOUR, WEEKDAY


@pytest.mark.parametrize(
    ("last", "kinds"), [("2026-11-22T04:00", [HOUR, WEEKDAY]), ("soon", [CATEGORY])]
)
def test_text_that_holds_only_times_is_a_time(last, kinds):
    days = [f"2026-11-{day:02d} {day:02d}:00:00" for day in range(1, 20)]
    features, _ = choose_features(read_frame(pa.table({"t": [*days, last] * 2})))
    assert [kind for _, kind in features] == kinds


def test_texts_of_few_rows_that_all_differ_are_ids():
    _, ignored = choose_features(read_frame(pa.table({"key": [f"k{i}" for i in range(12)]})))
    assert ignored == {"key": "ids: distinct in all rows"}
