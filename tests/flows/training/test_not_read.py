"""What is not read is named by train, its report, the night's summary, and init."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from bench import DAY, JOB, Bench, rows_of, trained_table

from flows.training.rows.clean_rows import DigestedPasses
from storage.sources import open_source


def csv_text(rows, *, bad_row=None, note=True):
    lines = [",".join(f"{value:.6g}" for value in row) for row in rows]
    if bad_row is not None:
        cells = lines[bad_row].split(",")
        lines[bad_row] = ",".join([cells[0], "?", *cells[2:]])
    lines = [f"{line},note {number}" for number, line in enumerate(lines)]
    return "\n".join(["a,b,c,note", *lines]) + "\n"


@pytest.fixture
def tables(tmp_path):
    """A job on a folder of CSV files, untrained."""
    (tmp_path / "small.toml").write_text(JOB.replace(".npy", ""))
    (tmp_path / "clean").mkdir()
    (tmp_path / f"nights/{DAY}").mkdir(parents=True)
    (tmp_path / "clean/old.xlsx").write_bytes(b"x")
    (tmp_path / "clean/rows.csv").write_text(csv_text(rows_of(800, 1, 3), bad_row=700))
    (tmp_path / f"nights/{DAY}/rows.csv").write_text(csv_text(rows_of(100, 2, 3)))
    return Bench(tmp_path)


def test_train_its_report_and_the_summary_name_columns_files_and_rows_not_read(tables):
    trained = tables.run("train", tables.job)
    page = (Path(trained.facts["path"]) / "training.html").read_text()
    scored = tables.score()
    summary = json.loads((Path(scored.facts["path"]) / "summary.json").read_text())

    assert (trained.code, trained.facts["rows"]) == (0, 799)
    assert trained.facts["not_read"] == {
        "columns not read": "note (ids: distinct in all rows)",
        "files not read": "old.xlsx",
        "clean rows left out": "1, each with an unreadable cell: "
        "1 (rows.csv, line 702, column b: '?')",
    }
    assert all(
        words in page
        for words in ("note (ids: distinct in all rows)", "old.xlsx", "line 702, column b: ")
    )
    assert summary["checks"]["columns not read"] == "note (ids: distinct in all rows)"


def test_encode_leaves_out_the_clean_rows_that_train_left_out(tables):
    tables.run("train", tables.job)
    result = tables.run("encode", tables.job, "--date", DAY, "--set", "encode.max_error=0.1")

    assert result.code == 0, result.err


def test_a_clean_row_whose_cell_is_no_time_is_left_out_and_named(tmp_path):
    lines = [f"{row},2026-11-22" for row in range(20)]
    (tmp_path / "rows.csv").write_text("\n".join(["a,day", *lines, "20,soon"]) + "\n")

    with open_source(tmp_path / "rows.csv", kinds={"day": ("weekday",)}) as source:
        passes = DigestedPasses(source, 8)
        assert sum(map(len, passes())) == 20
        assert passes.not_read["clean rows left out"] == (
            "1, each with an unreadable cell: 1 (rows.csv, line 22, column day: 'soon')"
        )


def test_train_says_on_the_terminal_what_it_did_not_read(tables):
    from typer.testing import CliRunner

    from flows.cli.app import app

    out = CliRunner().invoke(app, ["train", str(tables.job)]).stdout

    assert "  columns not read: note (ids: distinct in all rows)\n" in out
    assert "  clean rows left out: 1, each with an unreadable cell: 1 (rows.csv, line" in out


def test_a_line_break_in_a_column_name_starts_no_line_on_the_terminal(tmp_path):
    from typer.testing import CliRunner

    from flows.cli.app import app

    text = csv_text(rows_of(300, 1, 3)).replace("note\n", '"no\nte"\n', 1)
    (tmp_path / "clean.csv").write_text(text)
    (tmp_path / "small.toml").write_text(JOB.replace(".npy", ".csv"))
    out = CliRunner().invoke(app, ["train", str(tmp_path / "small.toml")]).stdout

    assert "  columns not read: no\\u000ate (ids: distinct in all rows)\n" in out


def test_rows_counted_in_a_pass_get_their_row_numbers_in_the_file(tmp_path):
    lines = ["a,b", *(f"{row},{'?' if row in (3, 4, 90) else row}" for row in range(100))]
    (tmp_path / "rows.csv").write_text("\n".join(lines))

    with open_source(tmp_path / "rows.csv") as source:
        passes = DigestedPasses(source, 7)
        rows = np.concatenate(list(passes()))[:, 0].astype(int).tolist()
        numbered = passes.source_rows([(index, 0.5) for index in range(97)])

    assert [row for row, _ in numbered] == rows


def test_init_names_every_column_that_is_not_read(tmp_path):
    names = [f"text{index}" for index in range(90)]
    lines = ["a,b," + ",".join(names), *(f"{row}.5,2,{f'x{row},' * 89}x{row}" for row in range(60))]
    (tmp_path / "rows.csv").write_text("\n".join(lines))
    text = Bench(tmp_path).run("init", tmp_path / "rows.csv").facts["job"]

    listed = text.replace("\n# ", " ")
    assert f"columns not read: {', '.join(names)} (ids: distinct in all rows)" in listed


def test_a_column_that_loses_its_differences_is_named_by_train_inspect_and_the_report(tmp_path):
    columns = dict(zip("ab", rows_of(400, 1, 2).T, strict=True))
    columns["seq"] = 2**60 + np.arange(400) % 100
    job = JOB.replace(".npy", ".parquet").replace("epochs = 15", "epochs = 2")
    bench, trained, scored = trained_table(tmp_path, job, columns, columns)
    shown = bench.run("inspect", trained.facts["path"])
    summary = json.loads((Path(scored.facts["path"]) / "summary.json").read_text())
    lost = trained.facts["not_read"]["columns that lose small differences"]

    assert lost.startswith("seq (equal up to the rounding of float64 near 1.153e+18")
    assert shown.facts["columns that lose small differences"] == lost
    assert f"columns that lose small differences: {lost}" in summary["notes"]
