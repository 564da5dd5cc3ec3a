"""Days of a time column and entities as blocks: found, split, compared, and named in promises."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from bench import DAY, JOB, Bench, rows_of

from aemodel.rows.layout import Layout
from aemodel.settings import ModelSettings, TrainSettings
from aemodel.training.loop import CleanRows, train_autoencoder
from flows.errors import UsageError
from flows.training.rows.blocks import find_blocks
from flows.training.rows.clean_rows import DigestedPasses
from storage.sources import open_source, open_surveyed

pytestmark = pytest.mark.slow

DAYS, ROWS = 20, 120
BY_BLOCKS = ("--set", 'train.split="blocks"')


def table_of(days, *, seed=0, entity=False):
    """Rows in random order, of days or machines whose noise differs."""
    random = np.random.default_rng(seed)
    of_day = random.permutation(np.repeat(np.arange(days), ROWS))
    level = np.exp(0.4 * random.normal(size=days))[of_day, None]
    rows = rows_of(len(of_day), seed, 4)
    rows += 0.05 * (level - 1) * random.normal(size=rows.shape)
    columns = {name: rows[:, place] for place, name in enumerate("abcd")}
    if entity:
        return pa.table({**columns, "machine": [f"m{number}" for number in of_day]})
    minutes = random.integers(0, 24 * 60, len(of_day))
    start = datetime(2026, 10, 1, tzinfo=UTC)
    times = [
        start + timedelta(days=day, minutes=minute)
        for day, minute in zip(of_day.tolist(), minutes.tolist(), strict=True)
    ]
    return pa.table({**columns, "when": pa.array(times, pa.timestamp("s", "UTC"))})


def bench_of(folder, clean, night):
    (folder / "small.toml").write_text(JOB.replace(".npy", ".parquet"))
    (folder / "nights").mkdir()
    pq.write_table(clean, folder / "clean.parquet")
    pq.write_table(night, folder / f"nights/{DAY}.parquet")
    return Bench(folder)


@pytest.fixture
def daily(tmp_path):
    """A job on twenty days in one file, with rows in no order."""
    return bench_of(tmp_path, table_of(DAYS), table_of(2, seed=9))


def model_of(trained):
    assert trained.code == 0, trained.err
    return json.loads((Path(trained.facts["path"]) / "model.json").read_text())


def summary_of(result):
    return json.loads((Path(result.facts["path"]) / "summary.json").read_text())


def names_of_rows(source, blocks, *, most=7):
    """The name of the block of every row of a pass."""
    passes, found, row = DigestedPasses(source, most, blocks), [], 0
    for rows in passes():
        found += passes.blocks.numbers(row, row := row + len(rows)).tolist()
    return [blocks.names[number] for number in found]


def test_whole_days_are_held_out_and_a_promise_names_them(daily):
    model = model_of(daily.run("train", daily.job, *BY_BLOCKS))
    summary = summary_of(daily.score(*BY_BLOCKS))

    assert (model["blocks"], model["train"]["blocks"]) == ("days", "when")
    assert model["training_data"]["calibration_rows"] == 6 * ROWS
    assert summary["drift"]["blocks"] == 8  # and two for validation
    assert "it would rest on 6 calibration days" in summary["promise"]
    assert {"hour", "weekday"} <= {*model["layout"]["kinds"]}


def test_days_are_compared_if_rows_are_split(daily):
    assert model_of(daily.run("train", daily.job))["blocks"] == "days"
    summary = summary_of(daily.score())

    assert summary["drift"]["blocks"] == DAYS
    assert 'set train.split = "blocks" to hold out whole days' in summary["promise"]


def test_encode_and_the_gate_find_the_rows_of_held_out_days(daily):
    first = daily.run("train", daily.job, *BY_BLOCKS).facts
    second = daily.run("train", daily.job, *BY_BLOCKS, "--set", "train.seed=1").facts
    again = daily.run("train", daily.job, *BY_BLOCKS, "--set", "train.seed=1").facts
    encoded = daily.run("encode", daily.job, "--date", DAY, "--set", "encode.max_error=0.1")

    assert len({first["model_id"], second["model_id"]}) == 2
    assert "neither model was fitted" not in second["why"]
    assert again["model_id"] == second["model_id"]
    assert encoded.code == 0, encoded.err


@pytest.mark.parametrize("keys", ["ignore", "id"])
def test_a_column_that_is_no_feature_gives_days_too(daily, keys):
    value = '["when"]' if keys == "ignore" else '"when"'
    trained = daily.run("train", daily.job, *BY_BLOCKS, "--set", f"data.{keys}={value}")

    assert model_of(trained)["blocks"] == "days"


def test_whole_entities_are_held_out_if_there_are_neither_files_nor_days(tmp_path):
    bench = bench_of(tmp_path, table_of(DAYS, entity=True), table_of(2, seed=9, entity=True))
    entity = ("--set", 'data.entity="machine"')
    rows_split = model_of(bench.run("train", bench.job, *entity))
    model = model_of(bench.run("train", bench.job, *entity, *BY_BLOCKS))

    assert "blocks" not in rows_split
    assert (model["blocks"], model["train"]["blocks"]) == ("entities", "machine")
    assert "calibration entities" in summary_of(bench.score(*entity, *BY_BLOCKS))["promise"]


def test_days_count_on_the_clock_of_the_column_and_gaps_are_a_day_of_their_own(tmp_path):
    times = ["2026-11-21T22:30", "2026-11-21T23:30", None, "2026-11-22T12:00"]
    moments = pa.array([time and datetime.fromisoformat(f"{time}+00:00") for time in times])
    for zone, first in (("Europe/Berlin", "2026-11-21"), ("Asia/Tokyo", "2026-11-22")):
        column = moments.cast(pa.timestamp("us", zone))
        pq.write_table(pa.table({"a": [1.0, 2, 3, 4], "when": column}), tmp_path / "rows.parquet")
        with open_source(tmp_path / "rows.parquet", missing="impute") as source:
            blocks = find_blocks(source, TrainSettings(blocks="when"))
            found = names_of_rows(source, blocks, most=2)

        assert found == [first, "2026-11-22", "(no value)", "2026-11-22"]


def test_rows_with_broken_cells_are_counted_in_no_day(tmp_path):
    days = [f"2026-11-{day:02} 12:00:00" for day in (3, 1, 2, 1) for _ in range(10)]
    lines = [f"{'?' if row in (4, 39) else row},{day}" for row, day in enumerate(days)]
    (tmp_path / "rows.csv").write_text("\n".join(["a,when", *lines, ""]))

    with open_source(tmp_path / "rows.csv") as source:
        found = names_of_rows(source, find_blocks(source, TrainSettings(blocks="when")))
    assert found == [day[:10] for row, day in enumerate(days) if row not in (4, 39)]


def test_csv_and_parquet_name_the_same_days_and_levels(tmp_path):
    table = table_of(3).append_column("batch", pa.array(np.arange(3 * ROWS) % 4))
    pq.write_table(table, tmp_path / "rows.parquet")
    pa_csv.write_csv(table, tmp_path / "rows.csv")
    for name in ("when", "batch"):
        found = []
        for suffix in ("parquet", "csv"):
            with open_surveyed(tmp_path / f"rows.{suffix}", kinds={"when": ("hour",)}) as source:
                blocks = find_blocks(source, TrainSettings(blocks=name))
                found.append((blocks.kind, names_of_rows(source, blocks)))
        assert found[0] == found[1]


def test_files_come_before_days_unless_they_are_few(tmp_path):
    for number in range(5):
        pq.write_table(table_of(6, seed=number), tmp_path / f"{number}.parquet")
    with open_source(tmp_path) as source:
        assert find_blocks(source, TrainSettings()).kind == "files"
    (tmp_path / "4.parquet").unlink()
    with open_source(tmp_path) as source:
        assert find_blocks(source, TrainSettings()).kind == "days"
        assert find_blocks(source, TrainSettings(blocks="files")).kind == "files"


def test_of_two_time_columns_days_are_those_in_whose_order_rows_stand(tmp_path):
    table = table_of(6)  # in no order of `when`
    came_in = np.datetime64("2026-11-01") + np.arange(len(table)) // ROWS
    table = table.append_column("came_in", pa.array(came_in, pa.date32()))
    pq.write_table(table, tmp_path / "rows.parquet")
    pq.write_table(table.take(np.argsort(table["when"])), tmp_path / "sorted.parquet")
    for name, first in (("rows", "came_in"), ("sorted", "when")):
        with open_source(tmp_path / f"{name}.parquet") as source:
            assert find_blocks(source, TrainSettings()).by == first
            assert find_blocks(source, TrainSettings(blocks="came_in")).by == "came_in"


def test_too_many_days_are_no_blocks_and_refused_if_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr("flows.training.rows.blocks.MOST_BLOCKS", 5)
    pq.write_table(table_of(6), tmp_path / "rows.parquet")
    with open_source(tmp_path / "rows.parquet") as source:
        assert find_blocks(source, TrainSettings()) is None
        with pytest.raises(UsageError, match=r"train.blocks = 'when' must give at most 5 days"):
            find_blocks(source, TrainSettings(blocks="when"))


def test_streamed_rows_are_split_by_day_as_rows_in_memory_are(tmp_path):
    pq.write_table(table_of(10), tmp_path / "rows.parquet")
    model = ModelSettings(hidden=(4,), latent=2, output="identity", loss="mse", scaling="standard")
    train, found = TrainSettings(split="blocks", calibration=0.4, epochs=1), []
    with open_source(tmp_path / "rows.parquet", columns=list("abcd")) as source:
        passes = DigestedPasses(source, 50, find_blocks(source, train))
        layout = Layout(row_shape=(4,), dtype="float64", columns=tuple("abcd"))
        for memory in (10_000, 10**8):
            rows = CleanRows(passes, layout, memory, passes.shuffled(), passes.blocks)
            found.append(train_autoencoder(rows, model=model, train=train))

    streamed, kept = found
    assert (streamed.n_fit, streamed.n_calibration) == (5 * ROWS, 4 * ROWS)
    assert (kept.n_fit, kept.n_calibration) == (5 * ROWS, 4 * ROWS)
    assert {*streamed.model.measured.blocks.members[0]} == {*kept.model.measured.blocks.members[0]}


def test_blocks_that_cannot_be_are_refused_with_the_key(tmp_path):
    pq.write_table(table_of(6, entity=True), tmp_path / "rows.parquet")
    np.save(tmp_path / "rows.npy", np.ones((9, 2)))
    by_blocks = TrainSettings(split="blocks", blocks="machine")
    with open_source(tmp_path / "rows.parquet") as source:
        with pytest.raises(UsageError, match=r"levels that no fit row has. List 'machine' in data"):
            find_blocks(source, by_blocks)
        with pytest.raises(UsageError, match=r"train.blocks must be .*missing: 'machin' \(did you"):
            find_blocks(source, TrainSettings(blocks="machin"))
    refused = pytest.raises(UsageError, match=r"must be 'files' if data.clean is no table")
    with open_source(tmp_path / "rows.npy") as source, refused:
        find_blocks(source, by_blocks)
