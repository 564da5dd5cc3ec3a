"""Labels set in the page of a night come back through the command label."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bench import DAY, JOB, Bench, rows_of
from hostile import TEXTS
from pages_in_browser import download_labels, messages_of

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
IDS = [*filter(None, TEXTS), "twice", "twice", "y" * 3_000]
pytestmark = [
    pytest.mark.browser,
    pytest.mark.filterwarnings("default"),
    pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed"),
]


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """A job on tables with hostile ids, and the page of a night that lists all of them."""
    bench = Bench(tmp_path_factory.mktemp("night"))
    bench.job.write_text(JOB)
    for name, seed, ids in (("clean", 0, range(1500)), (f"nights/{DAY}", 5, IDS)):
        columns = {f"c{index}": column for index, column in enumerate(rows_of(len(ids), seed).T)}
        path = bench.folder / f"{name}.parquet"
        path.parent.mkdir(exist_ok=True)
        pq.write_table(pa.table({"id": list(map(str, ids)), **columns}), path)
    settings = ("data.clean=clean.parquet", "data.id=id", "data.incoming=nights/{date}.parquet")
    words = [
        word
        for each in (*settings, "score.top_n=400", "train.epochs=1")
        for word in ("--set", each)
    ]
    assert bench.run("train", bench.job, *words).code == 0
    result = bench.score(*words)
    assert result.code == 0, result.err
    return bench, Path(result.facts["path"]) / "report.html"


def label_all(page):
    """Press 'outlier' on every other row, and 'normal' on those between."""
    page.evaluate(
        "document.querySelectorAll('tbody.row').forEach((row, index) =>"
        " row.querySelectorAll('button.label')[index % 2].click())"
    )


def test_every_label_of_a_page_comes_back_whatever_the_id(night, tmp_path):
    from playwright.sync_api import sync_playwright

    bench, path = night
    listed = pq.read_table(path.parent / "outliers.parquet").to_pylist()
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(path.as_uri())
        label_all(page)
        download_labels(page, tmp_path / "labels.csv")
        browser.close()
    result = bench.run("label", bench.job, tmp_path / "labels.csv")
    assert result.code == 0, result.err
    lines = (bench.workspace / "labels/small.jsonl").read_text().split("\n")[:-1]
    found = [json.loads(line) for line in lines]

    assert [each["id"] for each in found] == [each["id"] for each in listed]
    assert {each["row"] for each in found if each["row"] is not None} == {
        each["row"] for each in listed if IDS.count(each["id"]) > 1
    }
    assert [each["label"] for each in found] == [
        ("outlier", "normal")[index % 2] for index in range(len(listed))
    ]


def test_the_table_is_sorted_filtered_and_labeled_by_keys(night):
    from playwright.sync_api import sync_playwright

    _, path = night
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        messages = messages_of(page)
        page.goto(path.as_uri())
        shown = page.locator("tbody.row:visible")
        assert shown.count() == 25
        page.get_by_role("button", name="Show 25 more").click()
        assert shown.count() == 50
        page.get_by_role("button", name="score").click()
        assert page.locator("th[aria-sort=ascending]").inner_text().startswith("score")
        scores = [float(each) for each in shown.locator("xpath=./tr[1]/td[2]").all_inner_texts()]
        assert scores == sorted(scores)
        page.get_by_role("searchbox").fill("twice")
        assert shown.count() == 2
        page.get_by_role("searchbox").blur()
        for key in ("j", "j", "Enter", "o"):
            page.keyboard.press(key)
        assert [each.get_attribute("data-label") for each in shown.all()] == ["", "outlier"]
        assert shown.nth(1).locator("details[open]").count() == 1
        browser.close()
    assert messages == []


def test_without_scripts_all_rows_are_there_and_no_dead_controls(night):
    from playwright.sync_api import sync_playwright

    _, path = night
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(java_script_enabled=False)
        page.goto(path.as_uri())
        assert page.locator("tbody.row").count() == len(IDS)
        assert page.locator("button, input, select").count() == 0
        browser.close()
