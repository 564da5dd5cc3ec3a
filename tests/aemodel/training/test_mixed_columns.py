"""Models of rows with numbers, categories and times."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from aemodel.bundle import from_files, to_files
from aemodel.explain.attribution import explain
from aemodel.explain.latent_map import map_of_rows
from aemodel.rows.layout import CATEGORY, HOUR, NUMBER, Layout
from aemodel.settings import ModelSettings, TrainSettings
from aemodel.training.gate_checks import check_error, check_planted
from aemodel.training.loop import CleanRows, train_autoencoder
from aemodel.training.promotion_gate import judge_challenger

pytestmark = pytest.mark.slow

COLUMNS = ("amount", "shop", "item", "when")
LAYOUT = Layout(
    row_shape=(4,), dtype="float64", columns=COLUMNS, kinds=(NUMBER, CATEGORY, CATEGORY, HOUR)
)
MODEL = ModelSettings(
    hidden=(16,), latent=4, prototypes=64, members=2, activation="silu", output="identity",
    loss="mse", scaling="standard", noise=0.1,
)  # fmt: skip
TRAIN = TrainSettings(epochs=15, batch_size=128, learning_rate=5e-3, calibration=0.2)
KEYS = 1000.0 * np.arange(1, 11)  # of shops, then of items: an item belongs to a shop


def payments(n, seed):
    random = np.random.default_rng(seed)
    shop = random.choice(4, n, p=[0.5, 0.3, 0.15, 0.05])
    rows = np.empty((n, 4))
    rows[:, 0] = np.exp(random.normal(2 + shop, 0.4))
    rows[:, 1] = KEYS[shop]
    rows[:, 2] = 7 * KEYS[2 * shop + random.integers(0, 2, n)]
    rows[:, 3] = random.uniform(8, 20, n)
    rows[random.random(n) < 0.02, 2] = np.nan  # gaps are a level
    return rows


def train(rows, **settings):
    clean = CleanRows(lambda: [rows[:700], rows[700:]], LAYOUT, memory_bytes=10_000_000)
    return train_autoencoder(clean, model=MODEL, train=replace(TRAIN, **settings))


@pytest.fixture(scope="module")
def trained():
    return train(payments(2_000, 0))


@pytest.fixture(scope="module")
def model(trained):
    return trained.model


def odd_rows():
    """Clean rows with one odd value each, in the columns 0 to 3."""
    rows = payments(4, 5)
    rows[0, 0] = 50_000.0
    rows[1, 1] = 123.0  # a shop that was never seen
    rows[2, 1:3] = KEYS[0], 7 * KEYS[6]  # the item of another shop
    rows[3, 3] = 3.2
    return rows


def test_rows_score_the_same_bits_however_they_are_grouped(model):
    rows = payments(40, 1)
    whole = np.stack(model.scores(rows))
    for size in (1, 7, 39):
        parts = [np.stack(model.scores(rows[i : i + size])) for i in range(0, 40, size)]
        np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)


def test_a_bundle_gives_the_same_scores_and_the_same_bundle(model):
    files = to_files(model)
    loaded = from_files(files)
    rows = np.concatenate([payments(200, 2), odd_rows()])
    np.testing.assert_array_equal(np.stack(loaded.scores(rows)), np.stack(model.scores(rows)))
    assert to_files(loaded) == files


def test_training_does_not_depend_on_how_rows_are_cut_into_chunks(model):
    rows = payments(2_000, 0)
    clean = CleanRows(lambda: [rows[i : i + 333] for i in range(0, 2_000, 333)], LAYOUT, 10_000_000)
    again = train_autoencoder(clean, model=MODEL, train=TRAIN)
    assert to_files(again.model) == to_files(model)


def test_odd_rows_are_more_novel_than_nearly_all_clean_rows(model):
    found = model.scores_by("novelty", odd_rows())
    clean = np.quantile(model.calibration_by("novelty"), 0.98)
    assert (found > clean).all(), (found, clean)


@pytest.mark.parametrize("by", ["novelty", "error"])
def test_the_cause_names_the_odd_column_first(model, by):
    causes = explain(model, model.rebuild(odd_rows()), by=by)
    names = [cause.features[0].name for cause in causes]
    assert names[:2] == ["amount", "shop"]
    assert names[2] in ("shop", "item")
    assert names[3] == "when"


def test_the_map_places_rows_by_levels_and_numbers_whatever_ranks(model):
    found = map_of_rows(model, odd_rows()[np.repeat([0, 1], 4)], by="error")

    assert not found.by_latents
    assert map_of_rows(model, payments(300, 6), by="error") is None


def test_a_level_without_a_name_is_described_all_the_same(model):
    [_, unseen, *_] = explain(model, model.rebuild(odd_rows()), by="novelty")
    assert unseen.words.startswith("shop 'another level' never seen in fit rows (4 levels known)")
    texts = {"shop": {123.0: "kiosk"}}
    [_, unseen, *_] = explain(model, model.rebuild(odd_rows()), by="novelty", texts=texts)
    assert unseen.words.startswith("shop 'kiosk' never seen")


def test_a_pair_that_does_not_belong_together_is_named_with_its_counts(model):
    [_, _, pair, _] = explain(model, model.rebuild(odd_rows()), by="novelty")
    first = pair.features[0]
    assert re.search(r" with (shop|item) 'another level' \(0 of [\d,]+ clean rows, ", first.words)
    assert f" with {first.name} " not in first.words


def words_of(model, row, column):
    [cause] = explain(model, model.rebuild(np.array([row])), by="error", top=len(COLUMNS))
    return next((each.words for each in cause.features if each.name == column), "")


def test_no_other_level_was_expected_where_the_row_speaks_for_its_own(model):
    own = [words_of(model, row, "item") for row in payments(200, 7)]
    other = payments(200, 7)
    other[:, 2] = np.where(other[:, 1] == KEYS[0], 7 * KEYS[7], 7 * KEYS[0])

    assert sum("was expected" in words for words in own) <= 2
    assert sum("was expected" in words_of(model, row, "item") for row in other) >= 150


@pytest.fixture(scope="module")
def around_the_clock():
    """A model of rows at all hours, with many items and an amount that clean rows lack."""
    rows = payments(600, 0)
    rows[:, 3] = np.arange(600) % 24 + 0.5
    rows[:, 2] = 10.0 + np.arange(600) // 2
    rows[:, 0] = np.nan
    return train(rows, epochs=5).model


def test_no_hours_are_usual_where_rows_come_around_the_clock(around_the_clock):
    words = words_of(around_the_clock, [np.nan, KEYS[0], 11.0, 3.2], "when")
    assert words.startswith("when at 03:12 (4")
    assert words.endswith(" % of clean rows in that hour)")


def test_a_level_among_the_rest_is_not_told_to_be_another_one(around_the_clock):
    [*_, key] = around_the_clock.scaler.levels.keys
    words = words_of(around_the_clock, [np.nan, KEYS[0], key, 3.2], "item")
    assert words.endswith("% of clean rows)")


def test_a_number_in_a_column_without_clean_values_is_described_as_such(around_the_clock):
    words = words_of(around_the_clock, [19.0, KEYS[0], 11.0, 3.2], "amount")
    assert words == "amount 19 (missing in all clean rows)"


def test_a_row_of_gaps_only_has_scores(model):
    scores = np.stack(model.scores(np.full((1, 4), np.nan)))
    assert not np.isnan(scores).any()


def test_the_usual_row_scores_about_1(model):
    assert np.median(model.calibration_by("novelty")) == pytest.approx(1, abs=0.3)
    assert model.calibration.mean() == pytest.approx(0.9, abs=0.3)


def test_the_gate_passes_a_retraining_and_refuses_an_untrained_model(trained):
    rows = payments(2_000, 0)
    again = train(rows, seed=3)
    assert judge_challenger(again, trained.model, lambda: [rows], by="novelty").promote
    poor = train(rows, epochs=1, learning_rate=1e-9, seed=3)
    verdict = judge_challenger(poor, trained.model, lambda: [rows], by="novelty")
    assert not verdict.promote


def test_the_checks_of_the_gate_compare_categories_too(model):
    rows = payments(500, 8)
    swapped = rows.copy()
    swapped[:, 1:3] = swapped[::-1, 1:3]
    assert check_error(model, model, rows).passed
    assert check_planted(model, model, rows, by="error").figures["planted_auroc"] > 0.6
    assert model.errors(swapped).mean() > 1.5 * model.errors(rows).mean()


def test_more_levels_than_max_levels_share_one(model):
    layout = replace(LAYOUT, max_levels=2)
    rows = payments(1_000, 0)
    clean = CleanRows(lambda: [rows], layout, 10_000_000)
    few = train_autoencoder(clean, model=MODEL, train=replace(TRAIN, epochs=2)).model
    assert few.scaler.levels.kept.tolist() == [2, 2]
    assert np.isfinite(few.scores_by("novelty", rows)).all()


def test_few_rows_and_a_single_level_train(model):
    rows = payments(20, 0)
    rows[:, 1] = KEYS[0]
    clean = CleanRows(lambda: [rows], LAYOUT, 10_000_000)
    small = train_autoencoder(clean, model=MODEL, train=replace(TRAIN, epochs=2)).model
    other = rows[:1].copy()
    other[0, 1] = KEYS[1]
    assert small.scores_by("novelty", other)[0] > small.scores_by("novelty", rows[:1])[0]
