"""inspect and verify: what a path holds, and whether it is intact."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flows.errors import FAILED
from flows.results import CommandResult
from flows.training.columns import imprecise_columns
from storage.errors import DamagedError, NoDataError
from storage.files.manifest import (
    NAME,
    Problem,
    files_below,
    parse_manifest,
    read_manifest,
    verify_folder,
)
from storage.files.reads import read_refusals
from storage.latents.archive import Files, is_packed, verify_packed
from storage.objects.reach import reached
from storage.sources import Schema, list_by_kind, list_unread, open_surveyed
from storage.text import list_first
from storage.units import format_bytes

# Keys of a manifest that are shown, by its kind.
MANIFEST_KEYS = {
    "model": ("model_id",),
    "latents": ("format", "rows", "latent_dim", "model_id"),
    "scores": ("job", "date", "revision", "rows", "model_id"),
    "report": ("job", "date", "revision"),
}
# Files whose figures are shown, and the keys of those figures.
FIGURE_FILES = ("size_report.json", "summary.json", "model.json")
FIGURES = ("verdict", "flagged", "rule", "promise", "complete", "training_data", "metrics")
RATIOS = ("source", "float32", "lossless")


PACKED = (".h5", ".hdf5")


def inspect_path(path: Path, *, field: str = "") -> CommandResult:
    """Describe a folder with a manifest, a packed store, or a source."""
    path = reached(path)
    if _has_manifest(path) or is_packed(path):
        return inspect_manifest(path)
    return inspect_source(path, field)


def _has_manifest(path: Path) -> bool:
    with read_refusals(path):
        return (path / NAME).is_file()


def inspect_manifest(path: Path) -> CommandResult:
    """Describe a model, latent store, scores or report."""
    files = Files(path)
    manifest = parse_manifest(files.read(NAME), path / NAME)
    keys = MANIFEST_KEYS.get(manifest["kind"], ())
    found = {
        "kind": manifest["kind"],
        "format_version": manifest["format_version"],
        **{key: manifest[key] for key in keys if key in manifest},
        "files": len(manifest["files"]),
        "size": format_bytes(_size(path, manifest["files"])),
    }
    for name in FIGURE_FILES:
        if name in manifest["files"]:
            content = json.loads(files.read(name))
            found |= {**_figures(content), **_columns(content)}
    return _described(path, found)


def _size(path: Path, names: Mapping[str, str]) -> int:
    """Size in bytes of a packed store, or of the files of a folder that exist."""
    with read_refusals(path):
        if path.is_file():
            return path.stat().st_size
        return sum(size for name, size in files_below(path).items() if name in names)


def _figures(content: Mapping[str, object]) -> dict[str, object]:
    """Pick the figures worth showing from a size report, summary.json or model.json."""
    figures = {name: content[name] for name in FIGURES if name in content}
    ratio = content.get("ratio")
    if isinstance(ratio, Mapping):
        figures |= {f"{name} ratio": ratio[name] for name in ratio if name in RATIOS}
    return figures


def _columns(content: Mapping[str, Any]) -> dict[str, object]:
    """Describe the columns of a model whose columns are of several kinds, by model.json."""
    layout, ignored = content.get("layout", {}), content.get("ignored", {})
    unread = {"columns not read": list_unread(ignored)} if ignored else {}
    kinds = list_by_kind(Schema.from_json(layout)) if layout else {}
    return {**kinds, **unread, **imprecise_columns(content)}


def inspect_source(path: Path, field: str) -> CommandResult:
    """Describe rows that could be trained on, encoded or scored."""
    with open_surveyed(path, field=field, missing="impute") as source:
        found: dict[str, object] = {
            "kind": "source",
            **source.facts,
            "rows": source.n_rows,
            "row shape": list(source.schema.row_shape),
            "dtype": source.schema.dtype,
            "size": format_bytes(source.n_bytes),
            "columns": list(source.schema.names),
            **source.read_as,
            **source.not_read,
        }
    return _described(path, found)


def _described(path: Path, found: Mapping[str, object]) -> CommandResult:
    return CommandResult({"path": str(path), **found}, _aligned(str(path), found))


def _aligned(title: str, found: Mapping[str, object]) -> str:
    """Format values as aligned lines below a title, without empty values."""
    shown = {name: value for name, value in found.items() if value not in ([], "")}
    width = max(map(len, shown))
    lines = [f"  {name:<{width}}  {_in_words(value)}" for name, value in shown.items()]
    return "\n".join([title, *lines])


def _in_words(value: object) -> str:
    return list_first(list(map(str, value))) if isinstance(value, list) else str(value)


def verify_path(path: Path) -> CommandResult:
    """Check every checksum; the exit code is 1 if any does not match."""
    path = reached(path)
    packed = _seems_packed(path)
    if not packed and not _has_manifest(path):
        raise NoDataError(
            f"{path}: no {NAME}; expected the folder of a model, latent store, scores or report"
        )
    return _verified(path, verify_packed(path) if packed else verify_folder(path))


def _seems_packed(path: Path) -> bool:
    """Whether a path is a packed store, or one too damaged to be recognized."""
    try:
        return is_packed(path) or (path.is_file() and path.suffix.lower() in PACKED)
    except DamagedError:
        return True


def _verified(path: Path, problems: list[Problem]) -> CommandResult:
    report = {
        "path": str(path),
        "ok": not problems,
        "problems": [vars(problem) for problem in problems],
    }
    if problems:
        return CommandResult(report, _damage(path, problems), FAILED)
    count = len(_listed_files(path))
    return CommandResult(report, f"{path}: all {count} files and the manifest are intact")


def _damage(path: Path, problems: list[Problem]) -> str:
    lines = [f"  {problem.file}: {problem.what}" for problem in problems]
    return "\n".join([f"{path}: DAMAGED", *lines])


def _listed_files(path: Path) -> Mapping[str, str]:
    """Return the files that a manifest lists, in a folder or a packed store, with their digests."""
    if path.is_file():
        manifest = parse_manifest(Files(path).read(NAME), path)
    else:
        manifest = read_manifest(path)
    files: Mapping[str, str] = manifest["files"]
    return files
