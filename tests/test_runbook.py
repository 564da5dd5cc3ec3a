"""Everything that the runbook tells an operator to type exists.

Commands, options, systemd units, deployments, job-file keys, environment variables, files.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from documents import require_command

from flows.jobs.sections.data import DataSettings
from flows.jobs.settings import Job

ROOT = Path(__file__).parent.parent
RUNBOOK = (ROOT / "deploy/RUNBOOK.md").read_text(encoding="utf-8")
SPANS = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", RUNBOOK, flags=re.DOTALL))
BLOCK = re.findall(r"```\n(.*?)```", RUNBOOK, flags=re.DOTALL)[0].splitlines()
TYPED = [re.sub(r"\s+#.*", "", words) for words in [*SPANS, *BLOCK]]


def commands(program: str) -> list[tuple[str, ...]]:
    """All invocations of one program in the runbook, without the program name."""
    lines = [part.strip() for words in TYPED for part in words.split("&&")]
    invocations = [shlex.split(line) for line in lines if line.startswith(f"{program} ")]
    return sorted({tuple(words[1:]) for words in invocations})


@pytest.mark.parametrize("words", commands("nightglass"), ids=" ".join)
def test_every_command_in_the_runbook_exists(words):
    require_command(list(words))


def test_the_runbook_covers_the_main_commands():
    invocations = commands("nightglass")
    main = {"status", "train", "score", "label", "prune", "verify", "models"}

    assert {words[0] for words in invocations} >= main
    assert ("models", "list", "JOB") in invocations


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", sorted({words[:2] for words in commands("prefect")}), ids=" ".join
)
def test_every_prefect_command_in_the_runbook_exists(words):
    done = subprocess.run(
        [Path(sys.executable).with_name("prefect"), *words, "--help"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert f"prefect {' '.join(words)}" in done.stdout, done.stderr


def test_units_and_files_exist():
    words = {word for invocation in commands("systemctl") for word in invocation}
    units = {word for word in words if word.startswith("nightglass-")}

    assert {path.stem for path in (ROOT / "deploy/systemd").iterdir()} >= units != set()
    for path in re.findall(r"\bdeploy/[\w./-]+\.\w+", RUNBOOK):
        assert (ROOT / path).is_file(), path


def test_deployments_exist():
    text = (ROOT / "deploy/prefect.yaml").read_text(encoding="utf-8")
    deployed = re.findall(r"entrypoint: flows.orchestration.deployed:(\w+)", text)
    named = {words.removesuffix("/NAME") for words in SPANS if words.endswith("/NAME")}

    assert set(deployed) >= named != set()


KEY = re.compile(r"(data|model|train|encode|score|schedule|alert)\.\w+")


def test_job_file_keys_exist():
    job = Job(name="small", data=DataSettings(clean="clean.npy"))
    keys = [words.split(".") for words in SPANS if KEY.fullmatch(words)]

    assert len(keys) >= 5
    assert all(hasattr(getattr(job, section), key) for section, key in keys), keys


def test_environment_variables_exist():
    known = (ROOT / "deploy/env.example").read_text(encoding="utf-8")
    named = [words for words in SPANS if words.startswith("NIGHTGLASS_")]

    assert [name for name in named if name not in known] == []


@pytest.mark.parametrize(
    "situation",
    [
        "--from D --to D",
        "same date twice",
        "NO DATA",
        "late data",
        "max_model_age_days",
        "columns do not match",
        "DRIFT",
        "FLOOD",
        "no GPU here",
        "PARTIAL",
        "may need",
        "No space left",
        "Two runs of one night",
        "No heartbeat",
        "prune JOB --yes",
        "models rollback",
        "Is it alive",
    ],
)
def test_the_runbook_covers_every_situation(situation):
    assert situation in RUNBOOK


@pytest.mark.parametrize(
    ("words", "file"),
    [
        ("no GPU here", "flows/training/champion.py"),
        ("was trained", "flows/training/champion.py"),
        ("may need", "flows/engine/disk_space.py"),
        ("is free", "flows/engine/disk_space.py"),
        ("columns do not match", "storage/sources/columns/features.py"),
        ("as in training", "storage/sources/columns/schema.py"),
        ("is using it", "storage/files/locks.py"),
        ("changed while it was read", "flows/scoring/publish.py"),
        ("no Prefect server answers", "flows/orchestration/backends.py"),
        ("No heartbeat", "deploy/bootstrap.py"),
        ("Pending for 15 minutes", "deploy/bootstrap.py"),
        ("ALERT FAILED", "flows/orchestration/deployed.py"),
        ("cannot be read (", "storage/files/reads.py"),
        ("the file system has no file locks", "storage/files/locks.py"),
        ("its publication was interrupted", "flows/scoring/catch_up.py"),
        ("could not be written", "storage/files/atomic.py"),
        ("nightglass.data.arrived", "deploy/prefect.yaml"),
        ("last_good_night", "flows/operations/status.py"),
    ],
)
def test_the_runbook_quotes_messages_of_the_code(words, file):
    assert words in RUNBOOK
    assert words in (ROOT / file).read_text(encoding="utf-8")
