"""A sample is spread over the whole source, in blocks of adjacent rows."""

from __future__ import annotations

import gzip

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage.errors import SourceError
from storage.sources import open_source, spread
from storage.sources.spread import MOST_ADJACENT, spread_rows

N = 5_000
MOST = 640


def write_npy(path):
    np.save(path / "a.npy", np.arange(2 * N, dtype=np.float64).reshape(N, 2))
    return path / "a.npy"


def write_parquet(path):
    table = pa.table({"a": np.arange(0, 2 * N, 2) * 1.0, "b": np.arange(1, 2 * N, 2) * 1.0})
    pq.write_table(table, path / "a.parquet", row_group_size=700)
    return path / "a.parquet"


def csv_lines(start, stop):
    return "".join(f"{2 * row},{2 * row + 1}\n" for row in range(start, stop))


def write_csv(path):
    (path / "a.csv").write_text("a,b\n" + csv_lines(0, N))
    return path / "a.csv"


def write_gzip(path):
    (path / "a.csv.gz").write_bytes(gzip.compress(f"a,b\n{csv_lines(0, N)}".encode()))
    return path / "a.csv.gz"


def write_folder(path):
    for part in range(5):
        text = "a,b\n" + csv_lines(part * N // 5, (part + 1) * N // 5)
        (path / f"{part}.csv").write_text(text)
    return path


WRITERS = [write_npy, write_parquet, write_csv, write_gzip, write_folder]


def sample(path, most=MOST):
    with open_source(path, missing="impute", keep=most) as source:
        return spread_rows(source, most)


def rows_sampled(found):
    assert (found[:, 1] == found[:, 0] + 1).all()
    return (found[:, 0] / 2).astype(int)


@pytest.mark.parametrize("read", [10**9, 2_000], ids=["in a pass", "in pieces"])
@pytest.mark.parametrize("write", WRITERS)
def test_rows_come_from_everywhere_in_order(tmp_path, monkeypatch, write, read):
    monkeypatch.setattr(spread, "VALUES_READ", read)
    rows = rows_sampled(sample(write(tmp_path)))

    assert (np.diff(rows) > 0).all()
    assert MOST // 2 <= len(rows) <= 1.2 * MOST
    assert np.histogram(rows, 4, (0, N))[0].min() > len(rows) // 8


@pytest.mark.parametrize("write", WRITERS)
def test_neighbors_stay_together(tmp_path, write):
    rows = rows_sampled(sample(write(tmp_path)))

    assert (np.diff(rows) == 1).mean() >= 1 - 1.5 / MOST_ADJACENT


@pytest.mark.parametrize("write", WRITERS)
def test_a_small_source_is_read_whole(tmp_path, write):
    assert rows_sampled(sample(write(tmp_path), most=N)).tolist() == list(range(N))


def test_a_broken_cell_in_csv_is_a_gap_and_the_pass_starts_anew(tmp_path):
    path = write_csv(tmp_path)
    path.write_text(path.read_text().replace("\n8000,8001\n", "\nbad,8001\n"))
    found = sample(path, most=N)

    assert np.flatnonzero(np.isnan(found[:, 0])).tolist() == [4_000]
    assert found[-1].tolist() == [9_998.0, 9_999.0]


def test_an_infinity_in_csv_is_named_by_its_row(tmp_path):
    path = write_csv(tmp_path)
    path.write_text(path.read_text().replace("\n8000,8001\n", "\ninf,8001\n"))

    with pytest.raises(SourceError, match=r"row 4000.*column a: expected a number, got inf"):
        sample(path, most=N)


@pytest.mark.parametrize("write", WRITERS)
def test_a_sample_of_wide_rows_is_bounded_by_its_values(tmp_path, monkeypatch, write):
    monkeypatch.setattr(spread, "MOST_VALUES", 2 * MOST)

    assert len(sample(write(tmp_path), most=N)) <= 1.2 * MOST


def test_rows_of_a_million_values_are_read_a_few_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(spread, "MOST_VALUES", 20)
    monkeypatch.setattr(spread, "VALUES_READ", 100)

    assert len(sample(write_npy(tmp_path), most=N)) == 10
