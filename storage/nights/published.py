"""What of a night is out: published/JOB/DATE.json says which revision is in which tables."""

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
    """The last attempt to write a night into a database.

    connection: the environment variable that holds the URI. tables: by what they hold. error: why
    it failed, '' if it did not.
    """

    revision: int
    connection: str
    tables: Mapping[str, str]
    error: str = ""


def read_published(place: NightPlace) -> Published | None:
    """Return the last attempt; None if there was none."""
    path = _path(place)
    if not path.exists():
        return None
    content = json.loads(path.read_text(encoding="utf-8"))
    check_format_version(path, content.pop("format_version"), FORMAT_VERSION)
    return Published(**content)


def note_published(place: NightPlace, published: Published) -> None:
    """Note an attempt."""
    write_json(_path(place), {"format_version": FORMAT_VERSION, **asdict(published)})


def _path(place: NightPlace) -> Path:
    return place.root / "published" / place.job / f"{place.date}.json"
