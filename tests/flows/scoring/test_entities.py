"""Tables whose rows belong to entities, from training to the report."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from bench import DAY, causes_by, trained_table

from flows.jobs.inputs import open_clean
from flows.jobs.job_file import read_job
from flows.scoring.shards import scoring
from storage.sources import grouped, named_features, plan_shards

JOB = """
name = "plant"
[data]
clean = "clean.parquet"
incoming = "nights/{date}.parquet"
entity = "machine"
[model]
hidden = [16]
latent = 4
prototypes = 64
activation = "silu"
output = "identity"
loss = "mse"
scaling = "standard"
noise = 0.1
[train]
epochs = 15
batch_size = 128
learning_rate = 5e-3
calibration = 0.3
[score]
by = "novelty"
rule = "quantile 0.99"
top_n = 8
"""
MACHINES = 8
NUMBERS = ("heat", "speed", "load")
LEVEL = np.random.default_rng(5).normal(0, 20, (MACHINES, 3))
SPREAD = np.exp(np.random.default_rng(6).normal(0, 0.7, (MACHINES, 3)))


def readings(n, seed):
    """Readings of machines that each have their own level and spread."""
    random = np.random.default_rng(seed)
    which = random.integers(0, MACHINES, n)
    values = LEVEL[which] + SPREAD[which] * random.normal(size=(n, 3))
    return {
        "machine": [f"M{each}" for each in which],
        **{name: values[:, index] for index, name in enumerate(NUMBERS)},
    }


def planted():
    """A night whose rows 0 to 3 are odd: two readings of other machines, an unknown one, none."""
    rows = readings(300, 7)
    for index, (name, like) in enumerate([("M0", 1), ("M1", 0), ("M<9>", 2), (None, 3)]):
        rows["machine"][index] = name
        for place, number in enumerate(NUMBERS):
            rows[number][index] = LEVEL[like, place]
    return rows


@pytest.fixture(scope="module")
def plant(tmp_path_factory):
    """A folder with a trained job and one scored night."""
    folder = tmp_path_factory.mktemp("plant")
    return trained_table(folder, JOB, readings(3_000, 1), planted())[0]


def report(bench, name, date=DAY):
    return bench.folder / f"workspace/reports/plant/{date}/rev=1/{name}"


def causes(bench, date=DAY):
    return {int(row): cause for row, cause in causes_by("row", report(bench, "", date)).items()}


def test_a_reading_of_another_machine_leads_the_list_and_its_cause_names_the_machine(plant):
    found = causes(plant)

    assert set(list(found)[:2]) == {0, 1}
    assert found[0].startswith("machine 'M0': ")
    assert "(usual for this machine: " in found[0]


def test_the_report_lists_entities_without_clean_rows_and_rows_without_any(plant):
    summary = json.loads(report(plant, "summary.json").read_text(encoding="utf-8"))

    assert summary["notes"] == [
        "scaled by level and spread of all rows: 1 row with machine not in the clean rows: "
        "'M<9>' (1); 1 row without machine"
    ]
    assert "M&lt;9&gt;" in report(plant, "report.html").read_text(encoding="utf-8")


def test_a_row_is_flagged_where_its_own_machine_has_no_such_clean_row(plant):
    summary = json.loads(report(plant, "summary.json").read_text(encoding="utf-8"))
    outliers = pq.read_table(report(plant, "outliers.parquet"))
    part = plant.folder / f"workspace/scores/plant/date={DAY}/part-00000.parquet"
    rare_rows = pc.less_equal(pq.read_table(part, partitioning=None).column("p_value"), 0.01)
    rare = pc.less_equal(outliers.column("p_value"), 0.01)

    assert outliers.column("flagged").equals(rare)
    assert pc.sum(rare_rows).as_py() == summary["flagged"] > 2
    assert "8 of 8 entities are judged by their own calibration rows." in summary["promise"]
    assert "threshold of all calibration rows over" in report(plant, "report.html").read_text()


def test_shards_of_any_size_give_the_same_decision(plant, monkeypatch):
    day = "2026-11-25"
    pq.write_table(pa.table(planted()), plant.folder / f"nights/{day}.parquet", row_group_size=50)
    monkeypatch.setattr(scoring, "plan_shards", lambda source, _: plan_shards(source, 2_000))
    assert plant.run("score", plant.job, "--date", day).code == 0
    columns = ["row", "score", "p_value", "flagged", "cause"]

    lists = [report(plant, "outliers.parquet", each) for each in (DAY, day)]
    assert len(list(plant.folder.glob(f"workspace/scores/plant/date={day}/part-*"))) > 1
    assert pq.read_table(lists[0], columns=columns).equals(pq.read_table(lists[1], columns=columns))


def test_inspect_and_the_training_report_say_how_machines_are_judged(plant):
    inspected = plant.run("inspect", report(plant, "")).facts
    path = next(plant.folder.glob("workspace/models/plant/*/training.html"))

    assert "8 of 8 entities" in inspected["promise"]
    assert "by group" in path.read_text(encoding="utf-8")


def test_csv_files_give_the_same_scores_as_parquet(plant):
    other = "2026-11-23"
    pa_csv.write_csv(pa.table(planted()), plant.folder / f"nights/{other}.csv")
    scored = plant.run(
        "score", plant.job, "--date", other, "--set", "data.incoming=nights/{date}.csv"
    )

    assert scored.code == 0, scored.err
    assert causes(plant, other) == causes(plant)


def test_the_same_rows_train_the_same_model_and_the_gate_compares_them(plant):
    again = plant.run("train", plant.job, "--set", "train.seed=1")

    assert again.code == 0, again.err
    assert "not worse than the champion" in again.facts["why"]


def test_init_names_a_column_that_may_be_the_entity_and_sets_nothing(plant):
    text = plant.run("init", plant.folder / "clean.parquet").facts["job"]

    assert "data.entity scales rows by their own level and spread: 'machine'" in text.replace(
        "\n# ", " "
    )
    assert "\nentity" not in text


def test_columns_name_the_features_and_the_entity_is_read_beside_them(plant):
    job = read_job(plant.job, ['data.columns=["load"]'])
    with open_clean(job) as source:
        assert grouped(named_features(source.schema)) == {
            "load": ("number",),
            "machine": ("entity",),
        }


def test_a_table_of_nothing_but_the_entity_is_refused(plant):
    path = plant.folder / "names.parquet"
    pq.write_table(pa.table({"machine": readings(50, 1)["machine"]}), path)
    refused = plant.run("train", plant.job, "--set", f"data.clean={path}")

    assert refused.code == 2
    assert "no column that can be a feature" in refused.err


def test_a_night_without_the_column_is_refused_by_name(plant):
    day = "2026-11-24"
    table = pa.table(readings(50, 2)).drop_columns(["machine"])
    pq.write_table(table, plant.folder / f"nights/{day}.parquet")

    assert "missing: 'machine'" in plant.run("score", plant.job, "--date", day).err


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("data.entity=engine", "missing: 'engine'"),
        ("data.id=machine", "'machine' in more than one"),
        ('data.ignore=["machine"]', "'machine' in more than one"),
        ('data.columns=["machine", "heat"]', "'machine' in more than one"),
        ("model.scaling=none", "model.scaling must be one of"),
    ],
)
def test_settings_that_do_not_go_with_the_entity_are_refused(plant, setting, words):
    refused = plant.run("train", plant.job, "--set", setting)

    assert refused.code != 0
    assert words in refused.err
