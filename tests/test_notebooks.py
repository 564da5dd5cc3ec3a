"""The notebooks in docs/notebooks run, and show what they show in the site."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest
from console import BIN, normalized
from documents import DOCS, text_of

NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def runner() -> ModuleType:
    """docs/notebooks.py as a module."""
    spec = importlib.util.spec_from_file_location("notebooks", DOCS / "notebooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read(path: Path) -> dict:
    return json.loads(text_of(path))


def words_shown(notebook: dict) -> list[str]:
    """What the cells print and return as text or table, without digits and figures."""
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", ())]
    found = []
    for output in outputs:
        data = output.get("data", {})
        shown = output.get("text") or data.get("text/html") or data.get("text/plain", [])
        found += normalized("".join(shown))
    return [line for line in found if "sk-" not in line]


def test_pages_show_the_notebooks(runner):
    shown = {path.stem: text_of(path.with_suffix(".md")) for path in NOTEBOOKS}

    assert shown == {path.stem: runner.page(path.stem, read(path)) for path in NOTEBOOKS}
    assert sorted(shown) == ["detector", "nights"]


def test_every_code_cell_was_run():
    for path in NOTEBOOKS:
        cells = [cell for cell in read(path)["cells"] if cell["cell_type"] == "code"]
        counts = [cell["execution_count"] for cell in cells]

        assert counts == [*range(1, len(cells) + 1)], path.name


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_what_it_showed(path, runner, monkeypatch):
    monkeypatch.setenv("PATH", str(BIN), prepend=":")
    monkeypatch.delenv("PREFECT_API_URL", raising=False)

    assert words_shown(runner.run_cells(read(path))) == words_shown(read(path))
