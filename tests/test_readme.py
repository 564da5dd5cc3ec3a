"""The README's commands run and print the output that it shows."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from bench import JOB
from console import commands_and_output, normalized, run

from flows.cli.app import COMMANDS
from flows.jobs.job_file import read_job

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def sessions() -> list[list[tuple[str, str]]]:
    """Console blocks, each a list of (command, expected output)."""
    blocks = re.findall(r"```console\n(.*?)```", README, flags=re.DOTALL)
    return [commands_and_output(block) for block in blocks]


@pytest.fixture(scope="module")
def demo_folder(tmp_path_factory):
    """The folder that `make demo` creates, and its output, without a Prefect server."""
    folder = tmp_path_factory.mktemp("readme")
    done = run("nightglass demo --dir nightglass-demo --no-prefect", folder)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


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
