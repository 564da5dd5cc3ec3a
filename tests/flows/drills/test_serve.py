"""`nightglass serve` with a Prefect server, without work pool and worker."""

from __future__ import annotations

import shutil
import signal
from datetime import UTC, datetime

import pytest
from bench import JOB, Bench
from station import until

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module")
def bench(trained_folder, on_postgres):
    """A job with a different name, whose night of yesterday is due."""
    found = Bench(on_postgres.folder / "served")
    shutil.copytree(trained_folder, found.folder, copy_function=shutil.copy2)
    found.job.write_text(JOB.replace('"small"', '"served"'))
    (found.workspace / "models/small").rename(found.workspace / "models/served")
    for day in (on_postgres.nights[-1], datetime.now(UTC).date().isoformat()):
        found.night(day, outliers=12)
    return found


@pytest.fixture
def serve(on_postgres, bench):
    """Starts the scheduler and waits until its deployment is active; stops it after the test."""
    processes = []

    def start():
        processes.append(on_postgres.start("serve", "nightglass", "serve", str(bench.job)))
        until(lambda: active(on_postgres), seconds=90, what="the deployment is active")
        return processes[-1]

    yield start
    on_postgres.kill(processes[-1])


def active(station) -> bool:
    found = station.post("deployments/filter", deployments={"name": {"any_": ["served"]}})
    return bool(found) and not found[0]["paused"]


def test_a_served_job_has_schedules_and_its_runs_are_recorded(on_postgres, bench, serve):
    process = serve()
    run = on_postgres.start_run("nightly/served")

    assert on_postgres.ended(run)[0] == "COMPLETED"
    assert list(bench.workspace.glob("reports/served/*/rev=1/report.html"))
    assert {each["slug"] for each in on_postgres.deployment("nightly/served")["schedules"]} == {
        "night",
        "recheck",
    }
    process.send_signal(signal.SIGTERM)
    process.wait(120)
    assert not active(on_postgres), "nothing is left to run it"
    serve()
