"""The source distribution and the wheel contain all that an installed nightglass needs."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("aemodel", "flows", "storage")
TOP = ("LICENSE", "MANIFEST.in", "README.md", "pyproject.toml")
RECORDS = ("CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "SECURITY.md")
NOT_PACKED = (".pyc",)


def files_of_packages() -> set[str]:
    """Paths of all files of the packages, relative to the root."""
    files = [path for each in PACKAGES for path in (ROOT / each).rglob("*") if path.is_file()]
    return {str(path.relative_to(ROOT)) for path in files if path.suffix not in NOT_PACKED}


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """A folder with the source distribution, and the wheel that was built from it."""
    tree = tmp_path_factory.mktemp("tree")
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, tree / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    for name in (*TOP, *RECORDS):
        shutil.copy(ROOT / name, tree)
    command = [sys.executable, "-m", "build", "--no-isolation", str(tree)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tree)
    assert done.returncode == 0, done.stderr
    return tree / "dist"


@pytest.mark.slow
def test_the_wheel_contains_every_module_template_and_type_marker(built):
    [wheel] = built.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())

    assert files_of_packages() <= names
    assert {f"{package}/py.typed" for package in PACKAGES} <= names
    assert "storage/pages/templates/report.html.j2" in names
    assert {name.split("/")[0] for name in names if "dist-info" not in name} == {*PACKAGES}


@pytest.mark.slow
def test_the_wheel_names_its_license(built):
    [wheel] = built.glob("*.whl")
    archive = zipfile.ZipFile(wheel)
    names = {Path(name).name: name for name in archive.namelist() if "dist-info" in name}
    facts = message_from_bytes(archive.read(names["METADATA"]))

    assert facts["License-Expression"] == "Apache-2.0"
    assert archive.read(names["LICENSE"]) == (ROOT / "LICENSE").read_bytes()


@pytest.mark.slow
def test_the_source_distribution_contains_the_packages_and_the_project_files(built):
    [archive] = built.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        names = {name.partition("/")[2] for name in packed.getnames()}

    assert files_of_packages() | {*TOP, *RECORDS} <= names


def test_the_citation_names_version_and_license_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")

    assert f"\nversion: {project['version']}\n" in citation
    assert f"\nlicense: {project['license']}\n" in citation
