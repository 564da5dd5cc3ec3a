"""Run the nightglass commands as a user would."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

NIGHTGLASS = str(Path(sys.executable).with_name("nightglass"))


def command(*words: object) -> dict[str, Any]:
    """Run a nightglass command and return its JSON output; exit with its message if it fails."""
    line = [NIGHTGLASS, *map(str, words), "--json"]
    if words[0] in ("train", "encode"):
        line.append("--no-prefect")
    done = subprocess.run(line, check=False, capture_output=True, text=True)  # noqa: S603 (our own command)
    if done.returncode:
        sys.exit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return found
