"""label: what analysts found out about flagged rows, kept per job, and how often a flag was right.

workspace/labels/<job>.jsonl     a line a label; the last one for a row counts
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from flows.errors import UsageError
from flows.jobs.dates import parse_date
from flows.jobs.job_file import read_job
from flows.jobs.workspace import open_workspace
from flows.results import CommandResult
from storage.files.atomic import write_bytes
from storage.files.locks import lock
from storage.nights.revisions import NightPlace

LABELS = ("outlier", "normal")
COLUMNS = ("date", "id", "label")


def label_rows(job_path: Path, file: Path) -> CommandResult:
    """Take in the labels of a CSV or Parquet file with the columns date, id and label (outlier or normal), all of them or none.

    Raises UsageError naming the first line that is not about a row of a report.
    """
    job = read_job(job_path)
    workspace = open_workspace(job)
    rows = enumerate(read_rows(file), start=2)  # line 1 is the header
    given = [checked(workspace.root, job.name, file, number, row) for number, row in rows]
    with lock(workspace.lock("labels"), wait=60):
        known = read_labels(workspace.root, job.name)
        new = [label for label in given if known.get((label["date"], label["id"])) != label]
        known |= {(label["date"], label["id"]): label for label in given}
        path = labels_path(workspace.root, job.name)
        write_bytes(
            path,
            "".join(
                json.dumps(label, ensure_ascii=False) + "\n" for label in known.values()
            ).encode(),
        )
    facts = {"path": str(path), "new": len(new), **precision(workspace.root, job.name)}
    return CommandResult(
        facts,
        f"{len(new)} new labels; of {facts['labelled']} labelled flags {facts['right']} were right\n  {path}",
    )


def read_rows(file: Path) -> list[dict[str, Any]]:
    """The rows of a label file. Raises UsageError where it cannot be read or lacks a column."""
    as_text = pa_csv.ConvertOptions(
        column_types=dict.fromkeys(COLUMNS, pa.string())
    )  # an id such as 007 is no number
    try:
        table = (
            pq.read_table(file)
            if file.suffix == ".parquet"
            else pa_csv.read_csv(file, convert_options=as_text)
        )
    except (OSError, ValueError) as error:  # pyarrow's errors are ValueErrors
        raise UsageError(
            f"{file}: could not be read ({error}); expected CSV or Parquet with the columns {', '.join(COLUMNS)}"
        ) from error
    if missing := set(COLUMNS) - set(table.column_names):
        raise UsageError(
            f"{file}: no column '{sorted(missing)[0]}'; expected {', '.join(COLUMNS)}, got {', '.join(table.column_names)}"
        )
    rows: list[dict[str, Any]] = table.select(COLUMNS).to_pylist()
    return rows


def checked(root: Path, job: str, file: Path, number: int, row: dict[str, Any]) -> dict[str, str]:
    """A label as it is kept. Raises UsageError where its row is in no report of the night."""
    date, identity, label = (str(row[name]).strip() for name in COLUMNS)
    if label not in LABELS:
        raise UsageError(
            f"{file}: line {number}: label must be one of {', '.join(LABELS)}. Got '{label}' instead."
        )
    place = NightPlace(root, job, parse_date(date).isoformat())
    ids = reported_ids(place)
    if identity not in ids:
        raise UsageError(
            f"{file}: line {number}: id '{identity}' is not in the report of {place.date}; nothing was taken in"
        )
    return {
        "date": place.date,
        "id": identity,
        "label": label,
        "flagged": "yes" if ids[identity] else "no",
    }


def reported_ids(place: NightPlace) -> dict[str, bool]:
    """The ids in the newest report of a night, and whether each was flagged."""
    newest = place.newest()
    if not newest:
        return {}
    table = pq.read_table(place.report(newest) / "outliers.parquet", columns=["id", "flagged"])
    return dict(
        zip(table.column("id").to_pylist(), table.column("flagged").to_pylist(), strict=True)
    )


def labels_path(root: Path, job: str) -> Path:
    """Where a job's labels are kept."""
    return root / "labels" / f"{job}.jsonl"


def read_labels(root: Path, job: str) -> dict[tuple[str, str], dict[str, str]]:
    """All labels, by data date and id."""
    path = labels_path(root, job)
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return {(label["date"], label["id"]): label for label in map(json.loads, lines)}


def precision(root: Path, job: str) -> dict[str, int]:
    """How many flagged rows have a label, and how many of those are outliers."""
    flagged = [label for label in read_labels(root, job).values() if label["flagged"] == "yes"]
    return {
        "labelled": len(flagged),
        "right": sum(label["label"] == "outlier" for label in flagged),
    }
