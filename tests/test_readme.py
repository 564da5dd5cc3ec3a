"""The README's commands run, and print what it says they print."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from bench import JOB

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
BIN = Path(sys.executable).parent


def sessions() -> list[list[tuple[str, str]]]:
    """Each console block as pairs of a command and what it prints."""
    blocks = re.findall(r"```console\n(.*?)```", README, flags=re.DOTALL)
    return [
        [
            (part.partition("\n")[0], part.partition("\n")[2])
            for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
        ]
        for block in blocks
    ]


def same(line: str) -> str:
    """A line without what differs from one run or machine to the next.

    Ids, times, digits of floats.
    """
    line = re.sub(r"since \S+ by", "since … by", line)
    return re.sub(r"\b[0-9a-f]{8,12}\b|\d[\d,]*(\.\d+)?", "#", line)


@pytest.fixture(scope="module")
def demo_folder(tmp_path_factory):
    """What `make demo` leaves behind, without its Prefect server."""
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
def test_every_command_of_the_readme_prints_what_it_says(demo_folder):
    folder, printed = demo_folder
    first, *others = sessions()
    assert [same(line) for line in printed.splitlines()] == [
        same(line) for line in first[0][1].splitlines()
    ]
    for command, expected in [pair for session in others for pair in session]:
        done = run(command, folder / "nightglass-demo")
        assert done.returncode == 0, f"{command}: {done.stderr}"
        if expected.strip():
            assert [same(line) for line in done.stdout.splitlines()] == [
                same(line) for line in expected.splitlines()
            ], command


def test_the_readme_lists_every_command():
    from flows.cli.app import COMMANDS

    listed = set(re.findall(r"^\| `nightglass (\w+)", README, flags=re.MULTILINE))
    assert listed == {*COMMANDS, "models"}


def test_the_job_file_of_the_readme_is_read_and_holds_every_key(tmp_path):
    import dataclasses

    from flows.jobs.job_file import read_job

    text = re.search(r"```toml\n(.*?)```", README, flags=re.DOTALL)[1]
    (tmp_path / "job.toml").write_text(text)
    (tmp_path / "least.toml").write_text(
        JOB.split("[model]")[0].replace('shard_bytes = "1 MB"\n', "")
    )
    job, least = read_job(tmp_path / "job.toml"), read_job(tmp_path / "least.toml")

    for section in ("model", "train", "encode", "score", "schedule"):
        assert getattr(job, section) == getattr(least, section), "the README shows the defaults"
        names = {field.name for field in dataclasses.fields(getattr(job, section))}
        assert names <= set(
            re.findall(r"^(\w+) +=|^(\w+) = ", text, flags=re.MULTILINE)
            and re.findall(r"^(\w+)\s*=", text, flags=re.MULTILINE)
        )
