"""Entities of a night that have no clean rows."""

from __future__ import annotations

import numpy as np
import pytest

from aemodel.decisions import unknown_entities
from aemodel.decisions.unknown_entities import UnknownEntities
from aemodel.rows.entities.scales import Entities

SCALES = np.zeros((3, 2)), np.ones((3, 2))
KEYS = np.array([1.0, 2.0])
ENTITIES = Entities(column=0, keys=KEYS, level=SCALES[0], spread=SCALES[1], rows=np.ones(2, int))


def rows_of(*keys: float) -> np.ndarray:
    """Rows (n, 2) of entities with these keys."""
    return np.column_stack([keys, np.zeros(len(keys))])


NIGHT = rows_of(1, 7, 7, 2, 9, np.nan, 7, 8, 9, 1)


@pytest.mark.parametrize("cut", range(len(NIGHT) + 1))
def test_counts_of_any_two_parts_add_up_to_those_of_the_whole(cut):
    whole = UnknownEntities.of(ENTITIES, NIGHT)
    parts = [UnknownEntities.of(ENTITIES, part) for part in (NIGHT[:cut], NIGHT[cut:])]
    merged = parts[0].merge(parts[1])

    assert merged.keys.tolist() == whole.keys.tolist() == [7, 8, 9]
    assert merged.counts.tolist() == whole.counts.tolist() == [3, 1, 2]
    assert merged.unnamed == whole.unnamed == 1


def test_the_entities_with_the_most_rows_are_named_and_the_others_counted(monkeypatch):
    monkeypatch.setattr(unknown_entities, "MOST_NAMED", 2)
    found = UnknownEntities.of(ENTITIES, NIGHT)

    assert found.largest().tolist() == [7, 9]
    assert found.to_text("pump", {7.0: "P7", 9.0: "P9"}) == (
        "scaled by level and spread of all rows: 6 rows with pump not in the clean rows: "
        "'P7' (3), 'P9' (2), and 1 more; 1 row without pump"
    )


def test_known_entities_and_tables_without_entities_give_no_note():
    assert UnknownEntities.of(ENTITIES, rows_of(1, 2, 2)).to_text("pump", {}) == ""
    assert UnknownEntities.of(None, NIGHT).to_text("pump", {}) == ""
