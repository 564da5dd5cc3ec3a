"""What of a night is out: published/JOB/DATE.PLACE.json says which revision is where."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from storage.files.atomic import write_json
from storage.files.manifest import check_format_version
from storage.nights.revisions import NightPlace

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Published:
    """The last attempt to copy a night to one place, such as a database.

    target: what the job file says of the place. error: why it failed, '' if it did not.
    """

    revision: int
    target: Mapping[str, str]
    error: str = ""


def read_published(night: NightPlace, place: str) -> Published | None:
    """Return the last attempt; None if there was none."""
    path = _path(night, place)
    if not path.exists():
        return None
    content = json.loads(path.read_text(encoding="utf-8"))
    check_format_version(path, content.pop("format_version"), FORMAT_VERSION)
    return Published(**content)


def note_published(night: NightPlace, place: str, published: Published) -> None:
    """Note an attempt."""
    write_json(_path(night, place), {"format_version": FORMAT_VERSION, **asdict(published)})


def _path(night: NightPlace, place: str) -> Path:
    return night.root / "published" / night.job / f"{night.date}.{place}.json"
