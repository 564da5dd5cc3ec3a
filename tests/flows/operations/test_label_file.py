"""Ids come back from outliers.csv as they were, whatever characters they hold."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from bench import DAY
from hostile import TEXTS

from flows.operations.label_file import read_label_file
from flows.operations.reported_rows import ReportedRows
from storage.nights.outliers import spreadsheet_table
from storage.nights.revisions import NightPlace

IDS = list(dict.fromkeys(TEXTS))


@pytest.fixture
def reported(tmp_path):
    """A report that lists a row for each of IDS, in their order."""
    place = NightPlace(tmp_path, "small", DAY)
    place.report(1).mkdir(parents=True)
    table = pa.table({"id": IDS, "row": range(len(IDS)), "flagged": [True] * len(IDS)})
    pq.write_table(table, place.report(1) / "outliers.parquet")
    return ReportedRows.of_newest(place)


def labels_of(ids):
    return pa.table({"date": [DAY] * len(ids), "id": ids, "label": ["outlier"] * len(ids)})


def rows_found(reported, file):
    lines = list(read_label_file(file))
    return [reported.find(each.id, each.row, exported=each.exported).row for each in lines]


def test_every_id_of_outliers_csv_names_its_own_row(reported, tmp_path):
    pa_csv.write_csv(spreadsheet_table(labels_of(IDS)), tmp_path / "labels.csv")

    assert rows_found(reported, tmp_path / "labels.csv") == list(range(len(IDS)))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_so_does_a_file_that_a_spreadsheet_saved_with_semicolons(reported, tmp_path, encoding):
    pa_csv.write_csv(
        spreadsheet_table(labels_of(IDS)),
        tmp_path / "plain.csv",
        pa_csv.WriteOptions(delimiter=";"),
    )
    text = (tmp_path / "plain.csv").read_text(encoding="utf-8")
    (tmp_path / "labels.csv").write_text(text, encoding=encoding, newline="")

    assert rows_found(reported, tmp_path / "labels.csv") == list(range(len(IDS)))


def test_every_id_of_a_parquet_file_names_its_own_row(reported, tmp_path):
    pq.write_table(labels_of(IDS), tmp_path / "labels.parquet")

    assert rows_found(reported, tmp_path / "labels.parquet") == list(range(len(IDS)))


def test_an_id_may_be_written_as_it_is_in_the_data(reported, tmp_path):
    (tmp_path / "labels.csv").write_text(f"date,id,label\n{DAY},=cmd|' /C calc'!A0,normal\n")

    assert rows_found(reported, tmp_path / "labels.csv") == [0]
