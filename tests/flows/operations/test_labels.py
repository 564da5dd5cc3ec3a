"""label: which rows of a report the lines of a label file mean."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bench import DAY, Bench

IDS = ["a", "b", " edge ", "a", "=1+1", "c", "c", "\n-x"]


@pytest.fixture(scope="module")
def scored_folder(trained_folder, tmp_path_factory):
    """A scored night of a job whose ids repeat: rows 0 to 7 have IDS; 0, 2 and 4 to 7 stand out."""
    folder = tmp_path_factory.mktemp("repeating") / "job"
    bench = Bench(shutil.copytree(trained_folder, folder, copy_function=shutil.copy2))
    rows = np.load(bench.night(outliers=8))
    rows[[1, 3]] = rows[[8, 9]]
    ids = [*IDS, *(f"r{each}" for each in range(len(rows) - len(IDS)))]
    columns = {f"c{each}": rows[:, each] for each in range(8)}
    pq.write_table(pa.table({"id": ids, **columns}), bench.folder / "night.parquet")
    clean = np.load(bench.folder / "clean.npy")
    columns = {f"c{each}": clean[:, each] for each in range(8)}
    pq.write_table(
        pa.table({"id": list(map(str, range(len(clean)))), **columns}),
        bench.folder / "clean.parquet",
    )
    bench.job.write_text(
        bench.job.read_text()
        .replace("clean.npy", "clean.parquet")
        .replace("[model]", 'id = "id"\n[model]')
        .replace("top_n = 5", "top_n = 300")
    )
    bench.run("train", bench.job)
    scored = bench.score("--source", bench.folder / "night.parquet")
    assert scored.code == 0, scored.err
    return folder


@pytest.fixture
def repeating(scored_folder, tmp_path):
    """A copy of the scored night, to do anything to."""
    return Bench(shutil.copytree(scored_folder, tmp_path / "job", copy_function=shutil.copy2))


def label(bench, *lines, columns="date,id,label"):
    file = bench.folder / "checked.csv"
    file.write_text("\n".join([columns, *lines]) + "\n", newline="")
    return bench.run("label", bench.job, file)


def test_of_rows_with_one_id_the_only_flagged_one_is_labeled(repeating):
    found = label(repeating, f"{DAY},a,outlier").facts

    assert (found["labelled"], found["right"]) == (1, 1)


def test_an_id_of_several_flagged_rows_needs_the_row(repeating):
    refused = label(repeating, f"{DAY},c,outlier")
    lines = [f"{DAY},c,5,outlier", f"{DAY},c,6,normal"]
    found = label(repeating, *lines, columns="date,id,row,label").facts

    assert refused.code == 2
    assert "line 2: 2 rows in the report of 2026-11-22 have the id 'c' (" in refused.err
    assert "add a column 'row'" in refused.err
    assert (found["new"], found["labelled"], found["right"]) == (2, 2, 1)


def test_a_row_with_another_id_is_refused(repeating):
    refused = label(repeating, f"{DAY},c,0,outlier", columns="date,id,row,label")

    assert "row 0 of 2026-11-22 has the id 'a', not 'c'; no labels were imported" in refused.err


@pytest.mark.parametrize("written", [" edge ", "'=1+1", "=1+1", r"\u000a-x", '"\n-x"'])
def test_ids_are_found_as_they_are_and_as_the_csv_writes_them(repeating, written):
    found = label(repeating, f"{DAY},{written},outlier")

    assert (found.code, found.facts["right"]) == (0, 1), found.err


def test_score_notes_that_ids_repeat(repeating):
    report = repeating.workspace / f"reports/small/{DAY}/rev=1"
    note = (
        "ids repeat: 4 rows share their id with another row, first 'a'; "
        "label such rows by their row number"
    )

    assert note in json.loads((report / "summary.json").read_text())["notes"]


def test_the_ids_of_outliers_csv_can_be_labeled_in_a_locale_with_semicolons(repeating):
    found = label(repeating, f"{DAY};'=1+1;4;outlier", columns="date;id;row;label")

    assert (found.code, found.facts["right"]) == (0, 1), found.err


def test_two_lines_that_contradict_each_other_are_refused(repeating):
    found = label(repeating, f"{DAY},b,outlier", f"{DAY},b,normal")

    assert (found.code, "line 3: id 'b' of 2026-11-22 is 'normal' here" in found.err) == (2, True)
    assert not (repeating.workspace / "labels").exists()


def test_labels_are_imported_once_and_counted(bench, tmp_path):
    bench.night(outliers=4)
    bench.score()
    file = tmp_path / "checked.csv"
    file.write_text(f"date,id,label\n{DAY},0,outlier\n{DAY},1,normal\n")
    first = bench.run("label", bench.job, file).facts
    second = bench.run("label", bench.job, file).facts
    file.write_text(f"date,id,label\n{DAY},1,outlier\n")
    third = bench.run("label", bench.job, file).facts

    assert (first["new"], first["labelled"], first["right"]) == (2, 2, 1)
    assert (second["new"], second["labelled"], second["right"]) == (0, 2, 1)
    assert (third["new"], third["labelled"], third["right"]) == (1, 2, 2)


def test_label_files_keep_leading_zeros_of_ids(bench, tmp_path):
    columns = [f"c{index}" for index in range(8)]
    lines = [
        f"{row:05d},{','.join(map(str, values))}"
        for row, values in enumerate(np.load(bench.night(outliers=4)))
    ]
    (tmp_path / "night.csv").write_text("\n".join([f"id,{','.join(columns)}", *lines]))
    common = ["--set", f"data.clean={tmp_path / 'night.csv'}", "--set", "data.id=id"]
    assert bench.run("train", bench.job, *common).code == 0
    assert bench.score("--source", tmp_path / "night.csv", *common).code == 0
    (tmp_path / "checked.csv").write_text(f"date,id,label\n{DAY},00000,outlier\n")

    assert bench.run("label", bench.job, tmp_path / "checked.csv").facts["new"] == 1


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (f"{DAY},7777,normal", "id '7777' is not in the report"),
        (f"{DAY},0,odd", "label must be one of"),
    ],
)
def test_a_wrong_label_imports_nothing(bench, tmp_path, line, words):
    bench.night(outliers=4)
    bench.score()
    (tmp_path / "checked.csv").write_text(f"date,id,label\n{DAY},0,outlier\n{line}\n")
    result = bench.run("label", bench.job, tmp_path / "checked.csv")

    assert (result.code, f"line 3: {words}" in result.err) == (2, True)
    assert not (bench.workspace / "labels").exists()
