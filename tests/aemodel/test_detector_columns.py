"""The scikit-learn estimator with parameters that say how columns of frames are read."""

from __future__ import annotations

import joblib
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bench import DAY, JOB, trained_table
from sklearn.base import clone

from aemodel import AutoencoderDetector
from aemodel.errors import SettingsError
from flows.jobs.inputs import kinds_of_columns
from storage.models import load_bundle
from storage.sources import open_source

LEVEL = {"M0": 0.0, "M1": 40.0, "M2": -40.0}


def machines(n=900, seed=0) -> dict[str, list]:
    """Readings of machines, with a code, a time as text, and a note."""
    random = np.random.default_rng(seed)
    names = random.choice(list(LEVEL), n).tolist()
    return {
        "machine": names,
        "heat": [LEVEL[name] + random.normal() for name in names],
        "load": random.normal(size=n).tolist(),
        "code": random.integers(0, 5, n).tolist(),
        "at": [f"2026-01-{1 + i % 28:02d} {i % 12:02d}:00:00" for i in range(n)],
        "note": random.choice(["a", "b"], n).tolist(),
    }


NAMED = {"entity": "machine", "categories": ("code",), "times": ("at",), "ignore": ("note",)}


def detector(**settings):
    return AutoencoderDetector(epochs=5, members=1, prototypes=32, **settings)


@pytest.fixture(scope="module")
def fitted():
    return detector(**NAMED, max_levels=3).fit(pa.table(machines()))


def test_columns_are_read_as_the_parameters_say(fitted):
    layout = fitted.model_.layout

    assert dict(zip(layout.columns, layout.kinds, strict=True)) == {
        "machine": "entity",
        "heat": "number",
        "load": "number",
        "code": "category",
        "at": "weekday",  # the second feature of a time
    }
    assert (layout.kinds.count("hour"), layout.max_levels) == (1, 3)
    assert fitted.ignored_ == {"note": "data.ignore"}
    assert fitted.model_.settings.latent == 5


def test_a_reading_of_another_machine_is_an_outlier_and_its_cause_names_the_machine(fitted):
    rows = pa.table(machines(40, seed=3))
    heat = rows["heat"].to_numpy().copy()
    heat[0] = LEVEL["M1"] if rows["machine"][0].as_py() != "M1" else LEVEL["M2"]
    rows = rows.set_column(1, "heat", pa.array(heat))

    assert fitted.predict(rows)[0] == -1
    assert fitted.score_samples(rows).argmin() == 0
    assert fitted.explain(rows)[0].words.startswith(f"machine {rows['machine'][0].as_py()!r}: ")
    assert "3 of 3 entities are judged by their own calibration rows" in fitted.promise_


def test_outliers_are_the_rows_with_a_small_p_value_in_their_own_group(fitted):
    night = pa.table(machines(300, seed=4))
    scores = fitted.model_.scores_by("novelty", rows := rows_of(fitted, night))

    assert np.array_equal(fitted.predict(night) < 0, fitted._groups.p_values(rows, scores) <= 0.05)


def rows_of(fitted, table):
    from aemodel.frames.rows import read_rows

    return read_rows(fitted, table, fitted.model_.layout).rows


def test_clone_joblib_and_a_bundle_keep_parameters_and_scores(fitted, tmp_path):
    night = pa.table(machines(50, seed=3))
    joblib.dump(fitted, tmp_path / "detector")
    restored = AutoencoderDetector.from_files(fitted.to_files())
    again = clone(fitted).fit(pa.table(machines()))

    for copy in (joblib.load(tmp_path / "detector"), restored, again):
        assert {name: copy.get_params()[name] for name in NAMED} == NAMED
        np.testing.assert_array_equal(copy.score_samples(night), fitted.score_samples(night))


def test_a_bundle_of_the_commands_judges_a_frame_as_they_do(tmp_path):
    job = JOB.replace(".npy", ".parquet").replace(
        "[model]", 'entity = "machine"\ncategories = ["code"]\nignore = ["note"]\n[model]'
    )
    job = job.replace("top_n = 5", 'top_n = 5\nby = "novelty"').replace("0.99", "0.95")
    night = machines(200, seed=5)
    bench, trained, _ = trained_table(tmp_path, job, machines(), night)
    files = load_bundle(bench.workspace / "models/small", trained.facts["model_id"])
    found = AutoencoderDetector.from_files(files).set_params(by="novelty", rule="quantile 0.95")
    found._use(found.model_)
    part = bench.workspace / f"scores/small/date={DAY}/part-00000.parquet"
    p_values = pq.read_table(part, partitioning=None)["p_value"].to_numpy()

    assert np.array_equal(found.predict(pa.table(night)) < 0, p_values <= 0.05)
    assert found.entity == "machine"


def test_the_commands_read_a_file_as_the_detector_reads_the_frame(fitted, tmp_path):
    night = pa.table(machines(50, seed=3))
    pq.write_table(night, tmp_path / "rows.parquet")
    layout = fitted.model_.layout
    kinds = kinds_of_columns(layout)
    with open_source(
        tmp_path / "rows.parquet", columns=layout.names, missing="impute", kinds=kinds
    ) as source:
        (chunk,) = source.chunks(max_rows=100)

    np.testing.assert_array_equal(chunk.rows, rows_of(fitted, night))


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"entity": "engine"}, ValueError, r"missing: 'engine'"),
        ({"categories": ("heat", "at"), "times": ("load",)}, ValueError, "'load' .*not a time"),
        ({"entity": "code", "categories": ("code",)}, SettingsError, "Got 'code' more than once"),
        ({"ignore": "note"}, SettingsError, "ignore must be a tuple of columns"),
        ({"max_levels": 0}, SettingsError, "max_levels must be at least 1"),
    ],
)
def test_parameters_that_do_not_fit_the_frame_are_refused(settings, error, words):
    with pytest.raises(error, match=words):
        detector(**settings).fit(pa.table(machines(50)))


def test_an_array_is_refused_where_a_column_is_named():
    with pytest.raises(ValueError, match="DataFrame or table with the columns 'machine', since"):
        detector(entity="machine").fit(np.zeros((50, 3)))
