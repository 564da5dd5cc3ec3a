"""The page of events in headless Chromium, on a desktop and on a phone."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from event_nights import event, report
from pages_in_browser import messages_of

from storage.pages.events.page import render_events_report

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
BOTTOM = "document.querySelector('.worst li').getBoundingClientRect().bottom"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.filterwarnings("default"),
    pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed"),
]


def test_events_are_sorted_filtered_and_labeled_by_keys(tmp_path):
    from playwright.sync_api import sync_playwright

    path = tmp_path / "report.html"
    events = [event(f"pump-{each % 3}", 60 * each, 60 * each + 9 - each) for each in range(8)]
    path.write_bytes(render_events_report(report(events)))
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        messages = messages_of(page)
        page.goto(path.as_uri())
        shown = page.locator("tbody.row:visible")
        assert shown.count() == 8
        page.get_by_role("button", name="rows", exact=True).click()
        assert shown.first.get_attribute("data-id") == "pump-1 420"
        page.get_by_label("Filter the events by pump").select_option("pump-2")
        assert shown.count() == 2
        page.locator("select").blur()
        for key in ("j", "j", "n", "Enter"):
            page.keyboard.press(key)
        assert [each.get_attribute("data-label") for each in shown.all()] == ["", "normal"]
        assert page.url.endswith("#event-3")
        browser.close()
    assert messages == []


def test_without_scripts_all_events_are_there_and_no_dead_controls(tmp_path):
    from playwright.sync_api import sync_playwright

    path = tmp_path / "report.html"
    path.write_bytes(render_events_report(report([event(f"pump-{each}") for each in range(30)])))
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(java_script_enabled=False)
        page.goto(path.as_uri())
        assert page.locator("tbody.row:visible").count() == 30
        assert page.locator("button, input, select").count() == 0
        browser.close()


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
