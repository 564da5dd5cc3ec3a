"""A Prefect server and worker, on SQLite and PostgreSQL: scheduled runs and manual ones."""

from __future__ import annotations

import re

import pytest
from hook import listening
from station import Station, deployed, until

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
)
def station(request, trained_folder, tmp_path_factory):
    if request.param == "postgres":
        yield request.getfixturevalue("on_postgres")
        return
    with deployed(trained_folder, Station(tmp_path_factory.mktemp("on-sqlite"))) as found:
        yield found


@pytest.fixture(scope="module")
def by_schedule(station):
    """The first scheduled run, after its end; the schedule is paused."""
    deployment = station.deployment("nightly/small")

    def first():
        runs = station.post(
            "flow_runs/filter",
            deployments={"id": {"any_": [deployment["id"]]}},
            sort="START_TIME_ASC",
        )
        return [run for run in runs if run["auto_scheduled"] and run["start_time"]]

    run = until(first, seconds=200, what="a scheduled run")[0]
    station.switch_off("nightly/small")
    station.ended(run["id"])
    return station.run(run["id"])


def test_the_schedule_backfills_three_missed_nights(station, by_schedule):
    runs = [station.runs_named(f"score-small-{day}") for day in station.nights]

    status = station.bench.run("status", station.bench.job).facts

    assert by_schedule["state_type"] == "COMPLETED"
    assert re.fullmatch(r"([34]) of \1 nights", by_schedule["state_name"])
    assert [[each["state_type"] for each in found] for found in runs] == [["COMPLETED"]] * 3
    assert status["last_good_night"] >= station.nights[-1]


def test_rerunning_a_finished_night_is_a_no_op(station, by_schedule):
    run = station.start_run("nightly/small", date=station.nights[-1])

    assert station.ended(run)[0] == "COMPLETED"
    assert "up to date" in station.run(run)["state"]["message"]


@pytest.mark.postgres
def test_train_and_encode_are_deployed(on_postgres):
    station = on_postgres
    runs = [
        station.start_run("train/small", epochs=3),
        station.start_run("encode/small", date=station.nights[-1]),
    ]

    assert [station.ended(run)[0] for run in runs] == ["COMPLETED"] * 2


def test_an_invalid_form_starts_no_run(station):
    with pytest.raises(AssertionError, match="-5 is less than the minimum of 0"):
        station.start_run("nightly/small", top_n=-5)


@pytest.mark.postgres
def test_running_bootstrap_again_changes_nothing(on_postgres):
    station = on_postgres

    def names_and_ids():
        kinds = ("automations", "work_pools", "work_queues", "deployments")
        found = [each for kind in kinds for each in station.post(f"{kind}/filter")]
        by_prefect = "small__automation_1"  # created by Prefect for the trigger
        return sorted((each["name"], each["id"]) for each in found if each["name"] != by_prefect)

    before = names_and_ids()
    station.bootstrap(station.bench.job)

    assert names_and_ids() == before


@pytest.mark.postgres
def test_alerts_are_sent_through_a_notification_block(on_postgres):
    station, block = on_postgres, "custom-webhook/operators"
    with listening() as (url, got):
        save_block(
            station,
            "custom-webhook",
            name="Operators",
            url=url,
            json_data={"text": "{{subject}}: {{body}}"},
        )
        station.bootstrap(station.bench.job, NIGHTGLASS_ALERT_BLOCK=block)
        run = station.start_run(
            "nightly/small", date="2026-01-01", settings=[f"alert.block={block}"]
        )

        assert station.ended(run) == ("FAILED", "NO DATA")
        until(
            lambda: [each for each in got if each.startswith("nightglass: nightly-small: nightly")],
            seconds=60,
            what="the message of the automation",
        )
    assert sorted(each.split(":")[0] for each in got) == ["nightglass", "small 2026-01-01"], (
        "one for the night, one for the run"
    )


def save_block(station, kind, **content):
    """Create a block, as the UI does."""
    kind = station.ask("GET", f"block_types/slug/{kind}")["id"]
    schema = station.post(
        "block_schemas/filter", block_schemas={"block_type_id": {"any_": [kind]}}
    )[0]["id"]
    station.post(
        "block_documents/",
        name="operators",
        data=content,
        block_type_id=kind,
        block_schema_id=schema,
    )
