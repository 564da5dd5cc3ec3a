"""label: record what analysts found out about flagged rows, and how often a flag was correct.

workspace/labels/<job>.jsonl     one label per line; the last label of a row counts
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

from flows.errors import UsageError
from flows.jobs.dates import parse_date
from flows.jobs.job_file import read_job
from flows.jobs.workspace import Workspace, open_workspace
from flows.operations.label_file import LabelLine, read_label_file
from flows.operations.reported_rows import ReportedRows
from flows.results import CommandResult
from storage.files.atomic import write_bytes
from storage.files.locks import lock
from storage.nights.revisions import NightPlace
from storage.visible_text import visible_name

MOST_NAMED = 5  # ids that several rows have, in the result


@dataclass(frozen=True)
class Label:
    """What an analyst found out about one row: 'outlier' or 'normal'.

    row: its number over all files, if several rows of the report have its id.
    flagged: 'yes' or 'no', whether the report flagged the row.
    """

    date: str
    id: str
    row: int | None
    label: str
    flagged: str

    @property
    def key(self) -> tuple[str, str, int | None]:
        """Data date, id and row."""
        return self.date, self.id, self.row


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
    """Import a CSV or Parquet file of labels; see `flows.operations.label_file`.

    Imports all labels or none. Raises UsageError for the first line that does not name one row
    of a report, or that contradicts an earlier line.
    """
    job = read_job(job_path)
    workspace = open_workspace(job)
    imported = _checked_labels(workspace, file)
    with lock(workspace.lock("labels"), wait=60):
        known = _read_labels(workspace)
        new = [label for label in imported if known.get(label.key) != label]
        known |= {label.key: label for label in imported}
        path = _labels_path(workspace)
        _write_labels(path, known.values())
    return _result(path, imported, len(new), read_precision(workspace))


def _result(path: Path, imported: Sequence[Label], new: int, precision: Precision) -> CommandResult:
    text = f"{new:,} new label{'s' * (new != 1)}; {precision.to_text()}"
    facts = {"path": str(path), "new": new, **precision.to_json()}
    return CommandResult(facts, "\n".join([text, *_rows_chosen(imported), f"  {path}"]))


def _rows_chosen(labels: Sequence[Label]) -> list[str]:
    """Say which rows were labeled where several rows have the id."""
    chosen = [label for label in labels if label.row is not None]
    lines = [
        f"  {label.date}: several rows have the id '{visible_name(label.id)}'; row {label.row} "
        f"is labeled"
        for label in chosen[:MOST_NAMED]
    ]
    more = len(chosen) - MOST_NAMED
    return [*lines, f"  and {more:,} more such rows"] if more > 0 else lines


def _checked_labels(workspace: Workspace, file: Path) -> list[Label]:
    """Read and check the labels of a file; raises UsageError with the line of the first mistake."""
    reported = lru_cache(lambda date: _reported(workspace, date))
    labels: dict[tuple[str, str, int | None], Label] = {}
    for line in read_label_file(file):
        try:
            label = _checked(line, reported(line.date))
            _require_same(labels.setdefault(label.key, label), label)
        except UsageError as error:
            raise UsageError(
                f"{file}: line {line.number}: {error}; no labels were imported"
            ) from error
    return list(labels.values())


def _reported(workspace: Workspace, date: str) -> ReportedRows:
    return ReportedRows.of_newest(
        NightPlace(workspace.root, workspace.job, parse_date(date).isoformat())
    )


def _checked(line: LabelLine, reported: ReportedRows) -> Label:
    """Return a line of a label file as a label; raises UsageError unless it names one row."""
    row = reported.find(line.id, line.row, exported=line.exported)
    number = row.row if reported.is_shared(row.id) else None
    return Label(reported.date, row.id, number, line.label, "yes" if row.flagged else "no")


def _require_same(earlier: Label, label: Label) -> None:
    """Raise UsageError if two lines say different things about one row."""
    if earlier.label != label.label:
        raise UsageError(
            f"id '{visible_name(label.id)}' of {label.date} is '{label.label}' here, "
            f"and '{earlier.label}' in an earlier line; keep one of them"
        )


def _labels_path(workspace: Workspace) -> Path:
    return workspace.root / "labels" / f"{workspace.job}.jsonl"


def _read_labels(workspace: Workspace) -> dict[tuple[str, str, int | None], Label]:
    """Read all labels by their keys."""
    path = _labels_path(workspace)
    lines = path.read_text(encoding="utf-8").split("\n") if path.exists() else []
    labels = [Label(**json.loads(line)) for line in lines if line]
    return {label.key: label for label in labels}


def _write_labels(path: Path, labels: Iterable[Label]) -> None:
    lines = [json.dumps(asdict(label), ensure_ascii=False) for label in labels]
    write_bytes(path, "".join(f"{line}\n" for line in lines).encode())


def read_precision(workspace: Workspace) -> Precision:
    """Read how many flagged rows are labeled, and how many of those are outliers."""
    flagged = [label for label in _read_labels(workspace).values() if label.flagged == "yes"]
    outliers = [label for label in flagged if label.label == "outlier"]
    return Precision(len(flagged), len(outliers))
