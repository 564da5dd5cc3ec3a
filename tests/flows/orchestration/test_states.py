"""Names and states of flow runs, as the list of runs in the Prefect UI shows them."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench import DAY

from flows.jobs.requests import ScoreRequest
from flows.orchestration import deployed, prefect_flows
from flows.orchestration.forms import NightForm
from flows.scoring.result import NightResult, NightsResult


def night(verdict: str, *, written: bool = True) -> NightResult:
    return NightResult(DAY, verdict, 1, 10, 3, Path("rev=1"), written, (), "a promise")


def state(*results: NightResult | Exception) -> tuple[str, str]:
    nights = NightsResult({f"2026-11-{day}": each for day, each in enumerate(results, 10)})
    found = deployed.final_state(nights)
    return found.type.value, found.name


@pytest.mark.parametrize("verdict", ["FLOOD", "DRIFT", "PARTIAL 1 of 2", "NO DATA", "FAILED"])
def test_a_verdict_that_calls_for_an_operator_is_not_green(verdict):
    assert state(night(verdict)) == ("FAILED", verdict)
    assert prefect_flows.night_state(night(verdict)).type.value == "FAILED"
    assert prefect_flows.night_state(night(verdict)).name == verdict


@pytest.mark.parametrize("verdict", ["OK", "REVIEW 3"])
def test_a_verdict_for_analysts_is_green(verdict):
    assert state(night(verdict)) == ("COMPLETED", verdict)
    assert prefect_flows.night_state(night(verdict)).type.value == "COMPLETED"


def test_one_night_that_is_not_green_colors_a_run_of_several_nights():
    assert state(night("OK"), night("FLOOD")) == ("FAILED", "2 of 2 nights, FLOOD")
    assert state(night("OK"), ZeroDivisionError("a bug")) == ("FAILED", "1 of 2 nights")
    assert state(night("OK"), night("REVIEW 3")) == ("COMPLETED", "2 of 2 nights")


def test_a_recheck_that_finds_a_flood_finished_does_not_fail_again():
    assert state(night("FLOOD", written=False)) == ("COMPLETED", "UP TO DATE")
    assert state(night("NO DATA", written=False)) == ("FAILED", "NO DATA")


def test_runs_of_jobs_whose_files_have_one_name_are_named_after_the_jobs(bench):
    for name in ("wafers", "pumps"):
        path = bench.folder / name / "job.toml"
        path.parent.mkdir()
        path.write_text(bench.job.read_text().replace('"small"', f'"{name}"'))
        request = ScoreRequest(job=str(path), date=DAY)

        assert prefect_flows.request_run_name("score", request) == f"score-{name}-{DAY}"
        assert deployed.form_run_name("nightly", NightForm(job=str(path))) == f"nightly-{name}"


def test_a_run_without_a_job_file_still_has_a_name():
    assert deployed.form_run_name("nightly", NightForm(job="lost/job.toml")) == "nightly-job"
