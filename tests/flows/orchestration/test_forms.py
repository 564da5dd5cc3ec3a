"""Forms of the deployed flows: what they refuse, and what they ask of the job."""

from __future__ import annotations

import json

import pytest
from bench import DAY
from pydantic import ValidationError

from flows.orchestration.forms import BackfillForm, EncodeForm, NightForm, TrainForm


@pytest.mark.parametrize(
    "wrong",
    [
        {"job": "digits"},
        {"job": "a.toml", "top_n": -5},
        {"job": "a.toml", "settings": ["nonsense"]},
        {"job": "a.toml", "colour": 1},
        {"job": "variable:A b"},
    ],
)
def test_a_wrong_value_is_refused_field_by_field(wrong):
    with pytest.raises(ValidationError, match=r"top_n|job|settings|colour"):
        NightForm(**wrong)


def test_what_is_filled_in_stands_over_the_job_file():
    assert NightForm(job="a.toml").overrides() == ()
    assert NightForm(job="a.toml", top_n=7, settings=["score.alert_budget=5"]).overrides() == (
        "score.top_n=7",
        "score.alert_budget=5",
    )
    assert TrainForm(job="a.toml", epochs=3, device="cpu").overrides() == (
        "train.epochs=3",
        "train.device=cpu",
    )
    assert EncodeForm(job="a.toml", format="parquet").overrides() == ("encode.format=parquet",)


def test_a_backfill_sends_no_message_and_takes_the_model_of_the_day_unless_asked():
    form = BackfillForm(job="a.toml", first="2026-11-01", last="2026-11-03")

    assert (form.alert, form.model, form.force) == (False, "as-of", False)


def test_dask_without_prefect_is_wrong_use(bench):
    bench.night()
    result = bench.score("--set", "score.runner=dask", "--no-prefect")

    assert (result.code, "needs Prefect" in result.err) == (2, True)


def test_a_cpu_in_place_of_a_gpu_is_remarked_on_in_the_report(bench):
    bench.night()
    [path] = (bench.workspace / "models/small").glob("*/run.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"device": "cuda"}))
    bench.score()

    assert "No GPU here" in (bench.workspace / f"reports/small/{DAY}/rev=1/report.html").read_text()
