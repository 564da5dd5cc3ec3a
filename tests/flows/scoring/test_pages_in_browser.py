"""The pages in headless Chromium, on a desktop and on a phone, in light and in dark mode."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from urllib.parse import unquote, urlparse

import numpy as np
import pytest
from bench import DAY

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
ADDRESSES = (  # `href` of a link in SVG is no text
    "links => links.map(link => new URL(link.getAttribute('href'), document.baseURI).href)"
)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.filterwarnings("default"),
    pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed"),
]


@pytest.fixture
def pages(bench):
    """One page of every kind: flood, drift, no data, index, refused model, store with a bound."""
    refused = bench.run(
        "train", bench.job, "--set", "train.epochs=1", "--set", "train.learning_rate=1e-6"
    )
    store = bench.run("encode", bench.job, "--set", "encode.max_error_relative=0.01")
    bench.night(outliers=250)
    np.save(bench.night("2026-11-23", n=1000), 1.4 * np.load(bench.night("2026-11-23", n=1000)))
    nights = [bench.score(day=day).facts for day in (DAY, "2026-11-23", "2026-11-24")]
    assert [night["verdict"].split()[0] for night in nights] == ["FLOOD", "DRIFT", "NO"]
    reports = [Path(night["path"]) / "report.html" for night in nights]
    return [
        *reports,
        bench.workspace / "reports/small/index.html",
        Path(refused.facts["path"]) / "training.html",
        Path(store.facts["path"]) / "size_report.html",
    ]


def test_pages_do_not_overflow_and_every_link_and_picture_exists(pages, tmp_path):
    from playwright.sync_api import sync_playwright

    pictures = Path(os.environ.get("NIGHTGLASS_PICTURES", tmp_path))
    failed = []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for width, scheme in ((1280, "light"), (390, "dark")):
            page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
            page.on("requestfailed", lambda request: failed.append(request.url))
            page.on("console", lambda message: failed.append(message.text))
            for number, path in enumerate(pages):
                page.goto(path.as_uri())
                page.screenshot(path=pictures / f"{number}-{path.stem}-{width}.png", full_page=True)
                assert page.evaluate(OVERFLOW) == 0, (path, width)
                links = page.eval_on_selector_all("a", ADDRESSES)
                assert all(Path(unquote(urlparse(link).path)).exists() for link in links), links
        browser.close()
    assert failed == []
