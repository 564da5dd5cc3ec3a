"""How long a page takes to open in headless Chromium, which must be installed, as playwright."""

from __future__ import annotations

import shutil
from pathlib import Path
from statistics import median

TIMES = 5
LOADED = "() => performance.getEntriesByType('navigation')[0].loadEventEnd"  # milliseconds


def load_milliseconds(path: Path) -> float:
    """Return the median time from the start of navigation to the end of the load event."""
    from playwright.sync_api import sync_playwright  # late: other benchmarks do not need it

    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=shutil.which("chromium") or shutil.which("google-chrome"),
            args=["--no-sandbox"],
        )
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        times = []
        for _ in range(TIMES):
            page.goto(path.resolve().as_uri(), wait_until="load")
            page.wait_for_function(f"({LOADED})() > 0")
            times.append(float(page.evaluate(LOADED)))
        browser.close()
    return median(times)
