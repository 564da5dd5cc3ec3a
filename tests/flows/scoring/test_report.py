"""Reports of a night: novel rows, drift and the choice of the score, through the commands."""

from __future__ import annotations

import html
import json
import shlex
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
from aemodel.scores.p_values import p_values, ranks
from aemodel.settings import SCORES
from flows.scoring.shards.summary import ScoredChunk, ShardSummary, Summarizer
from storage.models import Promotion, promote, save_bundle
from storage.sources import Chunk

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def blind():
    return blind_model(clean_rows()).model


@pytest.fixture
def blind_bench(tmp_path, blind) -> Bench:
    """A job whose model reconstructs rows far from the clean rows perfectly."""
    bench = Bench(tmp_path)
    bench.job.write_text(JOB.replace("[score]", '[score]\nalso = ["novelty", "relative"]'))
    make_champion(bench, blind)
    return bench


def make_champion(bench, model):
    models = bench.workspace / "models/small"
    model_id = save_bundle(
        models, to_files(model), work=bench.workspace / ".work/model", extra={}, run={}
    )
    promote(models, Promotion(model_id, "2026-01-01T00:00:00+00:00", by="test", why="test"))


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


def summarize(model, rows, start=0, stop=None, *, scores=None):
    """Summarize rows[start:stop] with their scores among all rows."""
    scores = {
        name: found[start:stop]
        for name, found in zip(SCORES, scores or model.scores(rows), strict=True)
    }
    chunk = Chunk(start, rows[start:stop], None, "night.npy")
    summarizer = Summarizer(model=model, by="error", threshold=0.5, keep=20)
    return summarizer.summarize(scored_chunk(model, chunk, scores))


def scored_chunk(model, chunk, scores):
    found = ranks(model.calibration_by("error"), scores["error"])
    return ScoredChunk(chunk, scores, model.scale(chunk.rows), found)


@settings(max_examples=25)
@given(cuts=st.lists(st.integers(0, 120), max_size=5), order=st.randoms(use_true_random=False))
def test_summaries_of_any_shards_merge_to_the_summary_of_the_whole(blind, cuts, order):
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
    scores = blind.scores(rows)
    whole = summarize(blind, rows, scores=scores)
    merged, *others = [summarize(blind, rows, *piece, scores=scores) for piece in pieces]
    for other in others:
        merged = merged.merge(other)

    assert (merged.tally.by_rank == whole.tally.by_rank).all()
    assert (merged.tally.above, merged.tally.rows) == (whole.tally.above, 120)
    for kind in ("best", "novel"):
        assert (getattr(merged, kind).rows == getattr(whole, kind).rows).all()
        assert (getattr(merged, kind).scores == getattr(whole, kind).scores).all()
        np.testing.assert_array_equal(getattr(merged, kind).values, getattr(whole, kind).values)
    for name, value in vars(whole.features).items():
        np.testing.assert_allclose(vars(merged.features)[name], value, rtol=1e-5, atol=1e-5)


def test_a_summary_survives_saving_and_loading(blind, tmp_path):
    rows = np.concatenate([clean_rows(30), FAR[None]])
    saved = summarize(blind, rows)
    saved.save(tmp_path / "summary.npz")
    loaded = ShardSummary.load(tmp_path / "summary.npz", 20)

    assert loaded.novel.rows.tolist() == saved.novel.rows.tolist()
    assert loaded.novel.rows[0] == 30
    assert (loaded.best.values == saved.best.values).all()
    for name, value in vars(saved.features).items():
        assert np.array_equal(vars(loaded.features)[name], value)


def test_rows_below_all_kept_rows_change_no_summary(blind):
    rows = clean_rows(120, seed=1)
    scores = blind.scores(rows)
    summarizer = Summarizer(model=blind, by="error", threshold=0.5, keep=20)
    first = summarize(blind, rows, 0, 60, scores=scores)
    later = {name: found[60:] for name, found in zip(SCORES, scores, strict=True)}
    chunk = Chunk(60, rows[60:], None, "night.npy")
    found = first.merge(summarizer.summarize(scored_chunk(blind, chunk, later), first))
    whole = summarize(blind, rows, scores=scores)

    for kind in ("best", "novel"):
        merged, expected = getattr(found, kind), getattr(whole, kind)
        assert merged.rows.tolist() == expected.rows.tolist()
        assert (merged.values == expected.values).all()


def test_a_far_row_that_is_reconstructed_perfectly_is_listed_as_novel(blind_bench):
    night_of(blind_bench, np.concatenate([clean_rows(200, seed=1), FAR[None]]))
    result = blind_bench.score()
    summary, page = report(result)
    [novel] = [each for each in summary["novel_rows"] if each["row"] == 200]

    assert 200 not in [outlier["row"] for outlier in outliers_of(result)]
    assert (summary["score"], novel["p_residual"]) == ("error", 1.0)
    assert novel["p_range"] < 0.01
    assert "What the error alone would miss" in page
    assert "outside the clean range" in page


def test_a_novel_row_is_listed_even_if_rows_with_large_errors_are_more_novel(blind_bench):
    loud = np.concatenate([1e3 + clean_rows(150, seed=1)[:, :2], np.full((150, 1), 1e3)], axis=1)
    night_of(blind_bench, np.concatenate([loud, FAR[None], clean_rows(200, seed=2)]))
    summary, _ = report(blind_bench.score())

    assert 150 in [each["row"] for each in summary["novel_rows"]]
    assert not {each["row"] for each in summary["novel_rows"]} & set(range(150))


@pytest.mark.parametrize("rule", ["quantile 0.9", "absolute 1e9"])
def test_the_list_of_novel_rows_is_limited_and_reports_total_and_chance(blind_bench, blind, rule):
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
def test_rows_with_infinite_scores_are_reported_under_every_rule(blind_bench, rule):
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


def test_a_report_ranked_by_relative_error_still_lists_the_novel_row(
    blind_bench,
):
    night_of(blind_bench, np.concatenate([clean_rows(200, seed=1), FAR[None]]))
    result = blind_bench.score("--set", "score.by=relative")
    summary, page = report(result)
    first = outliers_of(result)[0]

    assert first["score"] == first["relative"]
    assert summary["score"] == "relative"
    assert [each["row"] for each in summary["novel_rows"]] == [200]
    assert "<dt>rule, by relative</dt>" in page
    assert "What the relative error alone would miss" in page


def test_novel_rows_are_counted_by_the_score_that_ranks(blind_bench, blind):
    # A large error, but a small relative error, since the values themselves are large.
    far_with_large_error = FAR + np.array([0, 0, 10])
    rows = np.concatenate([np.tile(far_with_large_error, (60, 1)), clean_rows(200, seed=1)])
    night_of(blind_bench, rows)
    summary, _ = report(
        blind_bench.score("--set", "score.by=relative", "--set", "score.rule=absolute 1e9")
    )
    _, novelties, relatives = blind.scores(rows)
    unflagged = relatives <= blind.calibration_by("relative")[-1]

    assert len(summary["novel_rows"]) == 50
    assert (
        summary["novel_rows_total"]
        == int(((novelties > blind.calibration_by("novelty")[-1]) & unflagged).sum())
        >= 60
    )


@pytest.mark.parametrize("by", SCORES)
def test_scores_and_p_values_in_the_files_equal_those_of_the_model(blind_bench, blind, by):
    rows = clean_rows(300, seed=1)
    night_of(blind_bench, rows)
    blind_bench.score("--set", f"score.by={by}")
    table = pq.read_table(blind_bench.workspace / f"scores/small/date={DAY}/part-00000.parquet")
    scores = dict(zip(SCORES, blind.scores(rows), strict=True))

    assert all((table.column(score).to_numpy() == found).all() for score, found in scores.items())
    expected = p_values(blind.calibration_by(by), scores[by])
    assert (table.column("p_value").to_numpy() == expected).all()


def test_only_the_error_is_computed_where_nothing_else_is_asked_for(bench):
    bench.night(outliers=3)
    summary, page = report(bench.score())
    table = pq.read_table(bench.workspace / f"scores/small/date={DAY}/part-00000.parquet")

    assert table.column("error").null_count == 0
    assert [table.column(name).null_count for name in ("novelty", "relative")] == [len(table)] * 2
    assert (summary["novel_rows"], summary["novel_rows_total"]) == ([], None)
    assert "novel row" not in page


def test_an_added_score_makes_a_new_revision_with_the_same_errors(bench):
    bench.night(outliers=3)
    first = bench.score()
    second = bench.score("--set", 'score.also=["relative"]')
    table = pq.read_table(bench.workspace / f"scores/small/date={DAY}/part-00000.parquet")

    assert (first.facts["revision"], second.facts["revision"]) == (1, 2)
    assert table.column("relative").null_count == 0
    assert table.column("novelty").null_count == len(table)
    assert "all scores agree" in report(second)[1]


def test_each_outlier_has_a_p_value_for_every_side(bench):
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
def test_drift_withholds_the_promise_and_names_the_features_that_moved(bench, shift):
    rows = rows_of(4000, 5)
    rows[:, 3] += shift * rows[:, 3].std()
    night_of(bench, rows)
    result = bench.score()
    summary, page = report(result)

    assert result.facts["verdict"] == "DRIFT"
    assert summary["promises"] is False
    assert summary["drift"]["alarm"] is True
    assert summary["promise"].startswith("No guarantee tonight: the bulk of the scores has moved")
    assert len(outliers_of(result)) >= 5
    assert "What has moved" in page
    if shift > 1:
        assert summary["drift"]["features"][0]["name"] == "feature 3"
        assert "feature 3" in page[page.index("What has moved") :][:1500]


def test_a_clean_night_does_not_mention_drift_or_novel_rows(bench):
    bench.night(n=2000)
    summary, page = report(bench.score())

    assert summary["drift"]["alarm"] is False
    assert summary["drift"]["features"] == []
    assert summary["promises"] is True
    assert "What has moved" not in page


def test_the_command_in_the_report_scores_the_same_rows_again(bench, monkeypatch):
    job = bench.job.rename(bench.folder / "my job.toml")
    source = bench.night(outliers=3).rename(bench.folder / "other rows.npy")
    words = ["--source", source, "--set", "score.top_n=4", "--set", "score.memory=9 MB"]
    first = bench.run("score", job, "--date", DAY, *words)
    _, page = report(first)
    command = shlex.split(html.unescape(page.partition("<pre>")[2].partition("</pre>")[0]))
    monkeypatch.chdir(bench.folder)
    second = bench.run(*command[1:], "--force")

    assert command[:3] == ["nightglass", "score", "my job.toml"]
    assert "score.memory=9 MB" not in command
    assert second.facts["revision"] == 2
    assert outliers_of(second) == outliers_of(first)
    assert len(outliers_of(second)) == max(4, second.facts["flagged"])


@pytest.mark.parametrize("shard_bytes", ["1 MB", "256 MB"])
def test_scoring_the_training_rows_says_so_and_promises_nothing(bench, shard_bytes):
    rows = rows_of(20_000, 0)
    np.save(bench.folder / "clean.npy", rows)
    words = ["--set", f"data.shard_bytes={shard_bytes}", "--set", "train.epochs=1"]
    trained = bench.run("train", bench.job, *words, "--set", "name=other")
    assert trained.code == 0, trained.err
    bench.run("models", "promote", bench.job, trained.facts["model_id"])
    words += ["--set", "name=other", "--model", trained.facts["model_id"]]
    night_of(bench, rows)
    same, page = report(bench.score(*words))
    night_of(bench, rows[5_000:6_000][::-1])
    part, part_page = report(bench.score(*words))
    night_of(bench, rows_of(1_000, 77))
    other, _ = report(bench.score(*words))

    assert same["promise"].startswith("No guarantee tonight: these are the rows that the model was")
    assert (same["promises"], "rows that the model was trained on" in page) == (False, True)
    assert (same["drift"], page.count("--in-sample")) == (None, 2), "a warning, and why"
    assert None not in (part["drift"], other["drift"])
    assert "so this night overlaps the rows that the model was trained on" in part["promise"]
    assert (part["promises"], "overlaps the rows" in part_page) == (False, True)
    assert any("overlaps the rows" in note for note in part["notes"])
    assert "trained on" not in other["promise"]


def test_a_night_of_the_top_rule_with_flags_is_to_be_reviewed(bench):
    bench.night(n=120)
    result = bench.score("--set", "score.rule=top", "--set", "score.top_n=100")

    assert result.facts["verdict"] == "REVIEW 100"


def test_windows_are_explained_by_step_and_channel_and_not_shown_as_pictures(bench):
    windows = np.random.default_rng(0).normal(size=(600, 60, 3))
    np.save(bench.folder / "clean.npy", windows)
    words = ["--set", "name=other", "--set", "train.epochs=1"]
    trained = bench.run("train", bench.job, *words)
    night = windows[:50] + 0.001
    night[7, 12, 1] += 60
    night_of(bench, night)
    result = bench.score(*words, "--model", trained.facts["model_id"])
    _, page = report(result)

    assert outliers_of(result)[0]["cause"].startswith("step 12, channel 1 is 6")
    assert "input, reconstruction, difference" not in page
    assert not (Path(result.facts["path"]) / "evidence").exists()


def test_run_json_holds_the_command_with_its_folder(bench):
    bench.night()
    run = json.loads((Path(bench.score().facts["path"]) / "run.json").read_text())

    assert run["rerun"].startswith(
        f"cd {bench.folder} && nightglass score small.toml --date {DAY} "
    )


def test_suspect_calibration_rows_are_noted_in_the_report(bench):
    clean = rows_of(1500, 0)
    clean[:15] += 40 * np.random.default_rng(1).choice([-1, 1], size=(15, 8))
    np.save(bench.folder / "clean.npy", clean)
    other = ["--set", "name=mixed", "--set", "train.trim=0.05"]
    trained = bench.run("train", bench.job, *other)
    bench.night()
    named = ["--model", trained.facts["model_id"]]  # whether the gate promotes it is chance
    summary, page = report(bench.score(*other, *named))

    assert trained.code == 0, trained.err
    assert any(
        "far above all others: clean data may contain outliers" in note for note in summary["notes"]
    )
    assert "clean data may contain outliers" in page


@pytest.mark.parametrize(
    "settings",
    [
        ["model.members=3", "model.combine=max", "train.trim=0.1"],
        ["model.prototypes=30", "model.members=2"],
        ["model.network=conv", "model.hidden=[4]", "score.by=novelty"],
    ],
)
def test_every_kind_of_network_works_with_all_commands(bench, tmp_path, settings):
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
