"""What the runbook tells an operator to type exists.

Commands, options, units, deployments, keys, variables, files.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from flows.cli.app import app
from flows.jobs.settings import DataSettings, Job

ROOT = Path(__file__).parent.parent
RUNBOOK = (ROOT / "deploy/RUNBOOK.md").read_text(encoding="utf-8")
SPANS = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", RUNBOOK, flags=re.DOTALL))
BLOCK = re.findall(r"```\n(.*?)```", RUNBOOK, flags=re.DOTALL)[0].splitlines()
TYPED = [re.sub(r"\s+#.*", "", words) for words in [*SPANS, *BLOCK]]


def commands(program: str) -> list[list[str]]:
    """What is to be typed of one program, without its name."""
    parts = [part.strip() for words in TYPED for part in words.split("&&")]
    return sorted(
        {tuple(shlex.split(part)[1:]) for part in parts if part.startswith(f"{program} ")}
    )


@pytest.mark.parametrize("words", commands("nightglass"), ids=" ".join)
def test_every_command_of_the_runbook_is_one(words):
    command = typer.main.get_command(app)
    words = list(words)
    context = command.make_context("nightglass", words[:1], resilient_parsing=True)
    while hasattr(command, "commands"):
        name = words.pop(0)
        assert name in command.commands, f"no command {name}"
        command = command.commands[name]
    command.make_context(
        command.name, words, parent=context
    )  # raises where an option or argument is unknown or missing


def test_the_runbook_has_commands_to_test():
    assert {words[0] for words in commands("nightglass")} >= {
        "status",
        "train",
        "score",
        "label",
        "prune",
        "verify",
        "models",
    }
    assert {" ".join(words) for words in commands("nightglass") if words[0] == "models"} >= {
        "models list JOB"
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", sorted({words[:2] for words in commands("prefect")}), ids=" ".join
)
def test_every_command_of_prefect_is_one(words):
    done = subprocess.run(
        [Path(sys.executable).with_name("prefect"), *words, "--help"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert f"prefect {' '.join(words)}" in done.stdout, done.stderr


def test_units_deployments_and_files_are_there():
    units = {
        word for words in commands("systemctl") for word in words if word.startswith("nightglass-")
    }
    assert {path.stem for path in (ROOT / "deploy/systemd").iterdir()} >= units != set()
    deployed = set(
        re.findall(
            r"entrypoint: flows.orchestration.deployed:(\w+)",
            (ROOT / "deploy/prefect.yaml").read_text(),
        )
    )
    assert (
        deployed
        >= {words.removesuffix("/NAME") for words in SPANS if words.endswith("/NAME")}
        != set()
    )
    for path in re.findall(r"\bdeploy/[\w./-]+\.\w+", RUNBOOK):
        assert (ROOT / path).is_file(), path


def test_keys_and_variables_are_there():
    job = Job(name="small", data=DataSettings(clean="clean.npy"))
    keys = [
        words.split(".")
        for words in SPANS
        if re.fullmatch(r"(data|model|train|encode|score|schedule|alert)\.\w+", words)
    ]

    assert len(keys) >= 5
    assert all(hasattr(getattr(job, section), key) for section, key in keys), keys
    assert all(
        name in (ROOT / "deploy/env.example").read_text()
        for name in SPANS
        if name.startswith("NIGHTGLASS_")
    )


@pytest.mark.parametrize(
    "situation",
    ["--from D --to D", "same date twice", "NO DATA", "late data", "max_model_age_days", "other columns than expected", "DRIFT", "FLOOD",
     "no GPU here", "PARTIAL", "may need", "No space left", "Two runs of one night", "No heartbeat", "prune JOB --yes", "models rollback",
     "Is it alive"],
)  # fmt: skip
def test_every_situation_has_its_place(situation):
    assert situation in RUNBOOK


@pytest.mark.parametrize(
    ("words", "file"),
    [
        ("no GPU here", "flows/training/champion.py"), ("was trained", "flows/training/champion.py"), ("may need", "flows/engine/disk_space.py"),
        ("are free", "flows/engine/disk_space.py"), ("other columns than expected", "storage/sources/source.py"), ("as in training", "storage/sources/source.py"),
        ("is at work on it", "storage/files/locks.py"), ("changed while it was read", "flows/scoring/publish.py"), ("no Prefect server answers", "flows/orchestration/backends.py"),
        ("No heartbeat", "deploy/bootstrap.py"), ("Pending for 15 minutes", "deploy/bootstrap.py"), ("NOT TOLD", "flows/orchestration/deployed.py"),
        ("could not be written", "storage/files/atomic.py"), ("nightglass.data.arrived", "deploy/prefect.yaml"), ("last_good_night", "flows/operations/status.py"),
    ],
)  # fmt: skip
def test_what_one_sees_is_what_the_programs_say(words, file):
    assert words in RUNBOOK
    assert words in (ROOT / file).read_text(encoding="utf-8")
