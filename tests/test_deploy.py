"""The files in deploy/: the files, settings and commands they refer to exist.

tests/flows/drills runs them.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from station import COMPOSE, ROOT, shipped

DEPLOY = ROOT / "deploy"
OWN = COMPOSE["x-nightglass"]
COMPOSE_COMMAND = shutil.which("docker-compose", path=f"{Path(sys.executable).parent}:{os.defpath}")
NOT_PREFECT = {"DO_NOT_TRACK", "NO_PROXY", "OMP_WAIT_POLICY"}  # used by libraries
NAMED_IN_JOBS = {"NIGHTGLASS_WEBHOOK"}  # used if a job file names it


def prefect_settings() -> set[str]:
    """Names of all Prefect settings."""
    code = (
        "from prefect.settings import Settings;"
        "from prefect.settings.legacy import _get_valid_setting_names as names;"
        "print(*names(Settings))"
    )
    command = [sys.executable, "-c", code]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


def our_variables() -> set[str]:
    """Names of the environment variables that our code reads."""
    files = (*DEPLOY.glob("*.py"), *ROOT.glob("flows/**/*.py"))
    code = "".join(path.read_text() for path in files)
    return set(re.findall(r"NIGHTGLASS_[A-Z_]+", code))


def given_by_compose() -> dict[str, str]:
    return {
        name: value
        for each in COMPOSE["services"].values()
        if "command" in each
        for name, value in each["environment"].items()
    }


def test_every_shipped_setting_exists():
    known = prefect_settings() | our_variables() | NOT_PREFECT | NAMED_IN_JOBS

    assert set(shipped()) | set(given_by_compose()) <= known


def test_containers_and_machines_share_settings():
    machine, containers = shipped(), given_by_compose()
    both = machine.keys() & containers.keys() - {"PREFECT_API_URL"}
    plain = {name: re.sub(r"\$\{\w+:-(.*)\}", r"\1", containers[name]) for name in both}

    assert {
        name: value
        for name, value in plain.items()
        if value != machine[name] and "AUTH_STRING" not in name
    } == {}
    assert {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY", "NIGHTGLASS_RECHECK_CRON"} <= both


def test_env_example_sets_every_variable_of_compose():
    asked = set(re.findall(r"\$\{(\w+)", (DEPLOY / "compose.yaml").read_text()))
    example = (DEPLOY / "env.example").read_text()

    assert {name for name in asked if f"{name}=" not in example} == set()


@pytest.mark.skipif(COMPOSE_COMMAND is None, reason="no Docker Compose here; `make check`")
def test_docker_compose_accepts_the_file_with_all_variables_and_refuses_it_without():
    line = [COMPOSE_COMMAND, "-f", DEPLOY / "compose.yaml", "config", "--quiet"]
    asked = re.findall(r"\$\{(\w+):\?", (DEPLOY / "compose.yaml").read_text())
    bare = {name: value for name, value in os.environ.items() if name not in asked}
    given = {**bare, **dict.fromkeys(asked, "/srv/nightglass")}

    assert subprocess.run(line, env=given, check=False).returncode == 0
    assert subprocess.run(line, env=bare, check=False, capture_output=True).returncode != 0


def test_containers_do_not_run_as_root():
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    users = [line.split()[1] for line in lines if line.startswith("USER ")]

    assert users == ["nightglass"]
    assert "useradd --create-home nightglass" in "\n".join(lines)


def test_all_container_ports_are_on_the_loopback():
    ports = [port for each in COMPOSE["services"].values() for port in each.get("ports", ())]

    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []
    assert len(ports) == 2


def test_the_image_copies_existing_files_and_all_that_the_containers_run():
    assert (
        DEPLOY / OWN["build"]["context"] / OWN["build"]["dockerfile"]
    ).resolve() == DEPLOY / "Dockerfile"
    copied = re.findall(r"^COPY (.+) \S+$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    files = [name for line in copied for name in line.split()]

    assert [name for name in files if not (ROOT / name).exists()] == []
    assert {"aemodel", "flows", "storage", "deploy", "requirements.lock", "pyproject.toml"} <= set(
        files
    )
    assert "python deploy/bootstrap.py" in (DEPLOY / "compose.yaml").read_text()


def test_deployments_refer_to_existing_flows():
    named = re.findall(
        r"entrypoint: flows\.orchestration\.deployed:(\w+)", (DEPLOY / "prefect.yaml").read_text()
    )
    source = (ROOT / "flows/orchestration/deployed.py").read_text()

    assert sorted(named) == ["backfill", "encode", "nightly", "train"]
    assert [name for name in named if f"\ndef {name}(" not in source] == []


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd here")
def test_systemd_units_are_valid(tmp_path):
    for unit in (DEPLOY / "systemd").glob("*.service"):
        text = (
            unit.read_text()
            .replace("/opt/nightglass/.venv", sys.prefix)
            .replace("/opt/nightglass", str(ROOT))
        )
        (tmp_path / unit.name).write_text(text)
    found = subprocess.run(
        ["systemd-analyze", "verify", *tmp_path.glob("*.service")], capture_output=True, text=True
    )

    assert (found.returncode, found.stderr) == (0, "")


def test_every_systemd_unit_reads_the_environment_file():
    units = [unit.read_text() for unit in (DEPLOY / "systemd").glob("*.service")]

    assert all("/etc/nightglass/env" in unit for unit in units)
    assert len(units) == 3


def test_the_runbook_refers_to_existing_files():
    words = (DEPLOY / "RUNBOOK.md").read_text()
    files = [
        name.replace("{server,worker}", part)
        for name in re.findall(r"deploy/[\w./{},-]+\w", words)
        for part in ("server", "worker")
    ]

    assert [name for name in files if not list(ROOT.glob(name))] == []
