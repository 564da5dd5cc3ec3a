"""What lies in deploy/.

Files, settings and commands that it names are there. tests/flows/drills runs them.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

import pytest
from station import COMPOSE, ROOT, shipped

DEPLOY = ROOT / "deploy"
OWN = COMPOSE["x-nightglass"]
NOT_PREFECT = {"DO_NOT_TRACK", "NO_PROXY", "OMP_WAIT_POLICY"}  # read by libraries
NAMED_IN_JOBS = {"NIGHTGLASS_WEBHOOK"}  # read where a job file names it


def settings_known() -> set[str]:
    """Names of all settings that Prefect reads."""
    line = "from prefect.settings import Settings; from prefect.settings.legacy import _get_valid_setting_names as n; print(*n(Settings))"
    return set(
        subprocess.run(
            [sys.executable, "-c", line], capture_output=True, text=True, check=True
        ).stdout.split()
    )


def read_by_us() -> set[str]:
    """Names of the variables that our own code reads."""
    return set(
        re.findall(
            r"NIGHTGLASS_[A-Z_]+",
            "".join(
                path.read_text() for path in (*DEPLOY.glob("*.py"), *ROOT.glob("flows/**/*.py"))
            ),
        )
    )


def given_by_compose() -> dict[str, str]:
    return {
        name: value
        for each in COMPOSE["services"].values()
        if "command" in each
        for name, value in each["environment"].items()
    }


def test_every_setting_that_is_shipped_is_one_that_something_reads():
    known = settings_known() | read_by_us() | NOT_PREFECT | NAMED_IN_JOBS

    assert set(shipped()) | set(given_by_compose()) <= known


def test_containers_are_set_as_machines_are():
    machine, containers = shipped(), given_by_compose()
    both = machine.keys() & containers.keys() - {"PREFECT_API_URL"}
    plain = {name: re.sub(r"\$\{\w+:-(.*)\}", r"\1", containers[name]) for name in both}

    assert {
        name: value
        for name, value in plain.items()
        if value != machine[name] and "AUTH_STRING" not in name
    } == {}
    assert {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY", "NIGHTGLASS_LOOK_AGAIN"} <= both


def test_a_file_of_variables_gives_compose_all_that_it_asks_for():
    asked = set(re.findall(r"\$\{(\w+)", (DEPLOY / "compose.yaml").read_text()))
    example = (DEPLOY / "env.example").read_text()

    assert {name for name in asked if f"{name}=" not in example} == set()


def test_every_port_of_the_containers_is_on_the_loopback():
    ports = [port for each in COMPOSE["services"].values() for port in each.get("ports", ())]

    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []
    assert len(ports) == 2


def test_the_image_is_built_from_files_that_are_there_and_holds_what_the_containers_run():
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


def test_deployments_name_flows_that_are_there():
    named = re.findall(
        r"entrypoint: flows\.orchestration\.deployed:(\w+)", (DEPLOY / "prefect.yaml").read_text()
    )
    source = (ROOT / "flows/orchestration/deployed.py").read_text()

    assert sorted(named) == ["backfill", "encode", "nightly", "train"]
    assert [name for name in named if f"\ndef {name}(" not in source] == []


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd here")
def test_units_are_well_formed_and_name_programs_that_are_there(tmp_path):
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


def test_every_unit_knows_the_addresses_of_the_machine():
    units = [unit.read_text() for unit in (DEPLOY / "systemd").glob("*.service")]

    assert all("/etc/nightglass/env" in unit for unit in units)
    assert len(units) == 3


def test_the_runbook_names_files_and_commands_that_are_there():
    words = (DEPLOY / "RUNBOOK.md").read_text()
    files = [
        name.replace("{server,worker}", part)
        for name in re.findall(r"deploy/[\w./{},-]+\w", words)
        for part in ("server", "worker")
    ]

    assert [name for name in files if not list(ROOT.glob(name))] == []
