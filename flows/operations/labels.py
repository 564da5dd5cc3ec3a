"""label: record what analysts found out about flagged rows, and how often a flag was correct.

workspace/labels/<job>.jsonl     one label per line; the last label of a row counts
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from flows.errors import UsageError
from flows.jobs.dates import parse_date
from flows.jobs.job_file import read_job
from flows.jobs.workspace import Workspace, open_workspace
from flows.results import CommandResult
from storage.files.atomic import write_bytes
from storage.files.locks import lock
from storage.nights.revisions import NightPlace

LABELS = ("outlier", "normal")
COLUMNS = ("date", "id", "label")


@dataclass(frozen=True)
class Label:
    """What an analyst found out about one row: 'outlier' or 'normal'.

    flagged: 'yes' or 'no', whether the report flagged the row.
    """

    date: str
    id: str
    label: str
    flagged: str

    @property
    def key(self) -> tuple[str, str]:
        """Data date and id."""
        return self.date, self.id


@dataclass(frozen=True)
class Precision:
    """How many flagged rows are labeled, and how many of those are outliers."""

    labeled: int
    correct: int

    def to_json(self) -> dict[str, object]:
        """Return the keys for --json."""
        return {"labelled": self.labeled, "right": self.correct}

    def to_text(self) -> str:
        """Return one phrase for a terminal."""
        return f"{self.correct:,} of {self.labeled:,} labeled flags were correct"


def label_rows(job_path: Path, file: Path) -> CommandResult:
    """Import a CSV or Parquet file with the columns date, id and label ('outlier' or 'normal').

    Imports all labels or none. Raises UsageError for the first row that is not in a report.
    """
    job = read_job(job_path)
    workspace = open_workspace(job)
    imported = _read_label_file(workspace, file)
    with lock(workspace.lock("labels"), wait=60):
        known = _read_labels(workspace)
        new = [label for label in imported if known.get(label.key) != label]
        known |= {label.key: label for label in imported}
        path = _labels_path(workspace)
        _write_labels(path, known.values())
    precision = read_precision(workspace)
    return CommandResult(
        {"path": str(path), "new": len(new), **precision.to_json()},
        f"{len(new)} new labels; {precision.to_text()}\n  {path}",
    )


def _read_label_file(workspace: Workspace, file: Path) -> list[Label]:
    """Read and check the labels of a file; raises UsageError with the line of the first mistake."""
    labels = []
    for number, row in enumerate(_read_table(file).to_pylist(), start=2):  # line 1 is the header
        try:
            labels.append(_checked(workspace, row))
        except UsageError as error:
            raise UsageError(f"{file}: line {number}: {error}") from error
    return labels


def _read_table(file: Path) -> pa.Table:
    """Read a label file; raises UsageError if it cannot be read or lacks a column."""
    expected = ", ".join(COLUMNS)
    try:
        table = pq.read_table(file) if file.suffix == ".parquet" else _read_csv(file)
    except (OSError, ValueError) as error:  # pyarrow's errors are ValueErrors
        raise UsageError(
            f"{file}: could not be read ({error});"
            f" expected CSV or Parquet with the columns {expected}"
        ) from error
    if missing := set(COLUMNS) - set(table.column_names):
        raise UsageError(
            f"{file}: no column '{min(missing)}';"
            f" expected {expected}, got {', '.join(table.column_names)}"
        )
    return table.select(COLUMNS)


def _read_csv(file: Path) -> pa.Table:
    as_text = dict.fromkeys(COLUMNS, pa.string())  # an id such as 007 is not a number
    return pa_csv.read_csv(file, convert_options=pa_csv.ConvertOptions(column_types=as_text))


def _checked(workspace: Workspace, row: Mapping[str, object]) -> Label:
    """Return a row of a label file as a label; raises UsageError if it is not in a report."""
    date, row_id, label = (str(row[name]).strip() for name in COLUMNS)
    if label not in LABELS:
        raise UsageError(f"label must be one of {', '.join(LABELS)}. Got '{label}' instead.")
    place = NightPlace(workspace.root, workspace.job, parse_date(date).isoformat())
    flagged = _reported_ids(place)
    if row_id not in flagged:
        raise UsageError(
            f"id '{row_id}' is not in the report of {place.date}; no labels were imported"
        )
    return Label(place.date, row_id, label, "yes" if flagged[row_id] else "no")


def _reported_ids(place: NightPlace) -> dict[str, bool]:
    """Return the ids in the newest report of a night, and whether each is flagged."""
    newest = place.newest()
    if not newest:
        return {}
    table = pq.read_table(place.report(newest) / "outliers.parquet", columns=["id", "flagged"])
    ids = table.column("id").to_pylist()
    flagged = table.column("flagged").to_pylist()
    return dict(zip(ids, flagged, strict=True))


def _labels_path(workspace: Workspace) -> Path:
    return workspace.root / "labels" / f"{workspace.job}.jsonl"


def _read_labels(workspace: Workspace) -> dict[tuple[str, str], Label]:
    """Read all labels, by data date and id."""
    path = _labels_path(workspace)
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    labels = [Label(**json.loads(line)) for line in lines]
    return {label.key: label for label in labels}


def _write_labels(path: Path, labels: Iterable[Label]) -> None:
    lines = [json.dumps(asdict(label), ensure_ascii=False) for label in labels]
    write_bytes(path, "".join(f"{line}\n" for line in lines).encode())


def read_precision(workspace: Workspace) -> Precision:
    """Read how many flagged rows are labeled, and how many of those are outliers."""
    flagged = [label for label in _read_labels(workspace).values() if label.flagged == "yes"]
    outliers = [label for label in flagged if label.label == "outlier"]
    return Precision(len(flagged), len(outliers))
