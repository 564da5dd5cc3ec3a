"""Scaling by the level and spread of each row's entity."""

from __future__ import annotations

import numpy as np
import pytest

from aemodel.errors import DataError
from aemodel.rows.entities import fit as entity_fit
from aemodel.rows.layout import Layout
from aemodel.rows.scaler_fit import ScalerFit
from aemodel.rows.scaling import Scaler

KEYS = np.arange(1.0, 11.0)  # of ten machines
LEVEL = np.random.default_rng(1).normal(0, 50, (10, 3))
SPREAD = np.exp(np.random.default_rng(2).normal(size=(10, 3)))


def machine_rows(n: int, seed: int = 0) -> np.ndarray:
    """Rows (n, 4): the key of a machine, and three numbers around its level."""
    random = np.random.default_rng(seed)
    which = random.integers(0, 10, n)
    values = LEVEL[which] + SPREAD[which] * random.normal(size=(n, 3))
    return np.column_stack([KEYS[which], values])


def fit(rows: np.ndarray, kind: str = "standard", chunk: int = 10_000) -> Scaler:
    kinds = ("entity",) + ("number",) * (rows.shape[1] - 1)
    layout = Layout(row_shape=rows.shape[1:], dtype="float64", columns=tuple("mabcd"), kinds=kinds)
    found = ScalerFit(kind, layout)
    for start in range(0, len(rows), chunk):
        found.update(rows[start : start + chunk])
    return found.finish()


@pytest.mark.parametrize("kind", ["standard", "robust", "minmax"])
def test_all_entities_have_the_same_level_and_spread_once_scaled(kind):
    rows = machine_rows(5_000)
    scaled = fit(rows, kind).transform(rows)[:, 1:]
    spread = scaled.std(axis=0)

    for key in KEYS:
        own = scaled[rows[:, 0] == key]
        assert np.abs(own.mean(axis=0) - scaled.mean(axis=0)).max() < 0.05 * spread.min()
        assert np.abs(own.std(axis=0) / spread - 1).max() < 0.15


def test_the_scale_does_not_depend_on_the_chunks():
    rows = machine_rows(3_000)
    whole, pieces = fit(rows), fit(rows, chunk=177)

    for name in ("level", "spread"):
        found, expected = getattr(pieces.entities, name), getattr(whole.entities, name)
        assert np.array_equal(found, expected)
    assert np.array_equal(pieces.transform(rows), whole.transform(rows), equal_nan=True)


def test_scaled_rows_are_restored_by_their_entities():
    rows = machine_rows(500)
    scaler = fit(rows)
    back = scaler.inverse(scaler.transform(rows), like=rows)

    assert np.allclose(back, rows, rtol=1e-5, atol=1e-4)


def test_a_few_rows_draw_an_entity_only_part_of_the_way_from_all_rows():
    random = np.random.default_rng(3)
    values = random.normal(size=2_000) + np.repeat([-1.0, 1.0], 1_000)
    rows = np.column_stack([np.repeat([1.0, 2.0], 1_000), values])
    few = np.column_stack([np.full(2, 3.0), [4.0, 4.0]])
    found = fit(np.concatenate([rows, few])).entities

    assert 0.5 < found.level[2, 1] < 3.9
    assert 0.8 < found.spread[2, 1] < 2.0  # not 0, though both values are the same
    assert np.allclose(found.level[:2, 1], [-1, 1], atol=0.1)


def test_where_entities_do_not_differ_they_are_scaled_alike():
    random = np.random.default_rng(4)
    rows = np.column_stack([random.integers(0, 100, 5_000), random.normal(5, 2, 5_000)])
    found = fit(rows).entities

    assert np.abs(found.level[:, 1] - 5).max() < 0.5
    assert np.abs(found.spread[:, 1] / 2 - 1).max() < 0.25


def test_an_unknown_entity_and_none_are_scaled_by_all_rows():
    rows = machine_rows(5_000)
    scaler = fit(rows)
    strange = rows[:100].copy()
    strange[:50, 0], strange[50:, 0] = 99.0, np.nan
    expected = (strange[:, 1:] - rows[:, 1:].mean(axis=0)) / rows[:, 1:].std(axis=0)

    assert scaler.entities.unknown(strange).all()
    assert np.allclose(scaler.transform(strange)[:, 1:], expected, rtol=0.02, atol=0.02)


def test_a_column_that_is_constant_within_entities_shows_any_change_but_in_unknown_ones():
    rows = machine_rows(1_000)
    rows[:, 3] = 0.1 * rows[:, 0]
    scaler = fit(rows)
    assert not scaler.transform(rows)[:, 3].any()
    moved = rows[:2].copy()
    moved[:, 3] += 1e-3
    moved[1, 0] = 99.0

    assert scaler.transform(moved)[0, 3] > 8
    assert abs(scaler.transform(moved)[1, 3]) < 3


def test_a_sentinel_does_not_stretch_the_spread_of_its_entity():
    rows = machine_rows(5_000)
    clean = fit(rows).entities.spread[:, 1]
    rows[7, 1] = -1e9

    assert np.allclose(fit(rows).entities.spread[:, 1], clean, rtol=0.2)


def test_gaps_and_entities_without_values_in_a_column_leave_finite_scales():
    rows = machine_rows(1_000)
    rows[rows[:, 0] == 3, 2] = np.nan
    rows[::7, 1] = np.nan
    scaler = fit(rows)

    assert np.isfinite(scaler.entities.level).all()
    assert (scaler.entities.spread > 0).all()
    assert np.array_equal(np.isnan(scaler.transform(rows)[:, 1:]), np.isnan(rows[:, 1:]))


def test_one_row_for_each_entity_is_scaled_as_a_table_without_entities():
    rows = machine_rows(400)
    rows[:, 0] = np.arange(400)
    expected = (rows[:, 1:] - rows[:, 1:].mean(axis=0)) / rows[:, 1:].std(axis=0)

    assert np.allclose(fit(rows).transform(rows)[:, 1:], expected, atol=1e-3)


def test_entities_without_any_name_and_too_many_are_refused(monkeypatch):
    rows = machine_rows(100)
    monkeypatch.setattr(entity_fit, "MOST_ENTITIES", 9)
    with pytest.raises(DataError, match="at most 9 entities"):
        fit(rows)
    rows[:, 0] = np.nan
    with pytest.raises(DataError, match="must name a column with values"):
        fit(rows)
