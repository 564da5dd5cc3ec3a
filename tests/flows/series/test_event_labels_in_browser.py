"""Labels set in the page of a night of series come back through the command label."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from pages_in_browser import download_labels
from series_nights import events_of

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.filterwarnings("default"),
    pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed"),
]


def test_a_label_of_an_event_comes_back(series, tmp_path):
    from playwright.sync_api import sync_playwright

    page_of_night = Path(series.score().facts["path"]) / "report.html"
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(page_of_night.as_uri())
        for key in ("j", "o"):
            page.keyboard.press(key)
        download_labels(page, tmp_path / "labels.csv")
        browser.close()
    result = series.run("label", series.job, tmp_path / "labels.csv")
    assert result.code == 0, result.err
    [line] = (series.workspace / "labels/small.jsonl").read_text().splitlines()
    [event], label = events_of(series), json.loads(line)

    assert (label["id"], label["label"]) == (event["id"], "outlier")
