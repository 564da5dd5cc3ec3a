"""The first lines of the command: help, version, completion, and verdicts in color."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli.app import COMMANDS, app
from flows.cli.colors import colored

NIGHTGLASS = Path(sys.executable).parent / "nightglass"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")


def in_shell(script: str) -> str:
    environment = {**os.environ, "PATH": f"{NIGHTGLASS.parent}:{os.environ['PATH']}"}
    found = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, check=True, env=environment
    )
    return found.stdout


def test_version_is_that_of_the_package():
    assert CliRunner().invoke(app, ["--version"]).stdout == "nightglass 0.1.0\n"


def test_help_begins_with_what_to_type_first():
    found = CliRunner().invoke(app, []).output

    assert found.index("nightglass demo") < found.index("nightglass init clean.parquet > job.toml")
    assert found.index("nightglass train job.toml") < found.index("Options:")


@pytest.mark.parametrize("command", ["", *COMMANDS, "models"])
def test_no_line_of_help_is_wider_than_a_terminal_or_cut(command):
    found = CliRunner().invoke(app, [*command.split(), "--help"]).output

    assert max(map(len, found.splitlines())) <= 80
    assert "..." not in found.partition("\n")[2]  # below the usage, which repeats arguments


def test_bash_completes_commands():
    script = (
        'source <(_NIGHTGLASS_COMPLETE=source_bash nightglass); COMP_WORDS=(nightglass "tr"); '
        'COMP_CWORD=1; _nightglass_completion nightglass; echo "${COMPREPLY[@]}"'
    )

    assert in_shell(script) == "train\n"


@pytest.mark.parametrize(("shell", "asked"), [("zsh", ""), ("fish", "get-args")])
def test_zsh_and_fish_have_a_script_and_complete_commands(shell, asked):
    script = in_shell(f"_NIGHTGLASS_COMPLETE=source_{shell} nightglass")
    found = in_shell(
        f'_NIGHTGLASS_COMPLETE=complete_{shell} _TYPER_COMPLETE_ARGS="nightglass models pro" '
        f"_TYPER_COMPLETE_FISH_ACTION={asked} nightglass"
    )

    assert f"_NIGHTGLASS_COMPLETE=complete_{shell}" in script
    assert "promote" in found


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2026-11-22: REVIEW 1,204, 3 of 9", "2026-11-22: \x1b[33mREVIEW 1,204\x1b[0m, 3 of 9"),
        ("2026-11-22: OK, 0 of 9 rows", "2026-11-22: \x1b[32mOK\x1b[0m, 0 of 9 rows"),
        ("Model 1a2b3c4d5e6f promoted: x", "Model 1a2b3c4d5e6f \x1b[32mpromoted\x1b[0m: x"),
        ("Error: FLOODING of a disk", "\x1b[31mError\x1b[0m: FLOODING of a disk"),
    ],
)
def test_verdicts_are_colored_on_a_terminal(text, shown):
    assert colored(text, Terminal()) == shown


@pytest.mark.parametrize("variable", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_nothing_is_colored_where_the_user_wants_none(monkeypatch, variable):
    [(name, value)] = variable.items()
    monkeypatch.setenv(name, value)

    assert colored("2026-11-22: OK", Terminal()) == "2026-11-22: OK"


def test_nothing_is_colored_in_a_file():
    assert colored("2026-11-22: OK", io.StringIO()) == "2026-11-22: OK"
