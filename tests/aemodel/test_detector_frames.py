"""The scikit-learn estimator on frames with categories and times."""

from __future__ import annotations

import datetime as dt
import io

import joblib
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bench import JOB, Bench
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from aemodel import AutoencoderDetector
from flows.jobs.inputs import kinds_of_columns
from storage.models import load_bundle
from storage.sources import open_source

START = dt.datetime(2026, 1, 1)
WARM = {"Oslo": 5.0, "Bern": 12.0, "Rome": 25.0}


def table(n=600, seed=0) -> pa.Table:
    """Cities and how warm they are, each noon and evening of 60 days, with gaps."""
    random = np.random.default_rng(seed)
    cities = random.choice(list(WARM), n).tolist()
    warm = [WARM[city] + random.normal() if i % 40 else None for i, city in enumerate(cities)]
    hours = 24 * random.integers(0, 60, n) + random.choice([12, 18], n)
    return pa.table(
        {
            "city": cities,
            "warm": warm,
            "time": [START + dt.timedelta(hours=int(hour)) for hour in hours],
            "wet": random.random(n) < 0.5,
            "note": [f"number {i}" for i in range(n)],
        }
    )


NIGHT = pa.table(
    {
        "wet": [True, True, None, True],
        "warm": [25.0, 5.0, float("nan"), 25.0],
        "time": [START + dt.timedelta(hours=hour) for hour in (12, 12, 12, 3)],
        "extra": [1, 2, 3, 4],
        "city": ["Rome", "Paris", None, "Rome"],
    }
)


def detector(**settings):
    return AutoencoderDetector(epochs=5, members=1, prototypes=32, **settings)


@pytest.fixture(scope="module")
def fitted():
    return detector().fit(table())


def test_the_settings_are_those_that_init_proposes_for_several_kinds(fitted):
    chosen = fitted.model_.settings

    assert (chosen.scaling, chosen.noise, chosen.latent) == ("standard", 0.1, 5)
    assert detector(scaling="robust").fit(table()).model_.settings.scaling == "robust"
    assert fitted.get_params()["scaling"] is None


def test_columns_keep_their_names_and_ignored_ones_their_reason(fitted):
    assert fitted.feature_names_in_.tolist() == ["city", "warm", "time", "wet"]
    assert fitted.n_features_in_ == 4
    assert fitted.ignored_ == {"note": "ids: distinct in all rows"}


def test_unusual_rows_score_lower_than_clean_ones(fitted):
    usual, unseen, gaps, at_night = fitted.score_samples(NIGHT)

    assert max(unseen, gaps, at_night) < usual
    assert fitted.predict(NIGHT).tolist() == [1, -1, -1, -1]


@pytest.mark.parametrize("library", ["polars", "pandas"])
def test_every_kind_of_frame_fits_and_scores_the_same(fitted, library):
    module = pytest.importorskip(library, reason=f"{library} is not installed")
    frame_of = module.from_arrow if library == "polars" else pa.Table.to_pandas
    other = detector().fit(frame_of(table()))

    np.testing.assert_array_equal(other.score_samples(frame_of(NIGHT)), fitted.score_samples(NIGHT))
    assert other.ignored_ == fitted.ignored_


def test_causes_name_levels_and_times(fitted):
    usual, unseen, gaps, at_night = fitted.explain(NIGHT, top=1)

    assert unseen.words.startswith("city 'Paris' never seen in fit rows (3 levels known)")
    assert unseen.features[0].actual_text == "'Paris'"
    assert "missing (0 % of clean rows)" in gaps.words
    assert at_night.words.startswith("time at 03:00 (")
    assert all(len(cause.features) == 1 for cause in (usual, unseen, gaps, at_night))


def test_the_largest_clean_values_are_not_called_beyond_the_clean_range():
    codes = pa.array([200, 304, 404, 500] * 150)
    shares = pa.array([0.0, 12.3, 20.1] * 200)
    clean = pa.table({"status": codes, "off": shares, "level": ["a", "b"] * 300})

    cause = detector().fit(clean).explain(clean.slice(11, 1), top=3)[0]

    assert clean.slice(11, 1).to_pylist() == [{"status": 500, "off": 20.1, "level": "b"}]
    assert "clean 1–99 %" not in cause.words


def test_no_rows_have_no_causes(fitted):
    assert fitted.explain(NIGHT.slice(0, 0)) == []


def test_causes_of_an_array_name_its_features():
    clean = np.random.default_rng(0).normal(size=(300, 6))
    row = clean[:1] + np.array([0, 0, 9, 0, 0, 0])
    fitted = detector().fit(clean)

    assert fitted.explain(row)[0].words.startswith("feature 2 is ")
    assert [len(fitted.explain(row, top=top)[0].features) for top in (1, 5)] == [1, 5]
    with pytest.raises(ValueError, match=r"top must be at least 1. Got 0 instead"):
        fitted.explain(row, top=0)


def test_it_can_be_cloned_stored_and_put_into_a_pipeline(fitted):
    stored = io.BytesIO()
    joblib.dump(fitted, stored)
    stored.seek(0)
    copies = [joblib.load(stored), make_pipeline(clone(fitted)).fit(table())]

    for copy in copies:
        np.testing.assert_array_equal(copy.score_samples(NIGHT), fitted.score_samples(NIGHT))


def test_a_bundle_keeps_columns_levels_and_scores(fitted):
    back = AutoencoderDetector.from_files(fitted.to_files())

    np.testing.assert_array_equal(back.score_samples(NIGHT), fitted.score_samples(NIGHT))
    assert [cause.words for cause in back.explain(NIGHT)] == [
        cause.words for cause in fitted.explain(NIGHT)
    ]
    assert back.feature_names_in_.tolist() == fitted.feature_names_in_.tolist()
    assert back.ignored_ == fitted.ignored_
    assert back.to_files() == fitted.to_files()


def rows_in_file(path, layout):
    pq.write_table(table(50, seed=3), path)
    kinds = kinds_of_columns(layout)
    source = open_source(path, columns=[*kinds], kinds=kinds, missing="impute")
    return np.concatenate([chunk.rows for chunk in source.chunks(max_rows=50)])


def test_the_commands_read_rows_as_the_detector_does(fitted, tmp_path):
    rows = rows_in_file(tmp_path / "rows.parquet", fitted.model_.layout)
    new = slice(1, 40)  # the others are among the fitted rows

    np.testing.assert_array_equal(
        -fitted.model_.scores_by("novelty", rows)[new], fitted.score_samples(table(50, seed=3))[new]
    )


def test_a_bundle_of_the_commands_scores_a_frame(tmp_path):
    (tmp_path / "small.toml").write_text(
        JOB.replace(".npy", ".parquet").replace("[model]", 'missing = "impute"\n[model]')
    )
    pq.write_table(table(), tmp_path / "clean.parquet")
    trained = Bench(tmp_path).run("train", tmp_path / "small.toml")
    models = tmp_path / "workspace/models/small"
    found = AutoencoderDetector.from_files(load_bundle(models, trained.facts["model_id"]))
    rows = rows_in_file(tmp_path / "rows.parquet", found.model_.layout)

    np.testing.assert_array_equal(
        found.score_samples(table(50, seed=3)), -found.model_.scores_by(found.by, rows)
    )
    assert found.ignored_ == {"note": "ids: distinct in all rows"}
    assert "'Paris' never seen" in found.explain(NIGHT)[1].words


def test_a_fit_stores_the_level_names_that_train_stores(fitted):
    assert {name: sorted(names) for name, names in fitted.model_.facts["levels"].items()} == {
        "city": ["Bern", "Oslo", "Rome"],
        "wet": ["false", "true"],
    }


def test_columns_that_are_missing_or_of_another_kind_are_all_named(fitted):
    other = pa.table({"City": ["Rome"], "warm": ["hot"], "time": [True], "wet": [False]})
    expected = (
        r"Got missing: 'city' \(did you mean 'City'\?\); "
        r"of another kind: 'warm' \(string, not a number\), 'time' \(bool, not a time\) instead"
    )
    with pytest.raises(ValueError, match=expected):
        fitted.predict(other)


def test_a_date_is_refused_where_hours_are_needed(fitted):
    dates = NIGHT.set_column(2, "time", pa.array([START.date()] * 4))
    with pytest.raises(ValueError, match=r"'time' \(date32\[day\], not a time\)"):
        fitted.predict(dates)


def test_of_many_missing_columns_the_first_hundred_are_named():
    names = [f"column {i}" for i in range(150)]
    clean = pa.table(
        [*np.random.default_rng(0).normal(size=(150, 40)), ["x", "y"] * 20], [*names, "z"]
    )
    fitted = AutoencoderDetector(epochs=1, members=1, prototypes=4, calibration=0.4).fit(clean)
    with pytest.raises(ValueError, match=r"missing: 'column 0', .*'column 99', and 50 others inst"):
        fitted.predict(clean.select(["z"]))


def test_a_column_without_values_is_all_gaps(fitted):
    empty = NIGHT.set_column(4, "city", pa.nulls(4))

    assert np.isfinite(fitted.score_samples(empty)).all()


def test_an_array_is_refused_where_columns_are_of_several_kinds(fitted):
    with pytest.raises(ValueError, match="columns 'city', 'warm', 'time', 'wet', since some are"):
        fitted.predict(np.zeros((2, 5)))


def test_a_frame_without_features_is_refused_with_the_reasons():
    with pytest.raises(ValueError, match=r"Got 'a' \(no values\), 'b' \(list<item: int64>\) i"):
        detector().fit(pa.table({"a": pa.nulls(5), "b": [[1]] * 5}))


def test_infinite_numbers_and_single_rows_are_refused():
    mixed = {"a": ["x", "y"] * 5, "b": [float("inf")] * 10}
    with pytest.raises(ValueError, match="Input X contains infinity"):
        detector().fit(pa.table(mixed))
    with pytest.raises(ValueError, match=r"X must have at least 2 rows. Got 1 instead"):
        detector().fit(table(1))


def test_numbers_with_gaps_and_an_id_use_the_settings_for_numbers():
    clean = table().select(["warm", "note"])
    fitted = detector().fit(clean.append_column("other", clean["warm"]))

    assert fitted.model_.settings.scaling == "minmax"
    assert fitted.model_.layout.kinds == ()
    assert fitted.feature_names_in_.tolist() == ["warm", "other"]
    assert np.isfinite(fitted.score_samples(clean.append_column("other", clean["warm"]))).all()


def test_columns_named_by_numbers_are_named_by_their_texts():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pandas.DataFrame({0: [None] + [1.0, 2.0] * 50, 1: [0.5] + [2.0, 1.0] * 50})
    fitted = detector().fit(frame)

    assert fitted.feature_names_in_.tolist() == ["0", "1"]
    assert np.isfinite(fitted.score_samples(frame)).all()


def test_frames_of_numbers_equal_arrays_and_keep_the_rule_of_scikit_learn():
    rows = np.random.default_rng(0).normal(size=(300, 3))
    frame = pa.table(list(rows.T), names=["a", "b", "c"])
    fitted = detector().fit(frame)

    np.testing.assert_array_equal(
        fitted.score_samples(frame), detector().fit(rows).score_samples(rows)
    )
    with pytest.raises(ValueError, match="Feature names must be in the same order as they were"):
        fitted.predict(frame.select(["c", "b", "a"]))
    more = frame.append_column("id", pa.array(range(300))).select(["id", "c", "b", "a"])
    np.testing.assert_array_equal(fitted.predict(more), fitted.predict(frame))
