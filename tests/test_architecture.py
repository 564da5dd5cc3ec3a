"""The architecture: direction of imports, size of folders, and one meaning per public name."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("aemodel", "flows", "storage")
FORBIDDEN = {
    "aemodel": {"storage", "flows", "prefect", "typer", "h5py", "pyarrow"},
    "storage": {"aemodel", "flows", "prefect", "typer", "torch"},
}
MOST_MODULES = 12  # in one folder, beside its __init__.py


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def sources() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_name(path): path for path in sources()}


def imported(node: ast.AST) -> list[str]:
    """Full names of what a statement imports: modules, or names in modules."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module:
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


def modules_imported(path: Path) -> set[str]:
    """Our own modules that a file imports, at any level."""
    names = [name for node in ast.walk(parse(path)) for name in imported(node)]
    found = {name if name in MODULES else name.rpartition(".")[0] for name in names}
    return found & MODULES.keys()


@pytest.mark.parametrize("package", sorted(FORBIDDEN))
def test_a_package_only_imports_downward(package):
    wrong = {}
    for path in (ROOT / package).rglob("*.py"):
        tops = {name.split(".")[0] for node in ast.walk(parse(path)) for name in imported(node)}
        if tops & FORBIDDEN[package]:
            wrong[module_name(path)] = tops & FORBIDDEN[package]

    assert wrong == {}


def test_imports_are_absolute():
    relative = [
        module_name(path)
        for path in sources()
        for node in ast.walk(parse(path))
        if isinstance(node, ast.ImportFrom) and node.level
    ]

    assert relative == []


def test_no_imports_form_a_cycle():
    graph = {name: modules_imported(path) - {name} for name, path in MODULES.items()}
    while leaves := {name for name, needs in graph.items() if not needs & graph.keys()}:
        graph = {name: needs - leaves for name, needs in graph.items() if name not in leaves}

    assert sorted(graph) == []  # what is left is in a cycle, or imports one


def test_a_folder_holds_at_most_a_dozen_modules():
    counts: dict[Path, int] = defaultdict(int)
    for path in sources():
        counts[path.parent.relative_to(ROOT)] += path.name != "__init__.py"

    assert {folder: count for folder, count in counts.items() if count > MOST_MODULES} == {}


def test_every_folder_has_a_docstring():
    silent = [
        module_name(path)
        for path in sources()
        if path.name == "__init__.py" and not ast.get_docstring(parse(path))
    ]

    assert silent == []


def interface(node: ast.stmt) -> str:
    """The parameters of a function; the public methods of a class and their parameters."""
    if isinstance(node, ast.FunctionDef):
        return ast.unparse(node.args)
    assert isinstance(node, ast.ClassDef)
    methods = [each for each in node.body if isinstance(each, ast.FunctionDef)]
    return "; ".join(f"{each.name}({interface(each)})" for each in methods if each.name[0] != "_")


def test_a_public_name_means_one_thing():
    """A name may occur twice only for two implementations of one interface."""
    meanings: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for module, path in MODULES.items():
        for node in parse(path).body:
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and not node.name.startswith("_"):
                meanings[node.name][interface(node)].append(module)

    assert {name: dict(found) for name, found in meanings.items() if len(found) > 1} == {}


def test_no_module_has_a_meaningless_name():
    meaningless = {"utils.py", "helpers.py", "common.py", "core.py"}

    assert {path.name for path in sources()} & meaningless == set()
