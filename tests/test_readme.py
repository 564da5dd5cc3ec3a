"""The README's commands run and print the output that it shows."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from bench import JOB

from flows.cli.app import COMMANDS
from flows.jobs.job_file import read_job

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
BIN = Path(sys.executable).parent


def sessions() -> list[list[tuple[str, str]]]:
    """Console blocks, each a list of (command, expected output)."""
    blocks = re.findall(r"```console\n(.*?)```", README, flags=re.DOTALL)
    return [commands_and_output(block) for block in blocks]


def commands_and_output(block: str) -> list[tuple[str, str]]:
    parts = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
    lines = [part.partition("\n") for part in parts]
    return [(command, output) for command, _, output in lines]


def normalized(output: str) -> list[str]:
    """Lines without what varies between runs or machines: ids, times, digits."""
    output = re.sub(r"since \S+ by", "since … by", output)
    output = re.sub(r"\b[0-9a-f]{8,12}\b|\d[\d,]*(\.\d+)?", "#", output)
    return output.splitlines()


@pytest.fixture(scope="module")
def demo_folder(tmp_path_factory):
    """The folder that `make demo` creates, and its output, without a Prefect server."""
    folder = tmp_path_factory.mktemp("readme")
    done = run("nightglass demo --dir nightglass-demo --no-prefect", folder)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


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


@pytest.mark.slow
def test_every_command_in_the_readme_prints_the_output_shown(demo_folder):
    folder, printed = demo_folder
    first, *others = sessions()
    assert normalized(printed) == normalized(first[0][1])
    for command, expected in [pair for session in others for pair in session]:
        done = run(command, folder / "nightglass-demo")
        assert done.returncode == 0, f"{command}: {done.stderr}"
        if expected.strip():
            assert normalized(done.stdout) == normalized(expected), command


def test_the_readme_lists_every_command():
    listed = set(re.findall(r"^\| `nightglass (\w+)", README, flags=re.MULTILINE))
    assert listed == {*COMMANDS, "models"}


def test_the_job_file_in_the_readme_shows_every_key_with_its_default(tmp_path):
    text = re.search(r"```toml\n(.*?)```", README, flags=re.DOTALL)[1]
    minimal = JOB.split("[model]")[0].replace('shard_bytes = "1 MB"\n', "")
    (tmp_path / "job.toml").write_text(text, encoding="utf-8")
    (tmp_path / "minimal.toml").write_text(minimal, encoding="utf-8")
    job = read_job(tmp_path / "job.toml")
    defaults = read_job(tmp_path / "minimal.toml")
    keys = set(re.findall(r"^(\w+)\s*=", text, flags=re.MULTILINE))

    for section in ("model", "train", "encode", "score", "schedule"):
        settings = getattr(job, section)
        assert settings == getattr(defaults, section), "the README shows the defaults"
        assert {field.name for field in dataclasses.fields(settings)} <= keys
