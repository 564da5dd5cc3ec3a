"""The Prefect UI after a night, in headless Chromium.

Set NIGHTGLASS_PICTURES to a folder to keep the screenshots.
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
    """Ids of the artifacts of the night, by key."""
    run = station.runs_named(f"score-small-{station.nights[-1]}")[0]
    found = station.post("artifacts/filter", artifacts={"flow_run_id": {"any_": [run["id"]]}})
    return {each["key"]: each["id"] for each in found}


@pytest.fixture(scope="module")
def page(station):
    """A browser page of an operator who is logged in. Requests to other hosts fail the tests."""
    if not CHROMIUM:
        pytest.skip("no Chromium here; apt-get install chromium")
    from playwright.sync_api import sync_playwright

    base, outside = station.url.removesuffix("/api"), []

    def record_outside(request):
        if not request.url.startswith((base, "data:", "blob:")):
            outside.append(request.url)

    with (
        sync_playwright() as play,
        play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"]) as browser,
    ):
        page = browser.new_page(viewport={"width": 1400, "height": 1000}, base_url=base)
        page.set_default_timeout(120_000)
        page.on("request", record_outside)
        page.goto("/login?redirect=/runs")
        page.get_by_placeholder("admin:pass").fill(station.environment["PREFECT_API_AUTH_STRING"])
        page.get_by_role("button", name="Login").click()
        page.wait_for_url(f"{base}/runs")
        yield page
    assert outside == []


@pytest.fixture
def picture(page, tmp_path):
    """Takes a screenshot of the page."""
    folder = Path(os.environ.get("NIGHTGLASS_PICTURES", tmp_path))
    return lambda name: page.screenshot(path=folder / f"{name}.png", full_page=True)


def test_the_list_of_runs_shows_the_verdicts(station, page, picture):
    verdict = station.runs_named(f"score-small-{station.nights[-1]}")[0]["state_name"]
    page.goto("/runs")
    page.get_by_text(verdict).first.wait_for()
    picture("runs")


def test_the_page_of_a_run_shows_its_artifacts(station, page, picture):
    [run, *_] = station.runs_named(f"score-small-{station.nights[-1]}")
    page.goto(f"/runs/flow-run/{run['id']}")
    page.get_by_text(run["state_name"]).first.wait_for()
    picture("run")
    page.get_by_text("Artifacts", exact=True).first.click()
    page.get_by_text("rows flagged").first.wait_for()
    picture("run-artifacts")


def test_the_artifact_of_a_night_contains_a_plot(page, artifacts, picture):
    page.goto(f"/artifacts/artifact/{artifacts['small-score']}")
    page.locator("img[src^='data:image/svg']").first.wait_for()
    picture("verdict")


@pytest.mark.parametrize(("key", "shown"), [("small-outliers", "p_value"), (None, "100%")])
def test_the_top_rows_are_a_table_and_the_progress_is_complete(
    page, artifacts, picture, key, shown
):
    page.goto(f"/artifacts/artifact/{artifacts[key]}")
    page.get_by_text(shown).first.wait_for()
    picture(str(key))


def test_the_form_rejects_an_invalid_value_with_a_message(station, page, picture):
    page.goto(f"/deployments/deployment/{station.deployment('nightly/small')['id']}/run")
    page.locator("input[type=number]").first.fill("-5")
    picture("form")
    page.get_by_role("button", name="Submit").click()
    page.get_by_text("less than the minimum").first.wait_for()
    picture("form-refused")
