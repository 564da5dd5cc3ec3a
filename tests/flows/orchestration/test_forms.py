"""The forms of the deployed flows: validation, and the overrides they produce."""

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
        {"job": "a.toml", "color": 1},
        {"job": "variable:A b"},
    ],
)
def test_an_invalid_value_is_rejected_by_field(wrong):
    with pytest.raises(ValidationError, match=r"top_n|job|settings|color"):
        NightForm(**wrong)


def test_fields_override_the_job_file():
    night = NightForm(job="a.toml", top_n=7, settings=["score.alert_budget=5"])
    train = TrainForm(job="a.toml", epochs=3, device="cpu")
    encode = EncodeForm(job="a.toml", format="parquet")

    assert NightForm(job="a.toml").overrides() == ()
    assert night.overrides() == ("score.top_n=7", "score.alert_budget=5")
    assert train.overrides() == ("train.epochs=3", "train.device=cpu")
    assert encode.overrides() == ("encode.format=parquet",)


def test_a_backfill_by_default_sends_no_alert_and_uses_the_champion_of_each_date():
    form = BackfillForm(job="a.toml", first="2026-11-01", last="2026-11-03")

    assert (form.alert, form.model, form.force) == (False, "as-of", False)


def test_dask_without_prefect_is_a_usage_error(bench):
    bench.night()
    result = bench.score("--set", "score.runner=dask", "--no-prefect")

    assert (result.code, "needs Prefect" in result.err) == (2, True)


def test_a_fallback_from_gpu_to_cpu_is_noted_in_the_report(bench):
    bench.night()
    [path] = (bench.workspace / "models/small").glob("*/run.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"device": "cuda"}))
    bench.score()
    report = bench.workspace / f"reports/small/{DAY}/rev=1/report.html"

    assert "No GPU here" in report.read_text()


@pytest.mark.parametrize("form", [TrainForm, EncodeForm, NightForm, BackfillForm])
def test_no_field_of_a_form_offers_none(form):
    fields = form.model_json_schema()["properties"]

    assert not [name for name, each in fields.items() if "anyOf" in each]
    assert all(each.get("default", "") is not None for each in fields.values())


def test_an_empty_data_date_is_none():
    assert NightForm(job="a.toml").date is None
    assert NightForm(job="a.toml", date=DAY).date.isoformat() == DAY
