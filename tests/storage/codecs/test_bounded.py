"""A store with an error bound: every value is within it, and non-finite values are exact."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from storage.codecs import sz3
from storage.codecs.blocks import (
    Bound,
    GridCodec,
    ResidualCodec,
    Sz3Codec,
    decode_block,
    encode_block,
)
from storage.codecs.candidates import Sample, rmse
from storage.codecs.column_orders import choose_orders
from storage.codecs.columns import CODERS, Order, pack_columns, unpack_columns
from storage.codecs.grid import Grid, exact_divisor, widest_step
from storage.codecs.selection import hold_contest
from storage.errors import DamagedError
from storage.latents.loss import Loss, merge_losses, quantile

FLOATS = ("float64", "float32", "float16")
WHOLE = ("uint8", "int8", "int16", "uint16", "int32", "int64", "uint64", "bool")
shapes = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9)
tables = st.sampled_from(FLOATS + WHOLE).flatmap(lambda dtype: hnp.arrays(dtype, shapes))
decimals = shapes.flatmap(
    lambda shape: hnp.arrays(
        "float64", shape, elements=st.integers(-5000, 5000).map(lambda k: k / 100)
    )
)
tolerances = st.sampled_from([0.0, 1e-6, 0.01, 0.3, 0.5, 1.0, 2.7, 1e4])


def orders_for(d):
    return [
        Order(tuple(range(max(0, index - 2), index))) if index % 3 else Order(delta=index % 2 == 1)
        for index in range(d)
    ]


def assert_kept(rows, back, tolerance):
    """Every value is within the bound; NaN, infinities and −0.0 keep their bits."""
    assert back.dtype == rows.dtype
    if rows.dtype.kind == "f":
        plain = np.isfinite(rows) & ~((rows == 0) & np.signbit(rows))
        with np.errstate(over="ignore"):
            apart = np.abs(rows[plain].astype(np.float64) - back[plain].astype(np.float64))
        assert (apart <= tolerance).all()
        assert rows[~plain].tobytes() == back[~plain].tobytes()
    else:
        apart = [abs(int(a) - int(b)) for a, b in zip(rows.ravel(), back.ravel(), strict=True)]
        assert max(apart, default=0) <= tolerance


@settings(max_examples=150, deadline=None)
@given(rows=st.one_of(tables, decimals), tolerance=tolerances, coder=st.sampled_from(CODERS))
def test_a_grid_holds_its_bound_for_any_values(rows, tolerance, coder):
    d = rows.shape[1]
    before, bound = rows.tobytes(), Bound(np.full(d, tolerance))
    codec = GridCodec(Grid.fit(rows[: len(rows) // 2 + 1], bound.tolerance), orders_for(d), coder)
    block, back = encode_block(codec, rows, None, bound)

    assert decode_block(block, d, rows.dtype.name, None).tobytes() == back.tobytes()
    assert_kept(rows, back, tolerance)
    assert rows.tobytes() == before


@settings(max_examples=100, deadline=None)
@given(rows=tables, tolerance=st.sampled_from([0.01, 0.7, 1.0, 3.0]), seed=st.integers(0, 99))
def test_a_residual_holds_its_bound_for_any_prediction(rows, tolerance, seed):
    d = rows.shape[1]
    predicted = np.random.default_rng(seed).normal(scale=10, size=rows.shape)
    codec = ResidualCodec(widest_step(np.full(d, tolerance), rows.dtype.name), orders_for(d))
    block, back = encode_block(codec, rows, predicted, Bound(np.full(d, tolerance)))

    assert decode_block(block, d, rows.dtype.name, predicted).tobytes() == back.tobytes()
    assert_kept(rows, back, tolerance)


@settings(max_examples=60, deadline=None)
@given(rows=tables, seed=st.integers(0, 99))
def test_rounding_on_another_device_stays_within_the_bound(rows, seed):
    """The reader's decoder may differ from the writer's in its last bits."""
    random, d = np.random.default_rng(seed), rows.shape[1]
    tolerance = np.full(d, 1.0 if rows.dtype.kind != "f" else 0.5)
    predicted = random.normal(scale=3, size=rows.shape)
    codec = ResidualCodec(widest_step(tolerance, rows.dtype.name), orders_for(d))
    block, _ = encode_block(codec, rows, predicted, Bound(tolerance))
    elsewhere = predicted * (1 + random.uniform(-1e-6, 1e-6, rows.shape))
    if rows.dtype.kind == "f" and np.finfo(rows.dtype).bits == 16:
        return  # half precision rounds more than the margin

    assert_kept(rows, decode_block(block, d, rows.dtype.name, elsewhere), float(tolerance[0]))


@settings(max_examples=80, deadline=None)
@given(codes=hnp.arrays(np.int64, shapes), coder=st.sampled_from(CODERS))
def test_whole_numbers_round_trip_in_any_order(codes, coder):
    orders = orders_for(codes.shape[1])
    parts = pack_columns(codes, orders, coder)

    assert unpack_columns(parts, *codes.shape, coder).tobytes() == codes.tobytes()


@pytest.mark.parametrize(
    ("values", "divisor"),
    [
        ([1.0, 7.0], 1),
        ([0.1, 0.7, 2.3], 10),
        ([0.25, 0.01], 100),
        ([np.pi, 1.0], 0),
        ([3 / 255, 1.0], 255),
        ([0.0, 2**-20], 2**20),
    ],
)
def test_the_exact_grid_of_a_column_is_found(values, divisor):
    assert exact_divisor(np.array(values)) == divisor


def test_a_column_determined_by_another_costs_almost_nothing(random):
    first = random.integers(0, 200, 20_000)
    rows = np.stack([first, (first * 7 + 3) % 251], axis=1).astype(np.int64)
    orders = choose_orders(rows, (2,))

    packed = sum(map(len, pack_columns(rows, orders, "xz")))
    in_row_order = sum(map(len, pack_columns(rows, [Order()] * 2, "xz")))

    assert orders[1].parents == (0,)
    assert packed < 0.6 * in_row_order


def test_constants_and_whole_numbers_are_exact(random):
    rows = np.stack([np.full(500, np.pi), random.integers(0, 9, 500), np.full(500, -0.0)], axis=1)
    bound = Bound(np.array([0.1, 0.0, 0.1]))
    codec = GridCodec(Grid.fit(rows, bound.tolerance), [Order()] * 3)
    _, back = encode_block(codec, rows, None, bound)

    assert back.tobytes() == rows.tobytes()


@pytest.mark.parametrize(
    "dtype", [pytest.param("float64", marks=pytest.mark.slow), "float32", "uint8"]
)
def test_the_contest_ranks_codecs_that_hold_the_bound(random, dtype):
    rows = (np.cumsum(random.normal(size=(500, 4)), axis=0) + 100).astype(dtype)
    predicted = rows + random.normal(scale=0.1, size=rows.shape)
    bound = Bound(np.full(4, 1.0))
    entries = hold_contest(Sample(rows, predicted, (4,), len(rows), decoder_bytes=10), bound)

    assert {entry.name.split(",")[0] for entry in entries} >= {"lossless", "grid", "residual"}
    assert entries[0].store_bytes == min(entry.store_bytes for entry in entries)
    for entry in entries:
        assert_kept(rows, encode_block(entry.codec, rows, predicted, bound)[1], 1.0)


def test_an_rmse_budget_is_used_up_but_never_exceeded(random):
    rows = random.normal(size=(600, 3))
    bound = Bound(np.full(3, np.inf), rmse=0.05)
    sample = Sample(rows, rows + 0.03, (3,), len(rows), latents_rmse=0.03)
    entries = hold_contest(sample, bound)

    assert entries[0].codec is None  # latents alone are good enough, and cost nothing here
    backs = [encode_block(entry.codec, rows, rows + 0.03, bound)[1] for entry in entries[1:]]
    reached = [rmse(rows, back) for back in backs]
    assert max(reached) <= 0.05
    assert max(reached) > 0.04


@pytest.mark.skipif(not sz3.installed(), reason="needs the extra 'sz3'")
@pytest.mark.parametrize("layout", sz3.LAYOUTS)
def test_sz3_holds_its_bound_and_keeps_gaps(random, layout):
    rows = np.cumsum(random.normal(size=(200, 12)), axis=0)
    rows[3, 4], rows[5, 6], rows[7, 8] = np.nan, np.inf, -0.0
    tolerance = np.linspace(0.01, 0.5, 12)
    bound = Bound(tolerance)
    block, back = encode_block(Sz3Codec(tolerance, (3, 4), layout), rows, None, bound)

    assert decode_block(block, 12, "float64", None).tobytes() == back.tobytes()
    assert_kept(rows, back, tolerance.max())
    plain = np.delete(np.arange(200), [3, 5, 7])
    assert len(bound.broken(rows[plain], back[plain])) == 0


def test_a_truncated_block_is_refused(random):
    rows = random.normal(size=(50, 3))
    tolerance = np.full(3, 0.1)
    codec = GridCodec(Grid.fit(rows, tolerance), [Order()] * 3)
    block, _ = encode_block(codec, rows, None, Bound(tolerance))

    for length in (0, 5, 20, len(block) - 1):
        with pytest.raises(DamagedError, match="run verify on the store"):
            decode_block(block[:length], 3, "float64", None)


def test_merged_losses_equal_the_loss_of_all_rows(random):
    rows, back = random.normal(size=(2, 1000, 3))
    whole, halves = Loss.of(3), [Loss.of(3), Loss.of(3)]
    whole.add(rows, back)
    for loss, part in zip(halves, (slice(400), slice(400, None)), strict=True):
        loss.add(rows[part], back[part])
    merged = merge_losses([loss.to_json() for loss in halves])

    np.testing.assert_allclose(merged.norms, whole.norms)
    assert (merged.counts == whole.counts).all()
    exact = np.quantile(np.abs(rows - back), 0.999)
    assert exact <= quantile(merged, 0.999) <= exact * 17 / 16


def test_a_loss_over_many_blocks_counts_only_the_rows_of_its_mask(random):
    rows, back = random.normal(size=(2, 5000, 40))
    apart, counted = np.abs(rows - back), random.random(5000) < 0.7
    rows[17, 3], rows[4000, 5], apart[17, 3], apart[4000, 5] = np.nan, np.inf, 0, 0
    loss = Loss.of(40)
    loss.add(rows, back, counted)

    np.testing.assert_allclose(loss.norms**2, np.square(apart[counted]).sum(axis=0))
    assert (loss.largest == apart[counted].max(axis=0)).all()
    assert loss.values == loss.counts.sum() == apart[counted].size
