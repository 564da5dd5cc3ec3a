"""The example in docs/series.md runs, and prints what the page shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from console import commands_and_output, normalized, run

from flows.jobs.series.settings import SeriesSettings

PAGE = (Path(__file__).parent.parent / "docs/series.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.mark.slow
def test_the_example_prints_the_output_shown(tmp_path):
    [script], [job] = blocks("python"), blocks("toml")
    (tmp_path / "make.py").write_text(script, encoding="utf-8")
    for block in blocks("console"):
        for command, expected in commands_and_output(block):
            done = run(command, tmp_path)
            assert done.returncode == 0, f"{command}: {done.stderr}"
            assert normalized(done.stdout) == normalized(expected), command

    assert (tmp_path / "pumps.toml").read_text(encoding="utf-8") == job


def test_the_page_has_every_key():
    keys = set(re.findall(r"^\| `(\w+)` \|", PAGE, flags=re.MULTILINE))

    assert set(SeriesSettings.__dataclass_fields__) <= keys
