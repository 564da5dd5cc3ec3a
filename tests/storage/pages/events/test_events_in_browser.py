"""The page of events in headless Chromium, on a desktop and on a phone."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from event_nights import event, report

from storage.pages.events.page import render_events_report

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
BOTTOM = "document.querySelector('.worst li').getBoundingClientRect().bottom"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.filterwarnings("default"),
    pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed"),
]


def test_the_worst_event_is_on_the_first_screen_and_nothing_overflows(tmp_path):
    from playwright.sync_api import sync_playwright

    pictures = Path(os.environ.get("NIGHTGLASS_PICTURES", tmp_path))
    path = tmp_path / "report.html"
    long = event("x" * 300, cause="<b>" + "y" * 300, chance="z" * 300)
    path.write_bytes(render_events_report(report([event(), long], job="j" * 300)))
    messages = []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for width, height, scheme in ((1280, 800, "light"), (390, 844, "dark")):
            page = browser.new_page(
                viewport={"width": width, "height": height}, color_scheme=scheme
            )
            page.on("console", lambda message: messages.append(message.text))
            page.goto(path.as_uri())
            page.screenshot(path=pictures / f"events-{width}.png", full_page=True)
            assert page.evaluate(OVERFLOW) == 0, width
            assert page.evaluate(BOTTOM) < height
        browser.close()
    assert messages == []
