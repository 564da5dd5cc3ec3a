"""The README and the pages of docs/, and what they ask a reader to type."""

from __future__ import annotations

import re
from pathlib import Path

import typer
from console import commands_and_output

from flows.cli.app import app

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
README = ROOT / "README.md"
WRITTEN = [README, *sorted(DOCS.glob("*.md"))]
NOTEBOOK_PAGES = sorted((DOCS / "notebooks").glob("*.md"))
PAGES = [*WRITTEN, *sorted((DOCS / "reference").glob("*.md")), *NOTEBOOK_PAGES]
Session = list[tuple[str, str]]


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path, language: str) -> list[str]:
    """The blocks of one language, without those that are files."""
    return re.findall(rf"^```{language}\n(.*?)^```", text_of(page), re.DOTALL | re.MULTILINE)


def files_shown(page: Path) -> dict[str, str]:
    """The files that a page asks its reader to save, by name."""
    shown = re.findall(
        r'^```\w+ title="(.+?)"\n(.*?)^```', text_of(page), flags=re.DOTALL | re.MULTILINE
    )
    return dict(shown)


def sessions(page: Path) -> list[Session]:
    """The console blocks, each a list of (command, expected output)."""
    return [commands_and_output(block) for block in blocks(page, "console")]


def commands(page: Path) -> list[str]:
    """All commands of a page's console blocks."""
    return [command for session in sessions(page) for command, _ in session]


def require_command(words: list[str]) -> None:
    """Raise unless `nightglass WORDS…` names a command, and only options and arguments it has."""
    command, words = typer.main.get_command(app), list(words)
    context = command.make_context("nightglass", words[:1], resilient_parsing=True)
    while hasattr(command, "commands"):
        name = words.pop(0)
        assert name in command.commands, f"no command {name}"
        command = command.commands[name]
    # raises if an option or argument is unknown or missing
    command.make_context(command.name, words, parent=context)
