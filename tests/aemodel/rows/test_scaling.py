"""Scalers: exact merges, constant columns, missing values and overflow."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from aemodel.rows.layout import Layout
from aemodel.rows.scaler_fit import ScalerFit
from aemodel.settings import SCALINGS

KINDS = pytest.mark.parametrize("kind", SCALINGS)
TABLES = arrays(
    "float32",
    st.tuples(st.integers(1, 40), st.just(3)),
    elements=st.floats(-1e6, 1e6, width=32) | st.just(float("nan")),
)


def scaler_of(kind, *pieces):
    fit = ScalerFit(kind, Layout(row_shape=pieces[0].shape[1:], dtype=pieces[0].dtype.name))
    for piece in pieces:
        fit.update(piece)
    return fit.finish()


def assert_equal(one, other):
    for name in ("center", "scale", "fill"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=2e-6, atol=1e-6)


@KINDS
@given(rows=TABLES, cut=st.integers(0, 40))
def test_a_scaler_does_not_depend_on_chunks(kind, rows, cut):
    assert_equal(scaler_of(kind, rows), scaler_of(kind, rows[:cut], rows[cut:]))


@KINDS
def test_merged_fits_equal_one_fit(kind):
    rows = np.random.default_rng(0).normal(1e3, 2, (500, 4)).astype(np.float32)
    one, other = (ScalerFit(kind, Layout(row_shape=(4,), dtype="float32")) for _ in range(2))
    one.update(rows[:123])
    other.update(rows[123:])
    one.merge(other)
    merged, whole = one.finish(), scaler_of(kind, rows)
    for name in ("center", "scale", "fill"):
        np.testing.assert_array_equal(getattr(merged, name), getattr(whole, name))


BY_COLUMN = pytest.mark.parametrize("kind", ["minmax", "standard", "robust"])


@BY_COLUMN
@pytest.mark.parametrize("value", [0.0, 0.1, -7e7, 1e-30])
def test_a_constant_column_is_0_and_any_change_of_it_is_large_and_finite(kind, value):
    rows = np.full((60, 2), value, np.float32)
    rows[:, 1] = np.linspace(1, 2, 60)
    scaler = scaler_of(kind, rows)
    changed = rows[:2].copy()
    changed[0, 0], changed[1, 0] = value * 1.001 + 1e-6, 3e38
    scaled = np.abs(scaler.transform(changed)[:, 0])

    assert (scaler.transform(rows)[:, 0] == 0).all()
    assert (scaled >= 8).all()
    assert (scaled < 1000).all()


@BY_COLUMN
def test_the_same_change_of_a_constant_column_is_as_large_in_any_unit(kind):
    meters = np.full((60, 1), 2.0)
    scaled = [
        scaler_of(kind, meters * unit).transform(np.array([[2.05 * unit]]))[0, 0]
        for unit in (1, 1e3, 1e-6)
    ]

    assert scaled == pytest.approx([scaled[0]] * 3, rel=1e-6)
    assert scaled[0] > 30


@BY_COLUMN
@pytest.mark.parametrize("far", [1e6, -9999.0])
def test_a_few_values_far_outside_do_not_stretch_the_scale(kind, far):
    rows = np.random.default_rng(0).normal(size=(3000, 2))
    glitched = rows.copy()
    glitched[[5, 700, 1900], 1] = far
    expected = scaler_of(kind, np.delete(rows, [5, 700, 1900], axis=0))
    fit = ScalerFit(kind, Layout(row_shape=(2,), dtype="float64"))
    fit.update(glitched)
    scaler = fit.finish()

    np.testing.assert_allclose(scaler.scale, expected.scale, rtol=0.01)
    assert fit.fences.outside(glitched).sum(axis=0).tolist() == [0, 3]
    assert abs(scaler.transform(glitched)[5, 1]) > 500


@BY_COLUMN
def test_a_heavy_tail_is_not_far_outside(kind):
    rows = np.random.default_rng(0).lognormal(sigma=0.8, size=(20_000, 2))
    fit = ScalerFit(kind, Layout(row_shape=(2,), dtype="float64"))
    fit.update(rows)
    fit.finish()

    assert not fit.fences.outside(rows).any()


def test_a_column_that_varies_only_by_rounding_counts_as_constant():
    rows = np.full((100, 1), 0.1) * np.where(np.arange(100) % 2, 1.0, 1 + 2e-16)[:, None]
    assert scaler_of("standard", rows).scale[0] == 1


@KINDS
def test_an_empty_column_is_filled_with_a_finite_value(kind):
    rows = np.full((5, 2), np.nan, np.float32)
    rows[:, 1] = [1, 2, 3, 4, 5]
    scaler = scaler_of(kind, rows)
    assert np.isfinite(scaler.fill).all()
    assert np.isfinite(scaler.scale).all()


def test_bytes_are_scaled_from_0_to_1_whatever_their_range():
    rows = np.full((3, 2, 2), 100, np.uint8)
    np.testing.assert_array_equal(
        scaler_of("range", rows).transform(np.full((1, 2, 2), 255, np.uint8)), 1
    )


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int64", "float16", "float64"])
@KINDS
def test_inverse_restores_the_rows(kind, dtype):
    rows = np.random.default_rng(0).integers(0, 200, (50, 3)).astype(dtype)
    scaler = scaler_of(kind, rows)
    np.testing.assert_allclose(scaler.inverse(scaler.transform(rows)), rows, atol=1e-3)


def test_missing_values_are_ignored_and_filled_with_the_median():
    rows = np.array([[1.0], [np.nan], [3.0], [np.nan], [5.0]], np.float32)
    scaler = scaler_of("standard", rows)
    assert scaler.center[0] == pytest.approx(3)
    assert scaler.fill[0] == pytest.approx(0, abs=1e-6)
    assert np.isnan(scaler.transform(rows)[1, 0])


def test_large_offsets_keep_their_digits():
    rows = (1e6 + np.random.default_rng(0).normal(size=(1000, 1))).astype(np.float32)
    scaled = scaler_of("standard", rows).transform(rows)

    assert np.abs(scaled.mean()) < 0.05  # float32 has steps of 1/16 here, so has the center
    assert scaled.std() == pytest.approx(1, abs=1e-3)


def test_what_float32_cannot_hold_is_infinite_without_a_warning():
    rows = np.array([[0.0], [1.0]])
    assert scaler_of("minmax", rows).transform(np.array([[1e300]]))[0, 0] == np.inf


@KINDS
def test_neither_fit_nor_transform_changes_the_rows(kind):
    rows = np.array([[1.0, np.nan], [2.0, 3.0]], np.float32)
    before = rows.copy()
    scaler_of(kind, rows).transform(rows)
    np.testing.assert_array_equal(rows, before)


SPREAD = np.random.default_rng(3).normal(size=(400, 1))
ROUNDED = "equal up to the rounding of float64 near 1.153e+18: subtract an offset if they differ"


def imprecise_columns_of(kind, rows):
    fit = ScalerFit(kind, Layout(row_shape=rows.shape[1:], dtype=rows.dtype.name))
    fit.update(rows)
    return fit.imprecise(fit.finish())


@BY_COLUMN
@pytest.mark.parametrize("dtype", ["int64", "float64"])
def test_whole_numbers_that_float64_makes_equal_are_named(kind, dtype):
    rows = np.hstack([2**60 + (100 * SPREAD).astype(np.int64), np.arange(400)[:, None]])

    assert imprecise_columns_of(kind, rows.astype(dtype)) == {0: ROUNDED}


@BY_COLUMN
@pytest.mark.parametrize("dtype", ["int64", "float64"])
def test_whole_numbers_that_float64_rounds_coarsely_are_named(kind, dtype):
    rows = np.hstack([2**60 + (2000 * SPREAD).astype(np.int64), 2**60 + (1e6 * SPREAD).astype(int)])
    said = "rounded to multiples of 256 near 1.153e+18: subtract an offset"

    assert imprecise_columns_of(kind, rows.astype(dtype)) == {0: said}


@BY_COLUMN
def test_small_changes_of_a_large_float64_keep_their_digits(kind):
    rows = np.hstack([1e9 + 1e-3 * SPREAD, 1.7e18 + 1e9 * np.round(SPREAD, 3)])
    scaled = scaler_of(kind, rows).transform(rows)

    assert imprecise_columns_of(kind, rows) == {}
    assert np.corrcoef(scaled.T, SPREAD.T)[2, :2] == pytest.approx([1, 1], abs=1e-6)


@pytest.mark.parametrize("kind", ["none", "minmax", "standard"])
def test_a_column_whose_largest_values_hide_the_others_in_float32_is_named(kind):
    rows = np.hstack([SPREAD, np.where(np.arange(400)[:, None] < 8, 1e300, np.exp(SPREAD))])
    rows[:8, 1] *= 1 + SPREAD[:8, 0] ** 2
    found = imprecise_columns_of(kind, rows)

    assert list(found) == ([] if kind == "none" else [1])


@BY_COLUMN
@pytest.mark.parametrize("unit", [1e-300, 1e-200, 1e200, 1e300])
def test_the_scale_of_tiny_and_of_huge_values_is_neither_0_nor_infinite(kind, unit):
    scaled = scaler_of(kind, unit * SPREAD).transform(unit * SPREAD)

    assert 0.1 < scaled.std() < 2
    assert imprecise_columns_of(kind, unit * SPREAD) == {}


@BY_COLUMN
@pytest.mark.parametrize("unit", [1e-42, 1e37])
def test_the_same_holds_at_the_limits_of_float32(kind, unit):
    rows = (unit * SPREAD).astype(np.float32)

    assert 0.1 < scaler_of(kind, rows).transform(rows).std() < 2


def test_one_range_for_all_numbers_leaves_out_the_keys_of_levels():
    rows = np.array([[17.0, 3e14], [90.0, -8e14], [40.0, 3e14]])
    layout = Layout(
        row_shape=(2,), dtype="float64", columns=("age", "job"), kinds=("number", "category")
    )
    fit = ScalerFit("range", layout)
    fit.update(rows)
    scaler = fit.finish()

    assert (scaler.center[0], scaler.scale[0]) == (17.0, 73.0)


@KINDS
@pytest.mark.parametrize("dtype", ["float32", "int16"])
def test_what_float32_holds_is_scaled_as_in_float64(kind, dtype):
    rows = np.random.default_rng(0).normal(300, 9, (500, 3)).astype(dtype)
    scaler = scaler_of(kind, rows)
    wide = scaler.transform(rows.astype(np.float64))

    np.testing.assert_allclose(scaler.transform(rows), wide, rtol=3e-7, atol=1e-9)
