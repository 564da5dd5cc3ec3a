"""What analysts found out about rows: labels/JOB.jsonl, one label per line.

The last label of a row counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from storage.files.atomic import write_bytes
from storage.files.json_lines import parse_line, read_lines

Key = tuple[str, str, int | None]


@dataclass(frozen=True)
class Label:
    """What an analyst found out about one row: 'outlier' or 'normal'.

    date: the data date. row: its number over all files, if several rows of the report have its id.
    flagged: 'yes' or 'no', whether the report flagged the row.
    author: who labeled it. labeled: on which day. expires: the last data date, or day of training,
    for which the label holds; '' if it holds for good.
    kind: id of the way in which the row stood out; content: hash of its values; '' if unknown.
    """

    date: str
    id: str
    row: int | None
    label: str
    flagged: str
    author: str = ""
    labeled: str = ""
    expires: str = ""
    kind: str = ""
    content: str = ""

    @property
    def key(self) -> Key:
        """Data date, id and row."""
        return self.date, self.id, self.row

    def holds_on(self, day: str) -> bool:
        """Return whether the label has not expired by a day."""
        return not self.expires or day <= self.expires


def labels_path(root: Path, job: str) -> Path:
    """Return the file of a job's labels in a workspace."""
    return root / "labels" / f"{job}.jsonl"


def read_labels(path: Path) -> dict[Key, Label]:
    """Read all labels by their keys; none if there is no file.

    Raises DamagedError if a line is not a label.
    """
    labels = [parse_line(path, line, lambda found: Label(**found)) for line in read_lines(path)]
    return {label.key: label for label in labels}


def write_labels(path: Path, labels: Iterable[Label]) -> None:
    """Write all labels."""
    lines = [json.dumps(asdict(label), ensure_ascii=False) for label in labels]
    write_bytes(path, "".join(f"{line}\n" for line in lines).encode())


def known_normal(labels: Mapping[Key, Label], date: str) -> dict[str, Label]:
    """Return the labels that make rows of a night known normal, by the kind of these rows.

    Those of earlier nights that hold on the night's date; of several, the one that holds longest.
    """
    found = [
        label
        for label in labels.values()
        if label.label == "normal" and label.kind and label.date < date and label.holds_on(date)
    ]
    lasting = sorted(found, key=lambda label: (label.expires or "9999", label.date, label.id))
    return {label.kind: label for label in lasting}


def confirmed_outliers(labels: Mapping[Key, Label], day: str) -> list[int]:
    """Return the content of rows that are outliers for a training on a day, as hashes."""
    return sorted(
        {
            int(label.content, 16)
            for label in labels.values()
            if label.label == "outlier" and label.content and label.holds_on(day)
        }
    )
