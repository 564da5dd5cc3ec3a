"""Which files a path names: one file, a folder of tables, or a glob."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import takewhile
from pathlib import Path

from storage.errors import NoDataError, SourceError
from storage.files.reads import read_refusals
from storage.objects.at_once import file_sizes
from storage.objects.listing import WILD, find_objects
from storage.objects.paths import ObjectPath, located
from storage.sources.lakes.current_files import current_files
from storage.sources.lakes.snapshots import Snapshot

PARQUET, ARROW, ORC, JSON_LINES, CSV = "Parquet", "Arrow", "ORC", "JSON lines", "CSV"
SUFFIXES = {
    PARQUET: (".parquet", ".parq", ".pq"),
    ARROW: (".arrow", ".arrows", ".feather", ".ipc"),
    ORC: (".orc",),
    JSON_LINES: (".jsonl", ".ndjson"),
    CSV: (".csv", ".tsv", ".txt"),
}
FORMATS = {suffix: name for name, suffixes in SUFFIXES.items() for suffix in suffixes}
TABLES = "Parquet, Arrow, ORC, JSON lines, or CSV"
TEXTS = (JSON_LINES, CSV)  # may be compressed as a whole; the others compress themselves
MAY_BE_EMPTY = (*TEXTS, ORC)
COMPRESSED = (".gz", ".bz2", ".zst")
IMAGES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
ZARR_MARKS = ("zarr.json", ".zarray", ".zgroup", ".zmetadata")  # files in the root of a Zarr folder
ZARR_HIDDEN = (".zarray", ".zgroup", ".zmetadata", ".zattrs")
MOST_NAMED = 10  # files in one message


@dataclass
class InputFiles:
    """Files in the order in which they are read, and paths that are not read.

    left_out: visible files of other types, and linked folders that lead back into the input.
    snapshot: the version of the Delta or Iceberg table to which the files belong.
    """

    files: list[Path] = field(default_factory=list)
    left_out: list[Path] = field(default_factory=list)
    snapshot: Snapshot | None = None


def table_format(file: Path) -> str:
    """Return the format of a table by its name: CSV for rows.csv.gz; '' if it names no table."""
    name = file.name.lower()
    if name.endswith(COMPRESSED):
        found = FORMATS.get(Path(name.rpartition(".")[0]).suffix, "")
        return found if found in TEXTS else ""
    return FORMATS.get(Path(name).suffix, "")


def is_image(file: Path) -> bool:
    """Return whether the name is that of a PNG, JPEG, or TIFF file."""
    return file.suffix.lower() in IMAGES


def is_zarr(path: Path, files: Sequence[Path]) -> bool:
    """Return whether the files of a path are those of a Zarr array or group."""
    return not {path / mark for mark in ZARR_MARKS}.isdisjoint(files)


def relative_names(path: Path, files: Sequence[Path]) -> list[str]:
    """Name files by their paths below the folder `path`, or below what precedes a wildcard."""
    if files == [path]:
        return [path.name]
    fixed = takewhile(lambda part: not {*WILD} & {*part}, path.parts)
    root = path if path.is_dir() else type(path)(*fixed)
    return [
        file.relative_to(root).as_posix() if file.is_relative_to(root) else file.name
        for file in files
    ]


def find_files(path: Path) -> list[Path]:
    """Return the files that `path` names, sorted by name; see `list_input`."""
    return list_input(path).files


def list_input(path: Path) -> InputFiles:
    """List the files that `path` names, and what lies beside them without being read.

    In a folder and under a wildcard, names that start with "." or "_" are not read, nor what lies
    below them, except in folders such as `_day=1`. Linked folders are followed.

    Of a Delta or Iceberg table, the files of its current version count.

    Raises NoDataError if no file is found, SourceError if one cannot be read, belongs to a Hudi
    table, or formats are mixed.
    """
    path = located(path)
    found = _readable_input(path)
    if not found.files:
        raise NoDataError(
            f"{path}: no files found; expected a file, a folder of {TABLES} files or of images, "
            f"a Zarr folder, or a glob that matches some{_beside(found.left_out)}"
        )
    formats = sorted({table_format(file) for file in found.files})
    if len(formats) > 1:
        raise SourceError(
            f"{path}: contains files of several formats: {', '.join(formats)}; "
            f"select one with a glob such as '{path / '*'}{SUFFIXES[formats[-1]][0]}'"
        )
    with read_refusals(path):
        files, snapshot = current_files(path, found.files)
        return _without_empty(InputFiles(files, found.left_out, snapshot))


def _without_empty(found: InputFiles) -> InputFiles:
    """Leave out files without a byte beside others: in some formats, that is a file of no rows."""
    if not {*map(table_format, found.files)} <= {*MAY_BE_EMPTY}:
        return found
    sizes = [*zip(found.files, file_sizes(found.files), strict=True)]
    files = [file for file, size in sizes if size]
    empty = [file for file, size in sizes if not size]
    if not files:
        return found
    return InputFiles(files, sorted([*found.left_out, *empty]), found.snapshot)


def _beside(left_out: Sequence[Path]) -> str:
    names = [path.name for path in left_out[:MOST_NAMED]]
    more = f" and {len(left_out) - MOST_NAMED:,} more" if len(left_out) > MOST_NAMED else ""
    return f"; not read: {', '.join(names)}{more}" if names else ""


def _readable_input(path: Path) -> InputFiles:
    if isinstance(path, ObjectPath):
        with read_refusals(path):
            return _objects_at(path)
    try:
        found = _input_at(path)
        for file in found.files:
            file.open("rb").close()
    except OSError as error:
        raise SourceError(
            f"{error.filename or path}: cannot be read ({error.strerror}); "
            "fix the path or its permissions"
        ) from error
    return found


def _input_at(path: Path) -> InputFiles:
    if path.is_file():
        return InputFiles([path])
    if path.is_dir():
        if any((path / mark).is_file() for mark in ZARR_MARKS):
            return InputFiles(sorted(file for file in path.rglob("*") if file.is_file()))
        return _images_if_alone(_sorted_input(_Walk().files_below([path])))
    if not any(mark in str(path) for mark in WILD):
        return InputFiles()
    return _sorted_input(_matches(path))


def _images_if_alone(found: InputFiles) -> InputFiles:
    """Read images where there are no tables, which may describe them; notes as .txt are none."""
    images = [file for file in found.left_out if is_image(file)]
    notes = [file for file in found.files if images and file.suffix.lower() == ".txt"]
    if len(notes) < len(found.files):
        return found
    return InputFiles(images, sorted({*found.left_out, *notes} - {*images}))


def _objects_at(path: ObjectPath) -> InputFiles:
    found = find_objects(path, _is_hidden_object)
    if is_zarr(path, found):
        return InputFiles([*found])
    found = [file for file in found if file.name not in ZARR_HIDDEN]
    tables = [file for file in found if table_format(file)]
    if not tables and (found == [path] or any(mark in str(path) for mark in WILD)):
        return InputFiles([*found])  # an array, or images
    others = [file for file in found if not table_format(file)]
    return _images_if_alone(InputFiles([*tables], [*others]))


def _is_hidden_object(name: str, folder: bool) -> bool:  # as IsHidden
    return is_hidden(name, folder=folder) and name not in ZARR_HIDDEN


def _sorted_input(found: InputFiles) -> InputFiles:
    return InputFiles(sorted(set(found.files)), sorted(set(found.left_out)))


def _matches(pattern: Path) -> InputFiles:
    """List what a glob matches; a folder that it matches counts with all that lies below it."""
    recursive = pattern.parts.count("**")
    if recursive > 1:
        raise SourceError(
            f"{pattern}: expected '**' at most once in a glob, got it {recursive} times"
        )
    found = _recursive_matches(pattern) if recursive else _plain_matches(pattern)
    if any(map(table_format, found.files)):  # else the glob names an array
        found.left_out += [file for file in found.files if not table_format(file)]
        found.files = list(filter(table_format, found.files))
    return _sorted_input(found)


def _plain_matches(pattern: Path) -> InputFiles:
    root = next(each for each in pattern.parents if each.is_dir())
    parts = pattern.relative_to(root).parts
    matches = [path for path in root.glob(str(Path(*parts))) if _is_meant(path, root, parts)]
    found = _Walk().files_below([path for path in matches if path.is_dir()])
    files = _each_once([path for path in matches if not path.is_dir()], root)
    return InputFiles(found.files + files.files, found.left_out + files.left_out)


def _recursive_matches(pattern: Path) -> InputFiles:
    """List the files below the folders before "**" whose path ends as what follows it."""
    at = pattern.parts.index("**")
    start, ending = Path(*pattern.parts[:at]), str(Path(*pattern.parts[at + 1 :]))
    roots = [start] if start.is_dir() else _plain_folders(start)
    found = _Walk().files_below(roots)
    links = [path for path in found.left_out if path.is_dir()]
    files = [*found.files, *(path for path in found.left_out if not path.is_dir())]
    return InputFiles([each for each in files if ending == "." or each.match(ending)], links)


def _plain_folders(pattern: Path) -> list[Path]:
    root = next((each for each in pattern.parents if each.is_dir()), pattern)
    parts = pattern.relative_to(root).parts
    found = root.glob(str(Path(*parts))) if parts else iter(())
    return [path for path in found if path.is_dir() and _is_meant(path, root, parts)]


def _each_once(files: Sequence[Path], root: Path) -> InputFiles:
    """Leave out files that a linked folder shows a second time."""
    found, seen, top = InputFiles(), set[Path](), root.resolve()

    def linked(file: Path) -> tuple[bool, Path]:
        return file.parent.resolve() != top / file.parent.relative_to(root), file

    for file in sorted(files, key=linked):
        real = file.parent.resolve() / file.name
        (found.left_out if real in seen else found.files).append(file)
        seen.add(real)
    return found


def _is_meant(path: Path, root: Path, patterns: Sequence[str]) -> bool:
    """Whether no part of a match is hidden, unless the glob spells its first character."""
    *folders, name = path.relative_to(root).parts
    spelled = [pattern for pattern in patterns if pattern.startswith((".", "_"))]
    hidden = [part for part in folders if is_hidden(part, folder=True)]
    hidden += [name] if is_hidden(name, folder=path.is_dir()) else []
    return all(any(fnmatchcase(part, pattern) for pattern in spelled) for part in hidden)


def is_hidden(name: str, *, folder: bool) -> bool:
    """Return whether a name marks what no reader of tables takes for rows."""
    return name.startswith((".", "_")) and not (folder and "=" in name)


class _Walk:
    """Lists folders; each real folder once, as itself rather than through a link to it."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._found = InputFiles()

    def files_below(self, folders: Sequence[Path]) -> InputFiles:
        """List the visible files at and below `folders`."""
        linked = sorted(folder for folder in folders if folder.is_symlink())
        real = sorted(folder for folder in folders if not folder.is_symlink())
        while real or linked:
            folder = real.pop() if real else linked.pop(0)
            key = os.path.realpath(folder)
            if key not in self._seen:
                self._seen.add(key)
                self._add_files(folder)
                real += sorted(_folders_in(folder, linked=False))
                linked += sorted(_folders_in(folder, linked=True))
            elif folder.is_symlink():
                self._found.left_out.append(folder)
        return self._found

    def _add_files(self, folder: Path) -> None:
        for entry in os.scandir(folder):
            if entry.is_dir() or is_hidden(entry.name, folder=False):
                continue
            file = folder / entry.name
            (self._found.files if table_format(file) else self._found.left_out).append(file)


def _folders_in(folder: Path, *, linked: bool) -> Iterator[Path]:
    for entry in os.scandir(folder):
        visible = entry.is_dir() and not is_hidden(entry.name, folder=True)
        if visible and entry.is_symlink() == linked:
            yield folder / entry.name
