"""Run a benchmark, and keep the tables that it prints as JSON, for docs/benchmarks.md.

    python benchmarks/record.py false_alarms.py
    python benchmarks/record.py --name detection_keel detection.py --keel FOLDER

Writes benchmarks/results/NAME.json, NAME being that of the script unless another one is given.
`python docs/generate.py` then writes the page.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
MACHINE = re.compile(r"\d+ cores, [\w-]+, Python [\d.]+")
Table = dict[str, Any]


def tables_in(lines: Iterable[str]) -> list[Table]:
    """Return the Markdown tables among lines, each as its head and its rows."""
    found: list[Table] = []
    before = ""
    for line in lines:
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if re.fullmatch(r"\|[:\-| ]+\|", line.strip()):
            found.append({"head": [cell.strip() for cell in before.strip("|").split("|")]})
            found[-1]["rows"] = []
        elif found and line.startswith("|") and before.startswith("|"):
            found[-1]["rows"].append(cells)
        before = line.strip()
    return [table for table in found if table["rows"]]


def run_shown(script: str, arguments: list[str]) -> list[str]:
    """Run a benchmark, show what it prints, and return its lines."""
    line = [sys.executable, str(HERE / script), *arguments]
    lines = []
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 (ours)
        assert process.stdout is not None
        for printed in process.stdout:
            print(printed, end="", flush=True)
            lines.append(printed.rstrip("\n"))
    if process.returncode:
        raise SystemExit(process.returncode)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--name", default="", help="of the JSON file")
    parser.add_argument("script", help="a file in this folder")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    asked = parser.parse_args()
    lines = run_shown(asked.script, asked.arguments)
    machine = MACHINE.search("\n".join(lines))
    content = {
        "format_version": 1,
        "command": " ".join(["python", f"benchmarks/{asked.script}", *asked.arguments]),
        "machine": machine[0] if machine else "",
        "origin": "written by benchmarks/record.py",
        "tables": tables_in(lines),
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{asked.name or Path(asked.script).stem}.json"
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"\nwritten: {path}")


if __name__ == "__main__":
    main()
