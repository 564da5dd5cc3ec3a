"""The site builds without warnings, loads nothing from elsewhere, and is searched offline."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from documents import DOCS, PAGES, ROOT
from pages_in_browser import violations_in

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
KINDS_OF_PAGES = (
    "index.html",
    "table.html",
    "prefect-server.html",
    "notebooks/detector.html",
    "notebooks/nights.html",
    "reference/job-file.html",
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("mkdocs") is None, reason="`make docs` installs MkDocs"
    ),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The folder of the site."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_is_in_the_site(site):
    names = {page.relative_to(DOCS).with_suffix(".html") for page in PAGES[1:]}

    assert {name for name in names if not (site / name).is_file()} == set()


def test_pages_load_nothing_from_other_hosts(site):
    for page in site.rglob("*.html"):
        loaded = re.findall(r"<(?:script|img|link rel=\"stylesheet\")[^>]+>", page.read_text())

        assert [tag for tag in loaded if "://" in tag] == [], page


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here; apt-get install chromium")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_accessible(site, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    from playwright.sync_api import sync_playwright  # late: only this test needs it

    found = {}
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(color_scheme=scheme)
        for name in KINDS_OF_PAGES:
            page.goto((site / name).as_uri())
            found[name] = violations_in(page, axe)
        browser.close()

    assert found == {name: [] for name in KINDS_OF_PAGES}


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here; apt-get install chromium")
def test_pages_opened_from_a_folder_are_searched(site):
    from playwright.sync_api import sync_playwright  # late: only this test needs it

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto((site / "index.html").as_uri())
        page.click("input[name=query]")
        page.keyboard.type("max_error_relative")
        found = page.wait_for_selector(".md-search-result__link >> text=Job file")
        browser.close()

    assert found is not None
