"""Run the notebooks in docs/notebooks, keep what they show, and write their pages of the site.

    python docs/notebooks.py             a minute
    python docs/notebooks.py nights      one of them

Cells are plain Python, without magics, so that nothing but nightglass and what they import is
needed. A page shows a notebook as it was run. Tests run the cells again and compare.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import io
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ["MPLBACKEND"] = "agg"  # before Matplotlib is imported: no screen
from matplotlib import pyplot

FOLDER = Path(__file__).parent / "notebooks"
NOTE = "<!-- Written by docs/notebooks.py from {name}.ipynb; change that instead. -->\n"
LINK = "\n[This page as a notebook]({name}.ipynb)\n"
PLOT = '<img alt="Plot drawn by this cell" src="data:image/png;base64,{}">\n'
Notebook = dict[str, Any]
Output = dict[str, Any]


def run_cells(notebook: Notebook) -> Notebook:
    """Return the notebook with what its cells show, run one after the other in a new folder."""
    names: dict[str, Any] = {"__name__": "__main__"}
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        cells = [run_cell(cell, names) for cell in notebook["cells"]]
    count = 0
    for cell in cells:
        if cell["cell_type"] == "code":
            count += 1
            cell["execution_count"] = count
            for output in cell["outputs"]:
                if output["output_type"] == "execute_result":
                    output["execution_count"] = count
    return {**notebook, "cells": cells}


def run_cell(cell: dict[str, Any], names: dict[str, Any]) -> dict[str, Any]:
    """Return a cell with its output: what it prints, its last expression, and its figures."""
    if cell["cell_type"] != "code":
        return cell
    body = ast.parse("".join(cell["source"])).body
    last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(ast.Module(body, []), "cell", "exec"), names)  # noqa: S102 (our own notebook)
        value = None
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), "cell", "eval"), names)  # noqa: S307
    return {**cell, "outputs": [*_printed(printed.getvalue()), *_value(value), *_figures()]}


def _printed(text: str) -> Iterator[Output]:
    if text:
        yield {"output_type": "stream", "name": "stdout", "text": text.splitlines(keepends=True)}


def _value(value: Any) -> Iterator[Output]:
    if value is None:
        return
    data = {"text/plain": repr(value).splitlines(keepends=True)}
    if hasattr(value, "_repr_html_"):
        data["text/html"] = value._repr_html_().splitlines(keepends=True)
    yield {"output_type": "execute_result", "metadata": {}, "data": data}


def _figures() -> Iterator[Output]:
    for number in pyplot.get_fignums():
        drawn = io.BytesIO()
        pyplot.figure(number).savefig(drawn, format="png", dpi=80)
        data = {"image/png": base64.b64encode(drawn.getvalue()).decode()}
        yield {"output_type": "display_data", "metadata": {}, "data": data}
    pyplot.close("all")


def page(name: str, notebook: Notebook) -> str:
    """Return a notebook as a page in Markdown."""
    parts = [NOTE.format(name=name)]
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(f"{source}\n")
            continue
        parts.append(f"```python\n{source}\n```\n")
        parts += [_shown(output) for output in cell["outputs"]]
    return "\n".join([*parts, LINK.format(name=name).lstrip()])


def _shown(output: Output) -> str:
    if output["output_type"] == "stream":
        return _block(output["text"])
    data = output["data"]
    if "image/png" in data:
        return PLOT.format(data["image/png"])
    if "text/html" in data:
        return f"<div>\n{_without_scripts(''.join(data['text/html']))}\n</div>\n"
    return _block(data["text/plain"])


def _block(lines: list[str]) -> str:
    return f"```text\n{''.join(lines).rstrip()}\n```\n"


def _without_scripts(html: str) -> str:
    """Return HTML without styles and scripts, and of estimators only what nightglass says."""
    html = re.sub(r"<style>.*?</style>|<script>.*?</script>", "", html, flags=re.DOTALL)
    return re.sub(r'(<body>)?<div id="sk-container-id.*', "", html, flags=re.DOTALL).strip()


def written(notebook: Notebook) -> str:
    """Return a notebook as a file."""
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def main(*names: str) -> None:
    """Run the notebooks of these names, or all."""
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    for path in [FOLDER / f"{name}.ipynb" for name in names] or sorted(FOLDER.glob("*.ipynb")):
        found = run_cells(json.loads(path.read_text(encoding="utf-8")))
        path.write_text(written(found), encoding="utf-8")
        path.with_suffix(".md").write_text(page(path.stem, found), encoding="utf-8")
        sys.stdout.write(f"written: {path}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
