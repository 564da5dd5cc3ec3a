"""The direction of imports: flows may look at aemodel and storage; those two know neither each other nor what runs them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FORBIDDEN = {
    "aemodel": {"storage", "flows", "prefect", "typer", "h5py", "pyarrow"},
    "storage": {"aemodel", "flows", "prefect", "typer", "torch"},
}


def imported_packages(path: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    plain = {alias.name.split(".")[0] for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return plain | {node.module.split(".")[0] for node in nodes if isinstance(node, ast.ImportFrom) and node.module and node.level == 0}


@pytest.mark.parametrize("package", sorted(FORBIDDEN))
def test_a_package_only_looks_down(package):
    wrong = {path.relative_to(ROOT): imported_packages(path) & FORBIDDEN[package] for path in (ROOT / package).rglob("*.py")}

    assert {path: found for path, found in wrong.items() if found} == {}


def test_imports_are_absolute_so_that_their_direction_shows():
    sources = [path for package in ("aemodel", "flows", "storage") for path in (ROOT / package).rglob("*.py")]
    relative = [
        path.relative_to(ROOT)
        for path in sources
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.level
    ]

    assert relative == []


def test_nothing_is_called_by_a_name_that_says_nothing():
    names = {path.name for package in ("aemodel", "flows", "storage") for path in (ROOT / package).rglob("*.py")}

    assert names & {"utils.py", "helpers.py", "common.py", "core.py"} == set()
