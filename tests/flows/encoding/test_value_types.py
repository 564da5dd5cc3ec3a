"""Every kind of value through a store: exact, within the bound, or refused by name."""

from __future__ import annotations

import math
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bench import JOB, Bench, rows_of

pytestmark = pytest.mark.slow

WHOLE = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
FLOATS = ("float16", "float32", "float64")
BOUNDS = ((), ("max_error=0.5",), ("max_rmse=0.3",))
COLUMNS = ("plain", "constant", "signed_zero", "sentinel", "far", "near", "gaps")
N = 120


@pytest.fixture(scope="module")
def trained_on_table(tmp_path_factory):
    """A folder with a model of a table of floats, in whose place other types come at night."""
    folder = tmp_path_factory.mktemp("types")
    text = JOB.replace("clean.npy", "clean.parquet").replace("{date}.npy", "{date}.parquet")
    text = text.replace("[model]", 'missing = "impute"\n[model]')
    (folder / "small.toml").write_text(text)
    rows = rows_of(400, 0, len(COLUMNS))
    pq.write_table(pa.table(dict(zip(COLUMNS, rows.T, strict=True))), folder / "clean.parquet")
    result = Bench(folder).run("train", folder / "small.toml")
    assert result.code == 0, result.err
    return folder


@pytest.fixture
def table_bench(trained_on_table, tmp_path, monkeypatch):
    # for speed: each step of the search for a codec's widest tolerance starts SZ3
    monkeypatch.setattr("storage.codecs.candidates.SEARCH_STEPS", 2)
    shutil.copytree(trained_on_table, tmp_path / "job", copy_function=shutil.copy2)
    return Bench(tmp_path / "job")


def values_of(name, dtype, *, gaps=True):
    """A column (N,) of `dtype` with what is hard about it: extremes, signed zeros, or gaps."""
    random, kind = np.random.default_rng(len(name)), np.dtype(dtype)
    values = (random.normal(size=N) * 20).astype(np.float64)
    values = (abs(values) if kind.kind in "ub" else values).astype(kind)
    if kind.kind == "b":
        return pa.array(values, mask=random.random(N) < 0.2 if gaps and name == "gaps" else None)
    limits = np.finfo(kind) if kind.kind == "f" else np.iinfo(kind)
    if name == "constant":
        values[:] = 7
    elif name == "signed_zero":
        values[::3] = -0.0 if kind.kind == "f" else 0
    elif name == "sentinel":
        values[::9] = limits.min
    elif name == "far":
        values[::5] = 1e300 if dtype == "float64" else limits.max
    elif name == "near" and kind.kind == "f":
        values[::5] = 1e-300 if dtype == "float64" else limits.tiny
    missing = random.random(N) < 0.2 if gaps and name == "gaps" else None
    return pa.array(values, mask=missing)


def round_trip(bench, table, bound, *settings):
    """Encode and decode a table; the result of encode, and the decoded table if it went well."""
    night, store, back = (bench.folder / name for name in ("night.parquet", "st", "back.parquet"))
    pq.write_table(table, night)
    words = [word for each in bound for word in ("--set", f"encode.{each}")]
    words += [word for each in settings for word in ("--set", each)]
    result = bench.run("encode", bench.job, "--source", night, "--out", store, *words)
    if result.code:
        return result, None
    decoded = bench.run("decode", store, "--out", back)
    assert decoded.code == 0, decoded.err
    return result, pq.read_table(back)


def apart(value, other):
    """The exact difference of two values; infinity if only one of them is missing."""
    gone = [each is None or math.isnan(each) for each in (value, other)]
    if any(gone):
        return 0 if all(gone) else math.inf
    exact = abs(int(value) - int(other)) if isinstance(value, int) else abs(value - other)
    return math.inf if math.isnan(exact) else exact


def require_kept(table, back, report, bound):
    """Types, gaps and finiteness are kept, and no value is farther off than is said."""
    assert back.schema.types == table.schema.types
    assert back.column_names == table.column_names
    pairs = [
        pair
        for name in table.column_names
        for pair in zip(table[name].to_pylist(), back[name].to_pylist(), strict=True)
    ]
    off = [apart(*pair) for pair in pairs]
    assert max(off) <= report["loss"]["largest"] * (1 + 1e-12)
    if bound == ("max_error=0.5",):
        assert max(off) <= 0.5
        assert [str(a) for a, _ in pairs if a == 0] == [str(b) for a, b in pairs if a == 0]
    if bound == ("max_rmse=0.3",):
        known = [each for each, (value, _) in zip(off, pairs, strict=True) if value is not None]
        assert math.sqrt(sum(each * each for each in known) / len(known)) <= 0.3


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("dtype", [*FLOATS, *WHOLE, "bool"])
def test_values_of_one_type_come_back_in_it_and_none_is_silently_changed(table_bench, dtype, bound):
    columns = [name for name in COLUMNS if dtype in FLOATS or name != "gaps"]
    table = pa.table({name: values_of(name, dtype) for name in columns})
    if "gaps" not in columns:
        table = table.append_column("gaps", values_of("plain", dtype))
    settings = () if dtype in FLOATS else ("data.missing=error",)
    result, back = round_trip(table_bench, table, bound, *settings)

    assert result.code == 0, result.err
    require_kept(table, back, result.facts["report"], bound)


@pytest.mark.parametrize("bound", BOUNDS)
def test_columns_of_many_types_each_come_back_in_their_own_with_their_gaps(table_bench, bound):
    names = ("int64", "int8", "float32", "bool", "uint16", "float16", "int32")
    types = dict(zip(COLUMNS, names, strict=True))
    table = pa.table({name: values_of(name, types[name]) for name in COLUMNS})
    for index, name in enumerate(("sentinel", "near")):  # of bool and float16
        values = table[name].to_pylist()
        values[3 + index] = None
        column = pa.array(values, table[name].type)
        table = table.set_column(table.column_names.index(name), name, column)
    result, back = round_trip(table_bench, table, bound)

    assert result.code == 0, result.err
    require_kept(table, back, result.facts["report"], bound)


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_whole_numbers_near_2_60_hold_a_bound_exactly(table_bench, dtype, bound):
    random = np.random.default_rng(3)
    values = (2**60 + random.integers(0, 1000, (len(COLUMNS), N))).astype(dtype)
    table = pa.table(dict(zip(COLUMNS, values, strict=True)))
    result, back = round_trip(table_bench, table, bound, "data.missing=error")

    assert result.code == 0, result.err
    require_kept(table, back, result.facts["report"], bound)


@pytest.mark.parametrize("beside", ["float64", "float32", "uint64", "gap"])
def test_whole_numbers_that_float64_would_round_are_refused_by_name(table_bench, beside):
    table = pa.table({name: values_of("plain", "int64") for name in COLUMNS})
    if beside != "gap":
        table = table.set_column(0, "plain", values_of("plain", beside))
    table = table.set_column(4, "far", pa.array([5, 2**60 + 1] * (N // 2)))
    missing = "impute" if beside == "gap" else "error"
    result, _ = round_trip(table_bench, table, ("max_error=0.5",), f"data.missing={missing}")

    assert result.code == 2
    assert "row 1, column far: expected whole numbers below 2^53" in result.err
    assert "got 1152921504606846977" in result.err


@pytest.mark.parametrize("dtype", FLOATS)
def test_infinities_are_refused_by_name(table_bench, dtype):
    values = values_of("plain", dtype).to_numpy().copy()
    values[7] = -np.inf
    table = pa.table({name: values_of("plain", dtype) for name in COLUMNS})
    result, _ = round_trip(table_bench, table.set_column(2, "signed_zero", pa.array(values)), ())

    assert result.code == 2
    assert "row 7, column signed_zero: expected a number, got -inf" in result.err


@pytest.mark.parametrize("format", ["hdf5", "parquet"])
def test_without_a_bound_gaps_stay_gaps(table_bench, format):
    random = np.random.default_rng(1)
    rows = rows_of(N, 4, len(COLUMNS))
    rows[random.random(rows.shape) < 0.1] = np.nan
    table = pa.table(dict(zip(COLUMNS, rows.T, strict=True)))
    result, back = round_trip(table_bench, table, (f"format={format}",))
    assert result.code == 0, result.err

    found = np.stack([back[name].to_numpy() for name in COLUMNS], axis=1)
    assert (np.isnan(found) == np.isnan(rows)).all()


@pytest.mark.parametrize("value", [1e39, 1e200, -np.finfo(float).max])
@pytest.mark.parametrize("settings", [("format=hdf5",), ("format=parquet",), ("measure=sample",)])
def test_rows_that_latents_cannot_hold_come_back_exactly(table_bench, settings, value):
    rows = rows_of(N, 4, len(COLUMNS))
    rows[: N // 3, 2] = value
    table = pa.table(dict(zip(COLUMNS, rows.T, strict=True)))
    result, back = round_trip(table_bench, table, settings)
    assert result.code == 0, result.err

    found = np.stack([back[name].to_numpy() for name in COLUMNS], axis=1)
    assert (found[: N // 3] == rows[: N // 3]).all()
    assert np.abs(found - rows)[N // 3 :].max() < 10


def test_a_bound_near_the_end_of_float64_is_held(table_bench):
    rows = rows_of(N, 4, len(COLUMNS)) * 1e-310
    table = pa.table(dict(zip(COLUMNS, rows.T, strict=True)))
    result, back = round_trip(table_bench, table, ("max_error=5e-324",))

    assert result.code == 0, result.err
    found = np.stack([back[name].to_numpy() for name in COLUMNS], axis=1)
    assert np.abs(found - rows).max() <= 5e-324
