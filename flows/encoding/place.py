"""Where a finished store goes: a local folder, or a prefix of a bucket."""

from __future__ import annotations

import json
from pathlib import Path

from flows.errors import UsageError
from storage.files.atomic import publish_folder
from storage.files.manifest import NAME
from storage.files.reads import read_error, read_refusals
from storage.objects.copy import RUN, copy_store
from storage.objects.paths import ObjectPath, located
from storage.objects.systems import service_error

COPIED = "copied"  # in a work folder: notes on what a bucket has


def is_taken(final: Path, name: str) -> bool:
    """Whether something stands where a store will be.

    An upload of the store of this name that was cut off does not count: it goes on.
    """
    with read_refusals(final):
        if not isinstance(final, ObjectPath):
            return final.exists()
        begun = not (final / NAME).is_file() and recorded_name(final) == name
        return final.exists() and not begun


def recorded_name(folder: Path) -> str:
    """The name of the store in a folder or bucket, by its run.json; '' if there is none.

    Raises ReadError if a bucket cannot be read.
    """
    try:
        return str(json.loads((folder / RUN).read_bytes())["name"])
    except (OSError, ValueError, KeyError) as error:
        if service_error(error) and not isinstance(error, FileNotFoundError):
            raise read_error(folder / RUN, error) from error
        return ""


def publish_store(store: Path, final: Path) -> None:
    """Rename a finished store to `final`, or copy it there if that is in a bucket.

    Raises WorkspaceError or BucketError.
    """
    if isinstance(final, ObjectPath):
        copy_store(store, final, notes=store.parent / COPIED)
    else:
        publish_folder(store, final)


def require_local(out: Path) -> Path:
    """Return the path of a file to be written. Raises UsageError if it is in a bucket."""
    found = located(out)
    if isinstance(found, ObjectPath):
        raise UsageError(f"--out must be a local file. Got '{found}' instead.")
    return found
