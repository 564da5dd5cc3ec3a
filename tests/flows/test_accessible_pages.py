"""Axe finds nothing wrong with any page, on a desktop and on a phone, in light and in dark mode."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bench import JOB, Bench, rows_of
from event_nights import event, report
from pages_in_browser import violations_in

from storage.pages.events.page import render_events_report

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
SIZES = ((1280, 800), (390, 844))
OPEN_ALL = "document.querySelectorAll('details').forEach(each => { each.open = true })"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.filterwarnings("default"),
    pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed"),
]


@pytest.fixture(scope="module")
def pages(trained_folder, tmp_path_factory) -> dict[str, Path]:
    """A page of every kind, by name."""
    folder = tmp_path_factory.mktemp("pages")
    numbers = Bench(shutil.copytree(trained_folder, folder / "numbers"))
    events = folder / "events.html"
    events.write_bytes(render_events_report(report([event("pump-1"), event("pump-2", 100, 130)])))
    store = numbers.run("encode", numbers.job, "--set", "encode.max_error_relative=0.01")
    return {
        "events": events,
        "size": Path(store.facts["path"]) / "size_report.html",
        **nights_of_numbers(numbers),
        "training": next((numbers.workspace / "models/small").glob("*/training.html")),
        "index": numbers.workspace / "reports/small/index.html",
        **nights_of_mixed_tables(folder / "mixed"),
        "pictures": night_of_pictures(folder / "pictures"),
    }


def page_of(bench: Bench, verdict: str, day: str) -> Path:
    """The page of a night that must have this verdict."""
    result = bench.score(day=day)
    path = bench.workspace / f"reports/small/{day}/rev=1/report.html"
    assert f": {verdict}" in path.read_text().partition("</title>")[0], result.err
    return path


def nights_of_numbers(bench: Bench) -> dict[str, Path]:
    """Nights of an array of numbers, with every verdict that such nights may have."""
    bench.night("2026-11-20", outliers=12)
    bench.night("2026-11-21", n=1000, outliers=250)
    moved = bench.night("2026-11-22", n=1000)
    np.save(moved, 1.4 * np.load(moved))
    bench.night("2026-11-24").write_bytes(b"broken")
    verdicts = ("REVIEW", "FLOOD", "DRIFT", "NO DATA", "FAILED")
    return {
        verdict: page_of(bench, verdict, f"2026-11-{day}")
        for day, verdict in enumerate(verdicts, 20)
    }


def mixed_table(n: int, seed: int) -> pa.Table:
    """Three numbers, and a category that follows from one of them."""
    columns = {f"c{index}": column for index, column in enumerate(rows_of(n, seed, 3).T)}
    return pa.table({**columns, "side": np.where(columns["c0"] > 0, "left", "right")})


def nights_of_mixed_tables(folder: Path) -> dict[str, Path]:
    """A night with a level that was never seen, and one with a broken file."""
    whole, partial = (folder / f"nights/2026-11-{day}" for day in (21, 22))
    whole.mkdir(parents=True)
    partial.mkdir()
    odd = pa.table({**dict.fromkeys(("c0", "c1", "c2"), [9.0] * 20), "side": ["middle"] * 20})
    pq.write_table(mixed_table(1500, 0), folder / "clean.parquet")
    pq.write_table(pa.concat_tables([mixed_table(300, 1), odd]), whole / "a.parquet")
    pq.write_table(mixed_table(300, 2), partial / "a.parquet")
    (partial / "b.parquet").write_bytes(b"PAR1 broken")
    job = JOB.replace("clean.npy", "clean.parquet").replace("{date}.npy", "{date}")
    bench = trained(folder, job)
    return {
        "mixed": page_of(bench, "REVIEW", "2026-11-21"),
        "PARTIAL": page_of(bench, "PARTIAL", "2026-11-22"),
    }


def night_of_pictures(folder: Path) -> Path:
    """A night of images, some of which have bright lines."""
    images = rows_of(1800, 0, 64).reshape(-1, 8, 8)
    images[-20:, 2:6] += 9
    (folder / "nights").mkdir(parents=True)
    np.save(folder / "clean.npy", images[:1500])
    np.save(folder / "nights/2026-11-21.npy", images[1500:])
    return page_of(trained(folder, JOB), "REVIEW", "2026-11-21")


def trained(folder: Path, job: str) -> Bench:
    """A job in this folder, trained for one epoch."""
    bench = Bench(folder)
    bench.job.write_text(job.replace("epochs = 15", "epochs = 1"))
    result = bench.run("train", bench.job)
    assert result.code == 0, result.err
    return bench


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_accessible(pages, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    from playwright.sync_api import sync_playwright

    found = {}
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for width, height in SIZES:
            page = browser.new_page(
                color_scheme=scheme, viewport={"width": width, "height": height}, bypass_csp=True
            )
            for name, path in pages.items():
                page.goto(path.as_uri())
                page.evaluate(OPEN_ALL)
                found[name, width] = violations_in(page, axe)
        browser.close()

    assert {place: wrong for place, wrong in found.items() if wrong} == {}
    assert len(found) == len(SIZES) * len(pages)
