"""score --in-sample: one file, no clean set."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bench import JOB, Bench, rows_of, tree

FAST = JOB.replace("epochs = 15", "epochs = 4")


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """A job over one contaminated Parquet file with ids, scored in-sample; and the result."""
    folder = tmp_path_factory.mktemp("one-file")
    rows = rows_of(600, 0)
    group = np.random.default_rng(1).choice([-9.0, 9.0], size=8)
    rows[100:112] = rows[100:112] * 0.01 + group
    names = [f"f{each}" for each in range(8)]
    table = pa.table(
        {"key": [f"k{each}" for each in range(600)], **dict(zip(names, rows.T, strict=True))}
    )
    pq.write_table(table, folder / "all.parquet")
    job = FAST.replace('clean = "clean.npy"', 'clean = "all.parquet"\nid = "key"')
    (folder / "small.toml").write_text(job)
    bench = Bench(folder)
    return bench, bench.run("score", bench.job, "--in-sample")


def test_it_needs_no_trained_model_and_ranks_the_group_first(scored):
    _, result = scored
    assert result.code == 0, result.err
    folder = result.facts["path"]
    outliers = pq.read_table(f"{folder}/outliers.parquet")

    assert folder.endswith("reports/small/in-sample/rev=1")
    assert result.facts["rows"] == 600
    assert set(outliers.column("id").to_pylist()[:5]) <= {f"k{each}" for each in range(100, 112)}


def test_all_rows_have_scores_with_their_ids(scored):
    bench, _ = scored
    parts = pq.read_table(bench.workspace / "scores" / "small" / "in-sample" / "part-00000.parquet")
    ids, scores = (parts.column(name).to_pylist() for name in ("id", "error"))
    order = np.argsort(scores)[::-1]

    assert ids == [f"k{each}" for each in range(600)]
    assert {ids[each] for each in order[:12]} == {f"k{each}" for each in range(100, 112)}


def test_the_report_promises_nothing(scored):
    bench, result = scored
    summary = json.loads((bench.folder / result.facts["path"] / "summary.json").read_text())
    page = (bench.folder / result.facts["path"] / "report.html").read_text()

    assert not summary["promises"]
    assert summary["promise"].startswith("No guarantee: no clean rows are known.")
    assert summary["verdict"].startswith("REVIEW")
    assert "never used in training" not in page


def test_unchanged_rows_are_not_scored_again(scored):
    bench, _ = scored
    before = tree(bench.workspace)
    again = bench.run("score", bench.job, "--in-sample")

    assert (again.code, again.facts["written"]) == (0, False)
    assert tree(bench.workspace) == before


def test_other_settings_make_a_new_revision_with_the_same_scores_format(scored):
    bench, _ = scored
    again = bench.run("score", bench.job, "--in-sample", "--set", "train.trim=0.05")

    assert (again.facts["revision"], again.facts["written"]) == (2, True)
    assert (bench.workspace / "superseded" / "small" / "in-sample" / "rev=1").exists()


def test_nights_and_status_do_not_list_it(scored):
    bench, _ = scored

    assert not list((bench.workspace / "reports" / "small").glob("nights-*"))
    assert bench.run("status", bench.job).code == 1  # only because there is no model
    for path in bench.workspace.glob("*/small/in-sample"):
        assert bench.run("prune", bench.job, "--yes").code == 0
        assert path.exists()


@pytest.mark.parametrize(
    "words", [["--date", "2026-11-22"], ["--source", "x.npy"], ["--model", "as-of"], ["--prefect"]]
)
def test_options_of_a_night_are_refused(scored, words):
    bench, _ = scored
    result = bench.run("score", bench.job, "--in-sample", *words)

    assert result.code == 2
    assert f"omit {words[0]}" in result.err


def test_copies_of_a_row_are_judged_by_a_model_that_saw_none_of_them():
    from aemodel.training.cross_fit import fold_of

    rows = np.repeat(rows_of(50, 3), 4, axis=0)
    folds = fold_of(rows).reshape(50, 4)

    assert (folds == folds[:, :1]).all()
    assert len(np.unique(folds)) == 5


def test_rows_are_scaled_by_their_entity_where_the_job_names_columns(tmp_path):
    rows, machines = rows_of(600, 0), ["M1", "M2"] * 300
    rows[::2] += 1_000
    names = [f"f{each}" for each in range(8)]
    columns = dict(zip(names, rows.T, strict=True))
    pq.write_table(pa.table({"machine": machines, **columns}), tmp_path / "all.parquet")
    data = f'clean = "all.parquet"\nentity = "machine"\ncolumns = {json.dumps(names)}'
    (tmp_path / "small.toml").write_text(FAST.replace('clean = "clean.npy"', data))
    bench = Bench(tmp_path)
    result = bench.run("score", bench.job, "--in-sample")

    assert result.code == 0, result.err
    outliers = pq.read_table(tmp_path / result.facts["path"] / "outliers.parquet")
    assert outliers["cause"][0].as_py().startswith("machine 'M")


def test_a_job_that_holds_out_whole_blocks_is_judged_by_rows(tmp_path):
    (tmp_path / "all").mkdir()
    for day in range(3):
        columns = {f"f{each}": values for each, values in enumerate(rows_of(100, day).T)}
        pq.write_table(pa.table(columns), tmp_path / f"all/{day}.parquet")
    (tmp_path / "small.toml").write_text(FAST.replace("clean.npy", "all"))
    bench = Bench(tmp_path)
    result = bench.run("score", bench.job, "--in-sample", "--set", "train.split=blocks")

    assert (result.code, result.facts.get("rows")) == (0, 300), result.err


def test_levels_that_the_models_know_in_other_orders_are_scored(tmp_path):
    random = np.random.default_rng(2)
    levels = [f"l{each}" for each in random.zipf(1.3, 400) % 90]
    levels[7] = "nowhere else"
    table = pa.table({"x": random.normal(size=400), "y": random.normal(size=400), "level": levels})
    pq.write_table(table, tmp_path / "all.parquet")
    job = FAST.replace('clean = "clean.npy"', 'clean = "all.parquet"')
    job = job.replace("[score]", '[score]\nby = "novelty"')
    (tmp_path / "small.toml").write_text(job)
    bench = Bench(tmp_path)
    result = bench.run("score", bench.job, "--in-sample", "--set", "score.top_n=400")

    assert result.code == 0, result.err
    outliers = pq.read_table(f"{result.facts['path']}/outliers.parquet").to_pylist()
    cause = next(each["cause"] for each in outliers if each["row"] == 7)
    assert cause.startswith("level 'nowhere else' never seen")
