"""The workflow files in .github/ run what the Makefile has, on the versions that are supported."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tomllib

import pytest
import yaml
from documents import ROOT, text_of

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PROJECT = tomllib.loads(text_of(ROOT / "pyproject.toml"))["project"]


def lines_run(path) -> list[str]:
    jobs = yaml.safe_load(text_of(path))["jobs"].values()
    return [step["run"] for job in jobs for step in job["steps"] if "run" in step]


def test_every_supported_version_of_python_is_tested():
    [tested] = [path for path in WORKFLOWS if path.stem == "ci"]
    versions = yaml.safe_load(text_of(tested))["jobs"]["test"]["strategy"]["matrix"]["python"]
    named = re.findall(r"Python :: (3\.\d+)", " ".join(PROJECT["classifiers"]))

    assert versions == named
    assert PROJECT["requires-python"] == f">={named[0]}"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_targets_and_files_exist(path):
    targets = re.findall(r"^([\w-]+):", text_of(ROOT / "Makefile"), flags=re.MULTILINE)
    lines = "\n".join(lines_run(path))

    assert {*re.findall(r"\bmake ([\w-]+)", lines)} <= {*targets}
    assert all((ROOT / name).is_file() for name in re.findall(r"\btests/\S+\.py", lines))


def test_a_tag_that_is_not_the_version_is_refused():
    line = ["make", "--dry-run", "release-check", "TAG=v9.9.9"]
    shown = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = re.findall(r'^grep -q "(.+)" (\S+)', shown, flags=re.MULTILINE)

    assert [name for _, name in found] == ["pyproject.toml", "CHANGELOG.md"]
    assert not any(re.search(pattern, text_of(ROOT / name), re.M) for pattern, name in found)
    assert re.search(
        found[0][0].replace("9.9.9", PROJECT["version"]), text_of(ROOT / found[0][1]), re.M
    )


@pytest.mark.skipif(
    importlib.util.find_spec("check_jsonschema") is None,
    reason="no check-jsonschema here; `make check` installs it",
)
@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_follow_their_schema(path):
    line = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    done = subprocess.run([*line, path], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout
