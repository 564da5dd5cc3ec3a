"""What a store will cost, before it is written."""

from __future__ import annotations

import numpy as np
import pytest

from flows.encoding.latent_bytes import latent_bytes
from flows.encoding.plan import exact_bytes
from flows.encoding.precision import Encoded
from flows.encoding.rate_distortion import _grid_points
from storage.codecs.blocks import Bound
from storage.codecs.candidates import Sample
from storage.codecs.grid import Grid
from storage.codecs.selection import hold_contest
from storage.latents import Scale
from storage.latents.hdf5 import write_shard
from storage.latents.shard import ShardRows


def scale_over(low, high, k):
    return Scale("int8", np.full(k, low, np.float32), np.full(k, high, np.float32))


@pytest.mark.parametrize(("low", "high"), [(0, 0), (0.5, 0.6), (-9, 9)])
def test_latents_outside_the_scale_are_counted_as_they_are_stored(random, tmp_path, low, high):
    latents, scale = random.normal(size=(50_000, 2)).astype(np.float32), scale_over(low, high, 2)
    none = np.empty((0, 2)), np.empty(0, np.int64)
    write_shard(tmp_path / "shard.h5", ShardRows.of(scale, latents, none[1], none[0]), scale)

    estimated = 2 * latent_bytes(scale, latents[::2], 25_000)
    assert estimated == pytest.approx((tmp_path / "shard.h5").stat().st_size, rel=0.15)


def test_poisson_counts_are_stored_losslessly_where_latents_are_outside_the_scale(random):
    rows = random.poisson(3, (100_000, 1))
    latents = rows.astype(np.float32) + random.random(rows.shape, np.float32) * np.float32(0.01)
    sample = Sample(
        rows, latents, (1,), len(rows), 979, latent_bytes(scale_over(0, 0, 1), latents, len(rows))
    )
    entries = hold_contest(sample, Bound(np.array([0.5])))

    assert entries[0].name.split(",")[0] in ("grid", "lossless")
    residual = min(each.store_bytes for each in entries if each.decodes_latents)
    assert residual > 3 * entries[0].store_bytes


def test_rows_kept_exactly_are_counted_where_latents_alone_hold_the_bound(random):
    rows = random.normal(size=(4000, 50))
    expected = 0.001 * rows.nbytes * 10
    with_gaps, bits = rows.copy(), 40_000 / 3 * 7  # 7 bytes of bits for 50 values
    with_gaps[::3, 7] = np.nan

    assert exact_bytes(rows, 0.001, 40_000) == pytest.approx(expected, rel=0.1)
    assert exact_bytes(with_gaps, 0.001, 40_000) == pytest.approx(expected + bits, rel=0.1)
    assert exact_bytes(rows, 0.0, 40_000) == 0

    bound, kept = Bound(np.full(50, np.inf), rmse=0.1), exact_bytes(rows, 0.001, 4000)
    sample = Sample(rows, rows, (50,), 4000, 10, 100, kept, latents_rmse=0.05)
    alone = next(each for each in hold_contest(sample, bound, fast=True) if each.codec is None)
    assert alone.store_bytes == 110 + kept


def test_the_error_curve_of_wide_rows_fits_grids_to_some_columns(random, monkeypatch):
    fitted, fit = [], Grid.fit
    monkeypatch.setattr(Grid, "fit", lambda *a, **k: (fitted.append(a[0].shape), fit(*a, **k))[1])
    rows = random.normal(size=(64, 4_096))
    sample = Encoded(rows, np.zeros((64, 1), np.float32))
    points = list(_grid_points(sample, np.full(4_096, 0.5), 640))

    assert set(fitted) == {(64, 1_024)}
    assert all(point.bytes > 0.1 * rows.size for point in points)  # of all columns
