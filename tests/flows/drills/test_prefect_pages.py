"""What an operator finds in Prefect's pages after a night, in headless Chromium.

NIGHTGLASS_PICTURES names a folder to keep the pictures in.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.postgres,
    pytest.mark.filterwarnings("default"),
]
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def station(on_postgres):
    """A station with a scored night."""
    on_postgres.switch_off("nightly/small")
    on_postgres.ended(on_postgres.start_run("nightly/small", date=on_postgres.nights[-1]))
    return on_postgres


@pytest.fixture(scope="module")
def artifacts(station):
    """Ids of the night's artifacts, by key."""
    run = station.runs_named(f"score-small-{station.nights[-1]}")[0]
    found = station.post("artifacts/filter", artifacts={"flow_run_id": {"any_": [run["id"]]}})
    return {each["key"]: each["id"] for each in found}


@pytest.fixture(scope="module")
def page(station):
    """A browser in which an operator has logged in.

    Pages that ask anything of another host fail the tests.
    """
    if not CHROMIUM:
        pytest.skip("no Chromium here; apt-get install chromium")
    from playwright.sync_api import sync_playwright

    base, outside = station.url.removesuffix("/api"), []
    with (
        sync_playwright() as play,
        play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"]) as browser,
    ):
        page = browser.new_page(viewport={"width": 1400, "height": 1000}, base_url=base)
        page.set_default_timeout(120_000)
        page.on(
            "request",
            lambda request: (
                outside.append(request.url)
                if not request.url.startswith((base, "data:", "blob:"))
                else None
            ),
        )
        page.goto("/login?redirect=/runs")
        page.get_by_placeholder("admin:pass").fill(station.environment["PREFECT_API_AUTH_STRING"])
        page.get_by_role("button", name="Login").click()
        page.wait_for_url(f"{base}/runs")
        yield page
    assert outside == [], "the pages ask nothing from outside"


@pytest.fixture
def picture(page, tmp_path):
    """Keeps a picture of the page as it is."""
    folder = Path(os.environ.get("NIGHTGLASS_PICTURES", tmp_path))
    return lambda name: page.screenshot(path=folder / f"{name}.png", full_page=True)


def test_the_list_of_runs_tells_the_verdicts(station, page, picture):
    verdict = station.runs_named(f"score-small-{station.nights[-1]}")[0]["state_name"]
    page.goto("/runs")
    page.get_by_text(verdict).first.wait_for()
    picture("runs")


def test_the_page_of_a_run_leads_to_the_headline(station, page, picture):
    [run, *_] = station.runs_named(f"score-small-{station.nights[-1]}")
    page.goto(f"/runs/flow-run/{run['id']}")
    page.get_by_text(run["state_name"]).first.wait_for()
    picture("run")
    page.get_by_text("Artifacts", exact=True).first.click()
    page.get_by_text("rows flagged").first.wait_for()
    picture("run-artifacts")


def test_the_verdict_comes_with_a_plot(page, artifacts, picture):
    page.goto(f"/artifacts/artifact/{artifacts['small-score']}")
    page.locator("img[src^='data:image/svg']").first.wait_for()
    picture("verdict")


@pytest.mark.parametrize(
    ("key", "shown"), [("small-outliers", "p_value"), ("small-score-progress", "100%")]
)
def test_the_highest_rows_are_a_table_and_the_progress_is_at_its_end(
    page, artifacts, picture, key, shown
):
    page.goto(f"/artifacts/artifact/{artifacts[key]}")
    page.get_by_text(shown).first.wait_for()
    picture(key)


def test_a_wrong_value_in_the_form_is_refused_in_words(station, page, picture):
    page.goto(f"/deployments/deployment/{station.deployment('nightly/small')['id']}/run")
    page.locator("input[type=number]").first.fill("-5")
    picture("form")
    page.get_by_role("button", name="Submit").click()
    page.get_by_text("less than the minimum").first.wait_for()
    picture("form-refused")
