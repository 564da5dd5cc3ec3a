"""Consoles in pages of documentation: their commands, and the output that they show."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

BIN = Path(sys.executable).parent


def commands_and_output(block: str) -> list[tuple[str, str]]:
    parts = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
    lines = [part.partition("\n") for part in parts]
    return [(command, output) for command, _, output in lines]


def normalized(output: str) -> list[str]:
    """Lines without what varies between runs or machines: ids, times, digits."""
    output = re.sub(r"since \S+ by", "since … by", output)
    output = re.sub(r"\b[0-9a-f]{8,12}\b|\d[\d,]*(\.\d+)?", "#", output)
    return output.splitlines()


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    environment.pop("PREFECT_API_URL", None)
    return subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
