"""A real server and a real worker, on SQLite and on PostgreSQL: everything deployed, nights by schedule and by hand, and what the UI shows."""

from __future__ import annotations

import os
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from bench import DAY, Bench, tree
from nights import promoted_on
from station import Station, free_port, until

pytestmark = [pytest.mark.slow, pytest.mark.drill, pytest.mark.filterwarnings("default")]
POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def postgres(tmp_path_factory):
    """The URL of a PostgreSQL server of our own."""
    if not POSTGRES:
        pytest.skip("no PostgreSQL here; apt-get install postgresql")
    folder, port = tmp_path_factory.mktemp("postgres"), free_port()
    run = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    if run:
        for path in (folder, *list(folder.parents)[:3]):
            path.chmod(0o755)
        shutil.chown(folder, "postgres", "postgres")
    data, log = folder / "data", folder / "log"
    subprocess.run([*run, POSTGRES[-1] / "initdb", "-D", data, "-A", "trust", "-U", "prefect"], check=True, capture_output=True)
    options = f"-p {port} -h 127.0.0.1 -k {folder}"
    subprocess.run(
        [*run, POSTGRES[-1] / "pg_ctl", "-D", data, "-l", log, "-w", "-o", options, "start"], check=True, stdout=subprocess.DEVNULL
    )
    yield f"postgresql+asyncpg://prefect@127.0.0.1:{port}/postgres"
    subprocess.run([*run, POSTGRES[-1] / "pg_ctl", "-D", data, "-m", "immediate", "stop"], check=True, stdout=subprocess.DEVNULL)


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def station(request, trained_folder, tmp_path_factory):
    """A server with everything deployed for a small job, and a worker."""
    folder = tmp_path_factory.mktemp(f"station-{request.param}")
    shutil.copytree(trained_folder, folder / "job", copy_function=shutil.copy2)
    bench = Bench(folder / "job")
    promoted_on(bench, "2026-11-20")
    for day in ("2026-11-20", "2026-11-21", DAY):
        bench.night(day, outliers=12)
    found = Station(folder, request.getfixturevalue("postgres") if request.param == "postgres" else "")
    found.bench = bench
    try:
        found.start_server()
        soon = datetime.now(UTC) + timedelta(seconds=180)  # the minute that it lies in has not begun when everything is deployed
        found.environment["NIGHTGLASS_LOOK_AGAIN"] = f"{soon.minute} {soon.hour} * * *"
        found.bootstrap(bench.job)
        found.start_worker()
        yield found
    finally:
        found.stop()


def test_a_machine_that_was_off_for_three_nights_makes_up_for_them_and_all_is_green(station):
    run = station.start_run("nightly/small", scheduled="2026-11-23T04:00:00Z")

    assert station.ended(run) == ("COMPLETED", "3 of 3 nights")
    names = [station.runs_named(f"score-small-{day}") for day in ("2026-11-20", "2026-11-21", DAY)]
    assert [[each["state_type"] for each in runs] for runs in names] == [["COMPLETED"]] * 3
    assert station.bench.run("status", station.bench.job).facts["last_good_night"] == DAY


def test_a_night_that_is_done_is_a_no_op(station):
    run = station.start_run("nightly/small", date=DAY)

    assert station.ended(run)[0] == "COMPLETED"
    assert "nothing new" in station.run(run)["state"]["message"]


def test_training_and_encoding_are_deployed_too(station):
    runs = [station.start_run("train/small", epochs=3), station.start_run("encode/small", date=DAY)]

    assert [station.ended(run)[0] for run in runs] == ["COMPLETED"] * 2


def test_the_schedule_itself_starts_a_run(station):
    def scheduled():
        runs = station.post("flow_runs/filter", flow_runs={"state": {"type": {"any_": ["FAILED", "COMPLETED"]}}})
        return [run for run in runs if run["auto_scheduled"]]

    run, *_ = until(scheduled, seconds=200, what="a run by schedule")  # at four o'clock the night's own schedule starts another
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    assert f"{yesterday}: NO DATA" in run["state"]["message"], "its data date is the day before its scheduled start"


def only_once(station):
    """What does not depend on the database is tested on one of them."""
    if station.environment.get("PREFECT_SERVER_DATABASE_CONNECTION_URL"):
        pytest.skip("tested on SQLite; the database makes no difference")


def test_a_form_with_a_wrong_value_makes_no_run(station):
    with pytest.raises(AssertionError, match="-5 is less than the minimum of 0"):
        station.start_run("nightly/small", top_n=-5)


def test_setting_up_again_changes_nothing(station):
    only_once(station)

    def things():
        automations = sorted(each["name"] for each in station.post("automations/filter"))
        return (
            automations,
            sorted(each["name"] for each in station.post("deployments/filter")),
            sorted(q["name"] for q in station.post("work_queues/filter")),
        )

    before = things()
    station.bootstrap(station.bench.job)

    assert things() == before
    assert len(before[0]) == 5, "four of the server, and the trigger of the deployment"


@pytest.mark.browser
def test_the_ui_shows_verdict_table_plot_and_progress_and_refuses_a_wrong_form(station, tmp_path):
    only_once(station)
    if not CHROMIUM:
        pytest.skip("no Chromium here; apt-get install chromium")
    from playwright.sync_api import sync_playwright

    pictures = Path(os.environ.get("NIGHTGLASS_PICTURES", tmp_path))
    [run] = station.runs_named(f"score-small-{DAY}")
    night, verdict = run["id"], run["state_name"]
    base = station.url.removesuffix("/api")
    outside = []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(60_000)
        page.on("request", lambda request: outside.append(request.url) if not request.url.startswith((base, "data:", "blob:")) else None)

        page.goto(f"{base}/runs")
        page.get_by_text("3 of 3 nights").first.wait_for()
        page.screenshot(path=pictures / "runs.png")
        page.goto(f"{base}/runs/flow-run/{night}")
        page.get_by_text(verdict).first.wait_for()
        page.screenshot(path=pictures / "run.png")
        page.get_by_text("Artifacts", exact=True).first.click()
        page.get_by_text("rows flagged").first.wait_for()
        page.screenshot(path=pictures / "run-artifacts.png")
        page.goto(f"{base}/artifacts/key/small-score")
        page.get_by_text("rows flagged").first.wait_for()
        page.screenshot(path=pictures / "key.png")
        artifacts = {each["key"]: each["id"] for each in station.post("artifacts/filter", artifacts={"flow_run_id": {"any_": [night]}})}
        page.goto(f"{base}/artifacts/artifact/{artifacts['small-score']}")
        page.locator("img[src^='data:image/svg']").first.wait_for()
        page.screenshot(path=pictures / "verdict.png")
        page.goto(f"{base}/artifacts/artifact/{artifacts['small-outliers']}")
        page.get_by_text("p_value").first.wait_for()
        page.screenshot(path=pictures / "outliers.png")
        page.goto(f"{base}/artifacts/artifact/{artifacts['small-score-progress']}")
        page.get_by_text("100%").first.wait_for()
        page.screenshot(path=pictures / "progress.png")

        page.goto(f"{base}/deployments/deployment/{station.deployment('nightly/small')['id']}/run")
        page.locator("input[type=number]").first.fill("-5")
        page.screenshot(path=pictures / "form.png", full_page=True)
        page.get_by_role("button", name="Submit").click()
        page.get_by_text("less than the minimum").first.wait_for()
        page.screenshot(path=pictures / "form-refused.png", full_page=True)
        browser.close()
    assert outside == [], "the pages ask nothing from outside"


def descendants(process: int, words: str) -> list[int]:
    """Ids of the processes below one whose command line holds some words."""
    import psutil

    return [each.pid for each in psutil.Process(process).children(recursive=True) if words in " ".join(each.cmdline())]


def test_dask_gives_the_same_bytes_even_when_one_of_its_workers_is_killed(station, tmp_path):
    only_once(station)

    shutil.copytree(station.bench.folder, tmp_path / "plain", copy_function=shutil.copy2)
    plain = Bench(tmp_path / "plain")
    day = "2026-11-23"
    shutil.copy2(station.bench.night(day, n=1_000_000, outliers=20), plain.folder / "nights")
    run = station.start_run("nightly/small", date=day, settings=["score.runner=dask", "data.shard_bytes=1 MB"])
    workers = until(lambda: descendants(station.worker.pid, "multiprocessing.spawn"), seconds=120, what="Dask's workers")
    work = station.bench.workspace / f".work/small-score-{day}"
    until(lambda: list(work.glob("parts-*/note-*.json")), seconds=120, what="a first shard")
    os.kill(workers[-1], 9)

    assert station.ended(run)[0] == "COMPLETED"
    assert plain.score("--set", "data.shard_bytes=1 MB", "--no-prefect", day=day).code == 0
    for part in (f"scores/small/date={day}", f"reports/small/{day}"):
        assert tree(plain.workspace / part) == tree(station.bench.workspace / part)
        assert tree(plain.workspace / part)
