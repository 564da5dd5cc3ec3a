"""A night as the analyst meets it.

Blind spots, drift and the choice of the score, through the commands.
"""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from bench import DAY, JOB, Bench, rows_of
from blind import FAR, blind_model, clean_rows
from hypothesis import given, settings
from hypothesis import strategies as st

from aemodel.bundle import to_files
from aemodel.scores.p_values import p_values
from aemodel.settings import SCORES
from flows.scoring.shard_summary import ShardSummary
from storage.models import promote, save_bundle
from storage.sources import Chunk


@pytest.fixture(scope="module")
def blind():
    return blind_model(clean_rows()).model


@pytest.fixture
def blind_bench(tmp_path, blind) -> Bench:
    """A job whose model rebuilds far rows perfectly."""
    bench = Bench(tmp_path)
    bench.job.write_text(JOB)
    put_in_force(bench, blind)
    return bench


def put_in_force(bench, model):
    models = bench.workspace / "models/small"
    model_id = save_bundle(
        models, to_files(model), work=bench.workspace / ".work/model", extra={}, run={}
    )
    promote(models, model_id, by="test", why="test", since="2026-01-01T00:00:00+00:00")


def night_of(bench, rows):
    path = bench.folder / f"nights/{DAY}.npy"
    path.parent.mkdir(exist_ok=True)
    np.save(path, rows)
    return path


def report(result):
    assert result.code == 0, result.err
    folder = Path(result.facts["path"])
    return json.loads((folder / "summary.json").read_text()), (folder / "report.html").read_text()


def outliers_of(result):
    return pq.read_table(Path(result.facts["path"]) / "outliers.parquet").to_pylist()


def facts_of(model, rows, start=0, stop=None, *, ids=None):
    """Facts of rows[start:stop], with the scores that they have among all rows."""
    errors, novelties, _ = (found[start:stop] for found in model.scores(rows))
    chunk = Chunk(start, rows[start:stop], ids, "night.npy")
    return ShardSummary.of_chunk(
        model, chunk, errors, novelties, calibration=model.calibration, threshold=0.5, keep=20
    )


@settings(max_examples=25)
@given(cuts=st.lists(st.integers(0, 120), max_size=5), order=st.randoms(use_true_random=False))
def test_facts_of_shards_merge_to_those_of_the_whole_however_they_are_cut(blind, cuts, order):
    rows = np.concatenate(
        [
            clean_rows(100, seed=1),
            np.tile(FAR, (10, 1)),
            np.full((5, 3), np.nan),
            np.full((5, 3), 1e300),
        ]
    )
    pieces = list(pairwise([0, *sorted(cuts), 120]))
    order.shuffle(pieces)
    whole, (merged, *others) = (
        facts_of(blind, rows),
        [facts_of(blind, rows, *piece) for piece in pieces],
    )
    for other in others:
        merged = merged.merge(other)

    assert (merged.tally.by_rank == whole.tally.by_rank).all()
    assert (merged.tally.above, merged.tally.rows) == (whole.tally.above, 120)
    for kind in ("best", "strange"):
        assert (getattr(merged, kind).rows == getattr(whole, kind).rows).all()
        assert (getattr(merged, kind).scores == getattr(whole, kind).scores).all()
        np.testing.assert_array_equal(getattr(merged, kind).values, getattr(whole, kind).values)
    for name, value in vars(whole.features).items():
        np.testing.assert_allclose(vars(merged.features)[name], value, rtol=1e-12, atol=1e-9)


def test_facts_of_a_shard_come_back_from_their_file(blind, tmp_path):
    facts = facts_of(
        blind,
        np.concatenate([clean_rows(30), FAR[None]]),
        ids=np.array([f"r{n}" for n in range(31)]),
    )
    facts.save(tmp_path / "facts.npz")
    back = ShardSummary.load(tmp_path / "facts.npz", 20)

    assert back.strange.ids.tolist() == facts.strange.ids.tolist()
    assert back.strange.ids[0] == "r30"
    assert (back.best.values == facts.best.values).all()
    assert all(
        (vars(back.features)[name] == value).all() for name, value in vars(facts.features).items()
    )


def test_a_far_row_that_is_rebuilt_perfectly_is_named_among_the_blind_spots(blind_bench):
    night_of(blind_bench, np.concatenate([clean_rows(200, seed=1), FAR[None]]))
    result = blind_bench.score()
    summary, page = report(result)
    [strange] = [each for each in summary["novel_rows"] if each["row"] == 200]

    assert 200 not in [outlier["row"] for outlier in outliers_of(result)]
    assert (summary["score"], strange["p_residual"]) == ("error", 1.0)
    assert strange["p_range"] < 0.01
    assert "What the error alone would miss" in page
    assert "outside the clean range" in page


def test_a_blind_spot_is_named_though_many_rows_with_large_errors_are_more_novel(blind_bench):
    loud = np.concatenate([1e3 + clean_rows(150, seed=1)[:, :2], np.full((150, 1), 1e3)], axis=1)
    night_of(blind_bench, np.concatenate([loud, FAR[None], clean_rows(200, seed=2)]))
    summary, _ = report(blind_bench.score())

    assert 150 in [each["row"] for each in summary["novel_rows"]]
    assert not {each["row"] for each in summary["novel_rows"]} & set(range(150))


@pytest.mark.parametrize("rule", ["quantile 0.9", "absolute 1e9"])
def test_the_list_of_blind_spots_ends_and_says_how_many_there_are_and_how_many_by_chance(
    blind_bench, blind, rule
):
    loud = np.concatenate([FAR[None, :2], [[1e3]]], axis=1)
    rows = np.concatenate([np.tile(FAR, (60, 1)), clean_rows(200, seed=1), loud])
    night_of(blind_bench, rows)
    summary, page = report(blind_bench.score("--set", f"score.rule={rule}"))
    errors, novelties, _ = blind.scores(rows)
    cut = summary["threshold"] if rule.startswith("quantile") else blind.calibration[-1]
    by_chance = len(rows) / (len(blind.calibration) + 1)

    assert len(summary["novel_rows"]) == 50
    assert (
        summary["novel_rows_total"]
        == int(((novelties > blind.calibration_by("novelty")[-1]) & (errors <= cut)).sum())
        >= 60
    )
    assert summary["strange_by_chance"] == by_chance
    assert "The 50 most novel are listed" in page
    assert f"clean rows would contain {by_chance:.4g} novel rows on average" in page


@pytest.mark.parametrize(
    "rule", ["quantile 0.99", "quantile 0.99999", "top", "fdr 0.01", "absolute 1e9", "mad 9"]
)
def test_rows_beyond_any_number_are_reported_under_every_rule(blind_bench, rule):
    night_of(
        blind_bench,
        np.concatenate([clean_rows(100, seed=1), np.full((1, 3), 1e300), np.full((1, 3), -1e39)]),
    )
    result = blind_bench.score("--set", f"score.rule={rule}")
    report(result)

    assert {outlier["row"] for outlier in outliers_of(result)[:2]} == {100, 101}


def test_ranked_by_novelty_the_far_row_is_first_and_flagged(blind_bench):
    night_of(blind_bench, np.concatenate([clean_rows(200, seed=1), FAR[None]]))
    result = blind_bench.score("--set", "score.by=novelty")
    summary, page = report(result)
    first = outliers_of(result)[0]

    assert (first["row"], first["flagged"], first["score"]) == (200, True, first["novelty"])
    assert (summary["score"], summary["novel_rows"]) == ("novelty", [])
    assert "<dt>rule, by novelty</dt>" in page


def test_ranked_by_the_relative_error_the_report_says_so_and_still_names_the_blind_spot(
    blind_bench,
):
    night_of(blind_bench, np.concatenate([clean_rows(200, seed=1), FAR[None]]))
    result = blind_bench.score("--set", "score.by=relative")
    summary, page = report(result)
    first = outliers_of(result)[0]

    assert first["score"] == first["relative"]
    assert (summary["score"], [each["row"] for each in summary["novel_rows"]]) == ("relative", [200])
    assert "<dt>rule, by relative</dt>" in page
    assert "What the relative error alone would miss" in page


def test_ranked_by_the_relative_error_blind_spots_are_counted_by_it_too(blind_bench, blind):
    far_and_badly_rebuilt = FAR + np.array([0, 0, 10])  # but not for rows with so much in them
    rows = np.concatenate([np.tile(far_and_badly_rebuilt, (60, 1)), clean_rows(200, seed=1)])
    night_of(blind_bench, rows)
    summary, _ = report(
        blind_bench.score("--set", "score.by=relative", "--set", "score.rule=absolute 1e9")
    )
    _, novelties, relatives = blind.scores(rows)
    passed_over = relatives <= blind.calibration_by("relative")[-1]

    assert len(summary["novel_rows"]) == 50
    assert (
        summary["novel_rows_total"]
        == int(((novelties > blind.calibration_by("novelty")[-1]) & passed_over).sum())
        >= 60
    )


def test_a_score_that_the_model_in_force_does_not_know_is_refused_before_any_work(
    blind_bench, blind
):
    older = replace(blind.measured, usual=np.full(3, np.nan), relative_calibration=np.empty(0))
    put_in_force(blind_bench, replace(blind, measured=older))
    night_of(blind_bench, clean_rows(200, seed=1))
    refused = blind_bench.score("--set", "score.by=relative")

    assert refused.code == 2
    assert "train again, or set score.by to 'error' or 'novelty'" in refused.err
    assert not (blind_bench.workspace / "scores").exists()
    report(blind_bench.score("--set", "score.by=novelty"))


@pytest.mark.parametrize("by", SCORES)
def test_scores_and_p_values_in_the_files_are_those_of_the_model(blind_bench, blind, by):
    rows = clean_rows(300, seed=1)
    night_of(blind_bench, rows)
    blind_bench.score("--set", f"score.by={by}")
    table = pq.read_table(blind_bench.workspace / f"scores/small/date={DAY}/part-00000.parquet")
    scores = dict(zip(SCORES, blind.scores(rows), strict=True))

    assert all((table.column(score).to_numpy() == found).all() for score, found in scores.items())
    expected = p_values(blind.calibration_by(by), scores[by])
    assert (table.column("p_value").to_numpy() == expected).all()


def test_each_outlier_has_a_p_value_of_every_side(bench):
    bench.night(outliers=3)
    outliers = outliers_of(bench.score())

    assert all(
        0 < outlier[f"p_{side}"] <= 1
        for outlier in outliers
        for side in ("range", "latent", "residual")
    )
    assert all(outlier["p_residual"] == outlier["p_value"] for outlier in outliers)
    assert all(outlier["p_range"] < 0.01 for outlier in outliers[:3])


@pytest.mark.parametrize("shift", [0.1, 2.0])
def test_a_night_that_has_drifted_withholds_its_promise_and_names_what_moved(bench, shift):
    rows = rows_of(4000, 5)
    rows[:, 3] += shift * rows[:, 3].std()
    night_of(bench, rows)
    result = bench.score()
    summary, page = report(result)

    assert (result.facts["verdict"], summary["promises"], summary["drift"]["alarm"]) == (
        "DRIFT",
        False,
        True,
    )
    assert summary["promise"].startswith("No promise tonight: the bulk of the scores has moved")
    assert len(outliers_of(result)) >= 5
    assert "What has moved" in page
    if shift > 1:
        assert summary["drift"]["features"][0]["name"] == "feature 3"
        assert "feature 3" in page[page.index("What has moved") :][:1500]


def test_a_clean_night_says_nothing_of_drift_or_blind_spots(bench):
    bench.night(n=2000)
    summary, page = report(bench.score())

    assert (summary["drift"]["alarm"], summary["drift"]["features"], summary["promises"]) == (
        False,
        [],
        True,
    )
    assert "What has moved" not in page


def test_strangers_among_the_clean_rows_are_said_in_the_report(bench):
    clean = rows_of(1500, 0)
    clean[:15] += 40 * np.random.default_rng(1).choice([-1, 1], size=(15, 8))
    np.save(bench.folder / "clean.npy", clean)
    other = ["--set", "name=mixed", "--set", "train.trim=0.05"]
    trained = bench.run("train", bench.job, *other)
    bench.night()
    summary, page = report(bench.score(*other))

    assert trained.code == 0, trained.err
    assert any(
        "far above all others: clean data may hold outliers" in note for note in summary["notes"]
    )
    assert "clean data may hold outliers" in page


@pytest.mark.parametrize(
    "settings",
    [
        ["model.members=3", "model.combine=max", "train.trim=0.1"],
        ["model.prototypes=30", "model.members=2"],
        ["model.network=conv", "model.hidden=[4]", "score.by=novelty"],
    ],
)
def test_every_kind_of_network_goes_through_all_commands(bench, tmp_path, settings):
    words = [word for setting in settings for word in ("--set", setting)]
    trained = bench.run(
        "train", bench.job, "--set", "name=other", "--set", "train.epochs=3", *words
    )
    bench.night(outliers=3)
    scored = bench.run("score", bench.job, "--date", DAY, "--set", "name=other", *words)
    stored = bench.run(
        "encode", bench.job, "--set", "name=other", "--out", tmp_path / "store", *words
    )
    decoded = bench.run("decode", tmp_path / "store", "--out", tmp_path / "back.npy")

    assert [each.code for each in (trained, scored, stored, decoded)] == [0, 0, 0, 0], (
        trained.err + scored.err + stored.err
    )
    assert {outlier["row"] for outlier in outliers_of(scored)[:3]} == {0, 1, 2}
    assert np.load(tmp_path / "back.npy").shape == (1500, 8)
