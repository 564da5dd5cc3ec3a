"""label: record what analysts found out about flagged rows, and how often a flag was correct."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Self

from flows.errors import UsageError
from flows.jobs.dates import parse_date
from flows.jobs.job_file import read_job
from flows.jobs.workspace import Workspace, open_workspace
from flows.operations.label_file import LabelLine, read_label_file
from flows.operations.reported_rows import ReportedRows
from flows.results import CommandResult
from storage.files.locks import lock
from storage.labels import Key, Label, labels_path, read_labels, write_labels
from storage.nights.revisions import NightPlace
from storage.visible_text import visible_name

NORMAL = "normal"
NORMAL_DAYS = 90  # that a label as normal holds unless its author says otherwise
MOST_NAMED = 5  # ids that several rows have, in the result


@dataclass(frozen=True)
class Labeling:
    """Who labels rows, on which day, and until when; expires: '' for labels without an end."""

    author: str
    labeled: str
    expires: str

    @classmethod
    def of(cls, *, author: str, expires: str, today: date) -> Self:
        """Check what the command was given. Raises UsageError."""
        last = parse_date(expires).isoformat() if expires else ""
        if last and last < today.isoformat():
            raise UsageError(f"--expires: expected a day from {today} on. Got '{expires}' instead")
        return cls(author or getpass.getuser(), today.isoformat(), last)

    def until(self, label: str) -> str:
        """Return the last day of a label: normal ones end even if nobody says so."""
        if self.expires or label != NORMAL:
            return self.expires
        last = date.fromisoformat(self.labeled) + timedelta(days=NORMAL_DAYS)
        return last.isoformat()


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


def label_rows(job_path: Path, file: Path, *, author: str = "", expires: str = "") -> CommandResult:
    """Import a CSV or Parquet file of labels; see `flows.operations.label_file`.

    author: the user's name by default. expires: the last day on which the labels hold; by default,
    normal ones hold for NORMAL_DAYS. Imports all labels or none. Raises UsageError for the first
    line that does not name one row of a report, or that contradicts an earlier line.
    """
    job = read_job(job_path)
    workspace = open_workspace(job)
    today = datetime.now(job.zone).date()
    labeling = Labeling.of(author=author, expires=expires, today=today)
    imported = _checked_labels(workspace, file, labeling)
    path = labels_path(workspace.root, workspace.job)
    with lock(workspace.lock("labels"), wait=60):
        known = read_labels(path)
        new = [label for label in imported if not _says_the_same(known.get(label.key), label)]
        known |= {label.key: label for label in new}
        write_labels(path, known.values())
    return _result(path, imported, len(new), read_precision(workspace))


def _says_the_same(known: Label | None, label: Label) -> bool:
    """Return whether a label is known already, but for the day on which it was given."""
    return known is not None and replace(known, labeled=label.labeled) == label


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


def _checked_labels(workspace: Workspace, file: Path, labeling: Labeling) -> list[Label]:
    """Read and check the labels of a file; raises UsageError with the line of the first mistake."""
    reported = lru_cache(lambda day: _reported(workspace, day))
    labels: dict[Key, Label] = {}
    for line in read_label_file(file):
        try:
            label = _checked(line, reported(line.date), labeling)
            _require_same(labels.setdefault(label.key, label), label)
        except UsageError as error:
            raise UsageError(
                f"{file}: line {line.number}: {error}; no labels were imported"
            ) from error
    return list(labels.values())


def _reported(workspace: Workspace, day: str) -> ReportedRows:
    return ReportedRows.of_newest(
        NightPlace(workspace.root, workspace.job, parse_date(day).isoformat())
    )


def _checked(line: LabelLine, reported: ReportedRows, labeling: Labeling) -> Label:
    """Return a line of a label file as a label; raises UsageError unless it names one row."""
    row = reported.find(line.id, line.row, exported=line.exported)
    number = row.row if reported.is_shared(row.id) else None
    return Label(
        date=reported.date,
        id=row.id,
        row=number,
        label=line.label,
        flagged="yes" if row.flagged else "no",
        author=labeling.author,
        labeled=labeling.labeled,
        expires=labeling.until(line.label),
        kind=row.kind,
        content=row.content,
    )


def _require_same(earlier: Label, label: Label) -> None:
    """Raise UsageError if two lines say different things about one row."""
    if earlier.label != label.label:
        raise UsageError(
            f"id '{visible_name(label.id)}' of {label.date} is '{label.label}' here, "
            f"and '{earlier.label}' in an earlier line; keep one of them"
        )


def read_precision(workspace: Workspace) -> Precision:
    """Read how many flagged rows are labeled, and how many of those are outliers."""
    labels = read_labels(labels_path(workspace.root, workspace.job))
    flagged = [label for label in labels.values() if label.flagged == "yes"]
    outliers = [label for label in flagged if label.label == "outlier"]
    return Precision(len(flagged), len(outliers))
