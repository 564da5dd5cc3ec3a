"""The files of the clean rows as blocks: split, drift and promises through the commands."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bench import DAY, JOB, Bench, rows_of

from aemodel.settings import TrainSettings
from flows.training.rows.blocks import find_blocks
from flows.training.rows.clean_rows import DigestedPasses
from storage.sources import open_source, relative_names

pytestmark = pytest.mark.slow

ROWS = 120  # of every file


def write_day(path, seed, *, level=1.0):
    """Write rows of which the part off the plane is `level` times as large."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = rows_of(ROWS, seed, 4)
    rows += 0.05 * (level - 1) * np.random.default_rng(seed).normal(size=rows.shape)
    pq.write_table(pa.table({name: rows[:, place] for place, name in enumerate("abcd")}), path)


@pytest.fixture
def daily(tmp_path):
    """A job on twenty files of days whose noise differs, untrained."""
    text = JOB.replace("clean.npy", "clean").replace(".npy", ".parquet")
    (tmp_path / "small.toml").write_text(text.replace("[score]", 'split = "blocks"\n[score]'))
    for number in range(20):
        level = np.exp(0.4 * np.random.default_rng(number).normal())
        write_day(tmp_path / f"clean/{number:02}.parquet", number, level=level)
    write_day(tmp_path / f"nights/{DAY}.parquet", 99, level=1.3)
    return Bench(tmp_path)


def numbers_in_pass(passes):
    """The block of every row of one pass."""
    found, row = [], 0
    for rows in passes():
        found += passes.blocks.numbers(row, row := row + len(rows)).tolist()
    return found


def summary_of(result):
    return json.loads((Path(result.facts["path"]) / "summary.json").read_text())


def test_a_night_is_compared_with_files_and_its_promise_names_them(daily):
    trained = daily.run("train", daily.job)
    model = json.loads((Path(trained.facts["path"]) / "model.json").read_text())
    summary = summary_of(daily.score())

    assert model["blocks"] == "files"
    assert model["training_data"]["calibration_rows"] == 6 * ROWS
    assert summary["drift"]["blocks"] == 8  # and two for validation
    assert summary["drift"]["alarm"] is False
    assert summary["promises"] is False
    assert "it would rest on 6 calibration files" in summary["promise"]


def test_a_night_beyond_all_files_is_drift_and_the_report_says_so(daily):
    daily.run("train", daily.job)
    write_day(daily.folder / f"nights/{DAY}.parquet", 99, level=200)
    result = daily.score()
    page = (Path(result.facts["path"]) / "report.html").read_text()

    assert result.facts["verdict"] == "DRIFT"
    assert "more than 8 clean files differ" in page


def test_files_that_differ_withhold_the_promise_if_rows_are_split(daily):
    daily.run("train", daily.job, "--set", 'train.split="occurrence"')
    summary = summary_of(daily.score())

    assert (summary["promises"], summary["limit"]) == (False, None)
    assert 'set train.split = "blocks" to hold out whole files' in summary["promise"]


def test_training_on_blocks_twice_gives_the_same_model_and_encode_finds_its_rows(daily):
    first = daily.run("train", daily.job).facts
    again = daily.run("train", daily.job).facts
    encoded = daily.run("encode", daily.job, "--date", DAY, "--set", "encode.max_error=0.1")

    assert first["model_id"] == again["model_id"]
    assert encoded.code == 0


def test_one_file_is_too_few_for_blocks(daily):
    result = daily.run("train", daily.job, "--set", 'data.clean="clean/00.parquet"')

    assert result.code == 2
    assert (
        "train.split = 'blocks' needs clean rows of several files, days, or entities" in result.err
    )


def test_rows_with_broken_cells_are_counted_in_no_file(tmp_path):
    for name, broken in (("a", 1), ("b", 0), ("c", 19)):
        cells = [str(number) for number in range(20)]
        cells[broken] = "?"
        (tmp_path / f"{name}.csv").write_text("\n".join(["x", *cells, ""]))
    with open_source(tmp_path) as source:
        passes = DigestedPasses(source, 7, find_blocks(source, TrainSettings()))

        assert passes.blocks.names == ("a.csv", "b.csv", "c.csv")
        for _ in range(2):
            assert numbers_in_pass(passes) == np.repeat([0, 1, 2], 19).tolist()


def test_a_file_is_named_by_its_path_below_the_folder_or_the_wildcard(tmp_path):
    file = tmp_path / "day=1" / "a.parquet"

    assert relative_names(tmp_path, [file]) == ["day=1/a.parquet"]
    assert relative_names(tmp_path / "*" / "a.parquet", [file]) == ["day=1/a.parquet"]
