"""README.md and docs/ are complete, and refer to what exists."""

from __future__ import annotations

import dataclasses
import importlib.util
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
from documents import DOCS, PAGES, README, ROOT, blocks, require_command, text_of

from aemodel import settings
from flows.cli.app import COMMANDS, MODELS_COMMANDS
from flows.jobs.sections import results as job_settings
from flows.jobs.settings import Job

REFERENCE = DOCS / "reference"
TOP = [README, *(ROOT / name for name in ("CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"))]
CHOICES = {
    "[model]": [settings.NETWORKS, settings.ACTIVATIONS, settings.SCALINGS, settings.COMBINATIONS],
    "[train]": [settings.SPLITS, settings.DEVICES],
    "[encode]": [job_settings.FORMATS, job_settings.PRECISIONS],
    "[score]": [settings.SCORES, job_settings.RUNNERS],
}


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    """docs/generate.py as a module."""
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_is_what_the_code_says(generator):
    written = {path.name: text_of(path) for path in REFERENCE.glob("*.md")}

    assert written == generator.pages(), "run: python docs/generate.py"


def sections_of_job() -> dict[str, str]:
    """The text of each section of the page on the job file, by heading."""
    parts = re.split(r"^## ", text_of(REFERENCE / "job-file.md"), flags=re.MULTILINE)[1:]
    return dict(part.split("\n", 1) for part in parts)


def test_every_key_is_documented(generator):
    shown = sections_of_job()
    for field in dataclasses.fields(Job):
        section = generator.section_of(generator.get_type_hints(Job)[field.name])
        if section is None:
            assert f"| `{field.name}` |" in shown["Top level"] or field.name == "folder"
            continue
        for key in dataclasses.fields(section):
            row = rf"\| `{key.name}` \| .+ \| .+ \| .{{10,}} \|"
            assert re.search(row, shown[f"[{field.name}]"]), f"{field.name}.{key.name}"


@pytest.mark.parametrize("section", CHOICES)
def test_every_choice_of_a_key_is_documented(section):
    shown = sections_of_job()[section]
    words = {word for choices in CHOICES[section] for word in choices}

    assert {word for word in words if f"`{word}`" not in shown} == set()


def test_every_command_and_option_is_documented():
    page = text_of(REFERENCE / "commands.md")
    names = [*COMMANDS, *(f"models {name}" for name in MODELS_COMMANDS)]

    assert re.findall(r"^## nightglass (.+)", page, flags=re.MULTILINE) == names
    assert page.count("For example:") == len(names)


def test_the_readme_lists_every_command():
    listed = set(re.findall(r"^\| `nightglass (\w+)", text_of(README), flags=re.MULTILINE))

    assert listed == {*COMMANDS, "models"}


def test_the_readme_is_short():
    assert len(text_of(README).splitlines()) <= 150


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and MkDocs make them."""
    heads = re.findall(r"^#+ (.+)", text_of(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", [*TOP, *PAGES[1:]], ids=lambda page: page.name)
def test_links_lead_to_files_and_headings(page):
    for link in re.findall(r"\]\(([^)]+)\)", text_of(page)):
        path, _, anchor = link.partition("#")
        if path.startswith("https://"):
            continue
        target = page.parent / path if path else page
        assert target.is_file(), f"{page.name}: {link}"
        assert not anchor or anchor in anchors(target), f"{page.name}: {link}"


def test_every_page_is_in_the_navigation():
    nav = re.findall(r": ([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), flags=re.MULTILINE)

    assert sorted(nav) == sorted(str(page.relative_to(DOCS)) for page in PAGES[1:])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_job_files_in_pages_have_known_keys(page, generator):
    for block in blocks(page, "toml"):
        for section, value in tomllib.loads(block).items():
            known = generator.get_type_hints(Job)
            assert section in known, f"{page.name}: {section}"
            kind = generator.section_of(known[section])
            keys = set(value) if kind else set()
            assert keys <= {each.name for each in dataclasses.fields(kind or Job)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_that_are_not_run_exist(page):
    lines = "".join(re.findall(r"^```\n(.*?)^```", text_of(page), re.DOTALL | re.MULTILINE))
    for line in re.findall(r"^nightglass (?!.*\[OPTIONS\])(.+)", lines, flags=re.MULTILINE):
        require_command(shlex.split(line.partition(" > ")[0], comments=True))


def lines_to_type() -> list[str]:
    """The lines of blocks without a language, in all pages but the runbook."""
    pages = [page for page in PAGES if page.name != "runbook.md"]
    found = [
        re.findall(r"^```\n(.*?)^```", text_of(page), re.DOTALL | re.MULTILINE) for page in pages
    ]
    return [line for block in found for part in block for line in part.splitlines()]


def prefect_commands() -> set[str]:
    """The commands of Prefect that pages ask to type, without names and options."""
    found = re.findall(r"^prefect ((?:[a-z]+ )*[a-z]+)", "\n".join(lines_to_type()), re.MULTILINE)
    return {" ".join(words.split()[:2]) for words in found}


@pytest.mark.slow
@pytest.mark.parametrize("words", sorted(prefect_commands()))
def test_commands_of_prefect_exist(words):
    line = [Path(sys.executable).with_name("prefect"), *words.split(), "--help"]
    done = subprocess.run(line, capture_output=True, text=True, check=False)

    assert f"prefect {words}" in done.stdout, done.stderr


def test_files_of_deploy_that_pages_name_exist():
    text = "\n".join(text_of(page) for page in PAGES)
    named = set(re.findall(r"\bdeploy/[\w./-]+\.\w+", text))

    assert [name for name in named if not (ROOT / name).is_file()] == []
    assert len(named) >= 3


def test_prefect_commands_are_found():
    assert {"server start", "worker start", "deployment run"} <= prefect_commands()
