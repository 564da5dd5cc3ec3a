"""The commands and Python code of README.md and docs/ run, and print the output shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from console import normalized, run
from documents import DOCS, README, WRITTEN, blocks, commands, files_shown, sessions

OF_DEMO = [DOCS / "demo.md", DOCS / "latent-stores.md"]  # run in the folder of the demo
TUTORIALS = [page for page in WRITTEN if files_shown(page)]  # bring their own files


@pytest.fixture(scope="module")
def demo_folder(tmp_path_factory):
    """The folder that `make demo` creates, and its output, without a Prefect server."""
    folder = tmp_path_factory.mktemp("readme")
    done = run("nightglass demo --dir nightglass-demo --no-prefect", folder)
    assert done.returncode == 0, done.stderr
    return folder / "nightglass-demo", done.stdout


def run_sessions(page: Path, folder: Path) -> None:
    """Run the commands of a page but the demo, and compare what they print."""
    for command, expected in [pair for session in sessions(page) for pair in session]:
        if command == "make demo":
            continue
        done = run(command, folder)
        assert done.returncode == 0, f"{page.name}: {command}: {done.stderr}"
        if expected.strip():
            assert normalized(done.stdout) == normalized(expected), f"{page.name}: {command}"


@pytest.mark.slow
@pytest.mark.parametrize("page", [README, DOCS / "demo.md"], ids=lambda page: page.name)
def test_the_demo_prints_the_output_shown(page, demo_folder):
    _, printed = demo_folder
    [command, expected] = sessions(page)[0][0]

    assert command == "make demo"
    assert normalized(printed) == normalized(expected)


@pytest.mark.slow
@pytest.mark.parametrize("page", OF_DEMO, ids=lambda page: page.name)
def test_commands_in_the_folder_of_the_demo_print_the_output_shown(page, demo_folder):
    run_sessions(page, demo_folder[0])


@pytest.mark.slow
@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.name)
def test_the_commands_of_a_tutorial_print_the_output_shown(page, tmp_path):
    for name, text in files_shown(page).items():
        (tmp_path / name).write_text(text, encoding="utf-8")

    run_sessions(page, tmp_path)
    for name, text in shown_outputs(page).items():
        assert (tmp_path / name).read_text(encoding="utf-8") == text


def shown_outputs(page: Path) -> dict[str, str]:
    """Job files shown that commands wrote, by name."""
    named = {
        re.search(r'^name = "(.+)"$', text, re.MULTILINE): text for text in blocks(page, "toml")
    }
    return {f"{name[1]}.toml": text for name, text in named.items() if name}


def test_every_page_with_commands_is_run():
    run_above = {README, *OF_DEMO, *TUTORIALS}

    assert {page for page in WRITTEN if sessions(page)} <= run_above
    assert len(TUTORIALS) >= 2


def test_the_commands_of_the_readme_are_those_of_the_tutorials():
    shown = {command for page in (*OF_DEMO, *TUTORIALS) for command in commands(page)}

    assert set(commands(README)) <= shown
    assert len(commands(README)) >= 7


@pytest.mark.slow
def test_the_python_code_of_the_docs_runs(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("aemodel.table_defaults.STEPS", 80)  # for speed
    names: dict[str, object] = {}
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.chdir(tmp_path)
    arrays, frames, notebook = blocks(DOCS / "python.md", "python")
    for block in [arrays, *blocks(README, "python"), frames, notebook]:
        exec(block, names)

    assert len(names["flagged"]) == 1
    assert (tmp_path / "scores.png").stat().st_size > 0
    assert "city 'Paris' never seen in fit rows" in capsys.readouterr().out


def test_only_pages_that_are_run_show_python_code():
    shown = {page.name for page in WRITTEN if blocks(page, "python")}

    assert shown == {"README.md", "python.md"}
