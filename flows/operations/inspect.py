"""inspect, verify and the model commands: what is there, and whether it is whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from flows.errors import FAILED
from flows.results import CommandResult
from storage.errors import NoDataError
from storage.files.manifest import NAME, parse_manifest, read_manifest, verify_folder
from storage.latents.archive import Files, is_packed, verify_packed
from storage.sources import open_source
from storage.units import format_bytes

FIRST = {
    "model": "model_id",
    "latents": "format, rows, latent_dim, model_id",
    "scores": "job, date, revision, rows, model_id",
    "report": "job, date, revision",
}


def inspect_path(path: Path, *, field: str = "") -> CommandResult:
    """What a folder with a manifest, a packed store, or a source, holds."""
    return (
        inspect_result(path)
        if (path / NAME).is_file() or is_packed(path)
        else inspect_source(path, field)
    )


def inspect_result(path: Path) -> CommandResult:
    """A model, store, scores or report."""
    files = Files(path)
    manifest = parse_manifest(files.read(NAME), path / NAME)
    names = FIRST.get(manifest["kind"], "").split(", ")
    facts = {
        "kind": manifest["kind"],
        "format_version": manifest["format_version"],
        **{name: manifest[name] for name in names if name in manifest},
    }
    sizes = (each.stat().st_size for name in manifest["files"] if (each := path / name).exists())
    facts |= {
        "files": len(manifest["files"]),
        "size": format_bytes(path.stat().st_size if files.packed else sum(sizes)),
    }
    for name in ("size_report.json", "summary.json", "model.json"):
        if name in manifest["files"]:
            facts |= headline(json.loads(files.read(name)))
    return CommandResult({"path": str(path), **facts}, table(str(path), facts))


def headline(found: dict[str, Any]) -> dict[str, Any]:
    """The few facts of a size report, summary or model.json that a person asks for first."""
    wanted = ("verdict", "flagged", "rule", "complete", "training_data", "metrics")
    facts = {name: found[name] for name in wanted if name in found}
    return {
        **facts,
        **{
            f"{name} ratio": value
            for name, value in found.get("ratio", {}).items()
            if name in ("source", "float32", "lossless")
        },
    }


def inspect_source(path: Path, field: str) -> CommandResult:
    """Rows that could be trained on, encoded or scored."""
    with open_source(path, field=field, missing="impute") as source:
        facts = {
            "kind": "source",
            **source.facts,
            "rows": source.n_rows,
            "row shape": list(source.schema.row_shape),
            "dtype": source.schema.dtype,
            "size": format_bytes(source.n_bytes),
            "columns": list(source.schema.columns),
            "not read": list(source.ignored),
        }
    return CommandResult({"path": str(path), **facts}, table(str(path), facts))


def table(title: str, facts: dict[str, Any]) -> str:
    """Facts as aligned lines; what is empty is left out."""
    shown = {
        name: ", ".join(map(str, value)) if isinstance(value, list) else value
        for name, value in facts.items()
        if value not in ([], "")
    }
    width = max(map(len, shown))
    return "\n".join([title, *(f"  {name:<{width}}  {value}" for name, value in shown.items())])


def verify_path(path: Path) -> CommandResult:
    """Check every checksum; the exit code is 1 where something does not match."""
    packed = is_packed(path)
    if not packed and not (path / NAME).is_file():
        raise NoDataError(
            f"{path}: no {NAME} there; expected the folder of a model, latent store, scores or report"
        )
    problems = verify_packed(path) if packed else verify_folder(path)
    facts = {
        "path": str(path),
        "ok": not problems,
        "problems": [vars(problem) for problem in problems],
    }
    if problems:
        return CommandResult(
            facts,
            "\n".join(
                [f"{path}: DAMAGED", *(f"  {problem.file}: {problem.what}" for problem in problems)]
            ),
            FAILED,
        )
    return CommandResult(
        facts,
        f"{path}: all {len(files_listed(path))} files and the manifest are as they were written",
    )


def files_listed(path: Path) -> dict[str, str]:
    """The files that a manifest lists, with their digests, in a folder or a packed store."""
    manifest = (
        parse_manifest(Files(path).read(NAME), path) if path.is_file() else read_manifest(path)
    )
    files: dict[str, str] = manifest["files"]
    return files
