"""The contest: no value and no codec may spoil a store or stop the process that writes it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from storage.codecs import sz3, sz3_filter
from storage.codecs.blocks import (
    Bound,
    Sz3Codec,
    decode_block,
    encode_block,
)
from storage.codecs.bounded import Blocks, BoundedPlan
from storage.codecs.candidates import Sample, rmse
from storage.codecs.differences import FLAT, take_differences, undo_differences
from storage.codecs.selection import hold_contest
from storage.errors import CodecError, DamagedError
from storage.pco import pack_numbers, unpack_numbers

needs_sz3 = pytest.mark.skipif(not sz3.installed(), reason="needs the extra 'sz3'")


def contest(rows, bound, **facts):
    """The entries for rows (n, *row_shape)."""
    flat = rows.reshape(len(rows), -1)
    return hold_contest(Sample(flat, None, rows.shape[1:], len(rows), **facts), bound)


def sizes(entries):
    return {entry.name: entry.store_bytes for entry in entries}


def uniform(d, tolerance):
    return Bound(np.full(d, tolerance))


@needs_sz3
@pytest.mark.parametrize("layout", sz3.LAYOUTS)
@pytest.mark.parametrize(
    ("value", "tolerance"), [(1e300, 1e-10), (-1.79e308, 0.01), (np.inf, 1.0), (1e20, 1e-3)]
)
def test_sz3_never_sees_values_far_outside(random, layout, value, tolerance):
    rows = random.normal(size=(3000, 4))
    rows[random.random(rows.shape) < 0.1] = value
    bound = uniform(4, tolerance)
    block, back = encode_block(Sz3Codec(bound.tolerance, (4,), layout), rows, None, bound)

    assert np.isinf(rows.reshape(-1)[bound.broken(rows, back)]).all()
    assert back[rows == value].tobytes() == rows[rows == value].tobytes()
    assert decode_block(block, 4, "float64", None).tobytes() == back.tobytes()


@needs_sz3
@pytest.mark.parametrize("layout", sz3.LAYOUTS)
@pytest.mark.parametrize("row_shape", [(3, 4, 5, 2), (2, 2, 2, 2, 2), (1, 6)])
def test_sz3_packs_rows_of_any_number_of_dimensions(random, layout, row_shape):
    rows = np.cumsum(random.normal(size=(40, int(np.prod(row_shape)))), axis=0)
    bound = uniform(rows.shape[1], 0.1)
    codec = Sz3Codec(bound.tolerance, row_shape, layout)
    block, back = encode_block(codec, rows, None, bound)

    assert decode_block(block, rows.shape[1], "float64", None).tobytes() == back.tobytes()
    assert len(bound.broken(rows, back)) == 0


CRASH = "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n"
HANG = "import resource\nresource.setrlimit(resource.RLIMIT_CPU, (1, 1))\nwhile True: pass\n"


@needs_sz3
@pytest.mark.parametrize(
    ("program", "reason"), [(CRASH, "SIGSEGV"), ("exit('odd')", "odd"), ("", "exit status 0")]
)
def test_a_codec_that_ends_its_process_is_left_out_with_a_word(
    random, tmp_path, monkeypatch, caplog, program, reason
):
    (tmp_path / "program.py").write_text(program)
    monkeypatch.setattr(sz3_filter, "__file__", str(tmp_path / "program.py"))
    entries = contest(random.normal(size=(500, 4)), uniform(4, 0.1))

    assert not [entry for entry in entries if entry.name.startswith("sz3")]
    assert "sz3 flat is not used: SZ3 cannot pack these values" in caplog.text
    assert reason in caplog.text


@needs_sz3
def test_a_block_that_its_codec_cannot_pack_is_written_by_the_next(
    random, tmp_path, monkeypatch, caplog
):
    rows, bound = random.normal(size=(500, 4)), uniform(4, 0.1)
    entries = contest(rows, bound)
    entries.sort(key=lambda entry: not entry.name.startswith("sz3"))
    (tmp_path / "program.py").write_text(CRASH)
    monkeypatch.setattr(sz3_filter, "__file__", str(tmp_path / "program.py"))
    blocks = Blocks(BoundedPlan({}, bound, entries), lambda latents: latents.astype(np.float64))
    back = blocks.add(rows, np.empty((500, 0), np.float32), unseen=False)

    assert "sz3" not in blocks.codecs
    assert len(bound.broken(rows, back)) == 0
    assert "not used for a block of 500 rows" in caplog.text


@needs_sz3
def test_sz3_may_not_take_more_than_its_cpu_time(random, tmp_path, monkeypatch):
    (tmp_path / "program.py").write_text(HANG)
    monkeypatch.setattr(sz3_filter, "__file__", str(tmp_path / "program.py"))

    with pytest.raises(CodecError, match="killed by SIG"):
        sz3.compress(random.normal(size=(500, 4)), np.full(4, 0.1), (4,), "rows")


@pytest.mark.parametrize("sentinel", [1e20, -1.79e308, 1e12])
@pytest.mark.parametrize("decimals", [2, 15])
def test_a_sentinel_is_not_the_origin_of_the_grid(random, sentinel, decimals):
    rows = random.normal(size=(5000, 1)).round(decimals)
    clean = sizes(contest(rows, uniform(1, 0.01)))
    rows[[5, 77, 900]] = sentinel
    entries = contest(rows, uniform(1, 0.01))

    for name, size in sizes(entries).items():
        if "lossless" not in name or decimals == 2:
            assert size < 1.05 * clean[name] + 200, name
    _, back = encode_block(entries[0].codec, rows, None, uniform(1, 0.01))
    assert (back[[5, 77, 900]] == sentinel).all()


@pytest.mark.parametrize("sentinel", [np.iinfo(np.int64).min, np.iinfo(np.int64).max])
def test_whole_numbers_keep_their_grid_beside_a_sentinel(random, sentinel):
    rows = random.integers(0, 100, (5000, 1))
    clean = contest(rows, uniform(1, 1.0))[0].store_bytes
    rows[[5, 77, 900]] = sentinel
    best = contest(rows, uniform(1, 1.0))[0]

    assert best.store_bytes < 1.05 * clean + 200
    assert (encode_block(best.codec, rows, None, uniform(1, 1.0))[1][77] == sentinel).all()


@pytest.mark.parametrize("row_shape", [(7,), (3, 4), (3, 4, 2), (2, 2, 2, 2)])
@pytest.mark.parametrize("axes", [(FLAT,), (FLAT, FLAT), (FLAT, 0), (0, 1), (1,)])
def test_differences_along_any_axes_are_undone(random, row_shape, axes):
    codes = random.integers(-(2**63), 2**63 - 1, (5, *row_shape))

    assert (undo_differences(take_differences(codes, axes), axes) == codes).all()


def test_a_signal_cut_into_windows_is_predicted_along_the_row(random):
    time = np.arange(40_000)
    signal = np.sin(time / 30) + np.sin(time / 7) + random.normal(scale=0.001, size=time.size)
    entries = sizes(contest(signal.reshape(2000, 20), uniform(20, 0.01)))

    assert entries["differences, xz"] < 0.6 * entries["grid, xz"]
    steps = np.diff(np.rint(signal / 0.02), prepend=0).astype(np.int8)
    peer = pa.Codec("zstd", compression_level=19).compress(steps.tobytes(), asbytes=True)
    assert min(entries.values()) <= len(peer)


def test_an_image_is_predicted_along_both_axes(random):
    y, x = np.mgrid[:16, :16]
    waves = [np.sin(x / a + y / b) for a, b in random.uniform(4, 12, (60, 2))]
    best = contest(np.array(waves), uniform(256, 0.01))[0]

    assert best.name.startswith(("differences", "sz3"))


def test_gaps_do_not_break_the_prediction(random):
    signal = np.cumsum(random.normal(scale=0.01, size=8_000))
    clean = sizes(contest(signal.reshape(400, 20), uniform(20, 0.01)))
    signal[random.choice(8_000, 40, replace=False)] = np.nan
    gaps = sizes(contest(signal.reshape(400, 20), uniform(20, 0.01)))

    assert gaps["differences, xz"] < clean["differences, xz"] + 300


@pytest.mark.parametrize("asked", [5e-324, 1e-310, 1e-305])
def test_the_smallest_bounds_are_held_exactly(random, asked):
    rows = random.normal(size=(500, 4)) * 1e-310
    for bound in (uniform(4, asked), Bound(np.full(4, np.inf), rmse=asked)):
        entries = contest(rows, bound)
        backs = [encode_block(entry.codec, rows, None, bound)[1] for entry in entries]

        assert entries
        assert all(rmse(rows, back) <= asked for back in backs)


def test_an_rmse_is_measured_where_squares_are_too_small_or_too_large():
    rows = np.array([[3.0, 4.0]])

    for unit in (1e-200, 1.0, 1e200):
        assert rmse(unit * rows, 0 * rows) == pytest.approx(unit * np.sqrt(12.5))


@pytest.mark.parametrize(
    "dtype",
    [
        pytest.param("int64", marks=pytest.mark.slow),
        pytest.param("uint64", marks=pytest.mark.slow),
        "float64",
    ],
)
def test_a_lossless_codec_keeps_sentinels_exactly_where_only_the_rmse_is_bounded(random, dtype):
    rows = random.integers(0, 100, (500, 3)).astype(dtype)
    rows[::9, 1] = 1e300 if dtype == "float64" else np.iinfo(dtype).max
    bound = Bound(np.full(3, np.inf), rmse=0.3)
    entries = hold_contest(Sample(rows, None, (3,), len(rows)), bound)

    lossless = next(each for each in entries if each.name.startswith("lossless"))
    blocks = Blocks(BoundedPlan({}, bound, [lossless]), lambda latents: latents)
    assert (blocks.add(rows, np.empty((500, 0), np.float32), unseen=False) == rows).all()


# codes of one byte, of more bytes, and a distribution for which zstd takes many more bytes
@pytest.mark.parametrize(
    ("tolerance", "power", "coder"),
    [(0.05, 1, "fast zstd"), (0.001, 1, "pco"), (0.0, 1, "pco"), (0.05, 3, "pco")],
)
def test_a_fast_contest_packs_bytes_by_zstd_if_that_takes_few_more_and_holds_the_bound(
    tolerance, power, coder
):
    rows = np.random.default_rng(0).normal(size=(30_000, 4)).astype(np.float32)
    rows = rows**power / 4 ** (power - 1)
    rows[7, 2] = np.nan
    bound = uniform(4, tolerance)
    entries = hold_contest(Sample(rows, None, (4,), len(rows)), bound, fast=True)
    codec = entries[0].codec
    assert codec is not None
    block, back = encode_block(codec, rows, None, bound)

    assert codec.coder == coder
    assert {entry.name for entry in entries} <= {"grid, fast zstd", "grid, pco", "lossless, pco"}
    assert decode_block(block, 4, "float32", None).tobytes() == back.tobytes()
    assert np.nanmax(np.abs(back - rows)) <= tolerance


def test_a_column_that_pcodec_cannot_read_is_reported():
    with pytest.raises(DamagedError, match="packed values cannot be read"):
        unpack_numbers(b"nothing that pcodec wrote", 3)
    with pytest.raises(DamagedError, match="expected 3 in a column, got 2"):
        unpack_numbers(pack_numbers(np.arange(2)), 3)
