"""What an operator reads in the pages of runs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bench import DAY, rows_of

from flows.jobs.job_file import read_job
from flows.jobs.requests import EncodeRequest, ScoreRequest, TrainRequest
from flows.orchestration.local import LocalBackend
from flows.orchestration.markdown import plain
from flows.orchestration.run_pages import night_page, nights_page, store_page, training_page
from flows.scoring.result import NightsResult
from flows.training.calibration_summary import calibration_facts, rule_promise
from flows.training.train import TrainResult

TRAINED = TrainResult(
    model_id="0123", path=Path("models/0123"), promoted=True, why="the first", epochs=2, validation_loss=0.1, rows=9, train_losses=(2.0, 1.0),
    validation_losses=(2.0, 1.5), figures={}, checks=(), calibration={}, promise="", warning="",
)  # fmt: skip
PICTURE = "](data:image/svg+xml;base64,"


def train(bench, *overrides):
    return LocalBackend().train(TrainRequest(job=str(bench.job), overrides=overrides))


def encode(bench, *overrides):
    return LocalBackend().encode(EncodeRequest(job=str(bench.job), overrides=overrides))


def score(bench, *overrides, day=DAY):
    return LocalBackend().score(
        ScoreRequest(job=str(bench.job), date=day, overrides=("data.shard_bytes=1 MB", *overrides))
    )


def test_training_shows_the_gates_verdict_loss_and_what_the_calibration_is_worth(bench):
    good, bad = (
        training_page(train(bench, "train.epochs=30")),
        training_page(train(bench, "train.epochs=1", "train.learning_rate=1e-6")),
    )

    assert good.headline.startswith("Model ")
    assert " promoted: not worse than the champion" in good.headline
    assert f"![loss per epoch{PICTURE}" in good.text
    assert "- passed: error 0." in good.text
    assert "> At most 1 % of clean rows are flagged on average" in good.text
    assert "| calibration rows | 4" in good.text
    assert good.text.endswith("/training.html`")
    assert " REFUSED: its error " in bad.headline
    assert bad.text.startswith("# Refused: model ")
    assert "- **refused**: error " in bad.text
    assert "; allowed: not surely above " in bad.text


@pytest.mark.parametrize(
    ("rule", "above", "words"),
    [
        ("quantile 0.99", "1", "> At most 1 % of clean rows are flagged on average"),
        ("quantile 0.999", "nothing", "> Ranking only: 100 calibration rows are too few"),
        ("fdr 0.1", "what the night decides", "> At most 10 % of the flagged rows are clean"),
        ("absolute 0.5", "0.5", "> A fixed threshold promises nothing. 50 of 100"),
        ("top", "what the night decides", "> The highest 5 rows of a night are flagged"),
    ],
)
def test_what_the_calibration_is_worth_is_said_before_any_night(bench, rule, above, words):
    job, scores = read_job(bench.job, [f"score.rule={rule}"]), np.arange(1, 101) / 100
    page = training_page(
        replace(
            TRAINED, calibration=calibration_facts(job, scores), promise=rule_promise(job, scores)
        )
    )

    assert f"| flags above | {above} |" in page.text
    assert words in page.text
    assert "| smallest p-value | 1 in 101 |" in page.text


def test_a_store_shows_size_loss_and_its_worst_shards(bench):
    np.save(bench.folder / "clean.npy", rows_of(17_000, 0))
    first, second = encode(bench), encode(bench)
    page, again = store_page(first), store_page(second)

    assert (
        f"{first.report['ratio']['source']:.3g} times smaller than the source, RMSE "
        in page.headline
    )
    assert "source, decoder not counted" in page.text
    assert "| error bound | none was asked for |" in page.text
    assert "![RMSE against ratio](data:image/svg+xml;base64," in page.text
    assert "| break-even with the lossless form |" in page.text
    worst = max(first.shards, key=lambda shard: shard.largest_error)
    assert (
        f"| {worst.index} | {worst.start:,} to {worst.stop:,} |"
        in page.text.partition("## The worst of 2 shards")[2].splitlines()[4]
    )
    assert page.text.endswith("/size_report.html`")
    assert again.headline == f"Nothing new: {page.headline}"
    assert again.text.replace("Nothing new: the store was already there.\n\n", "") == page.text


def test_a_store_shows_the_bound_asked_and_held_and_the_contest(bench):
    page = store_page(encode(bench, "encode.max_error=0.5"))

    assert page.headline.endswith(", max_error 0.5 held")
    assert r"| max\_error | 0.5, **held** (" in page.text
    assert "## The codecs' contest" in page.text


def test_a_night_shows_verdict_counts_histogram_rows_and_report(bench):
    bench.night(outliers=9)
    result = score(bench)
    page = night_page(read_job(bench.job, ["alert.reports_url=http://reports/"]), result)

    assert page.headline == f"{DAY}: {result.verdict}, {result.flagged} of 300 rows flagged"
    assert page.text.startswith(
        f"# {result.verdict}\n\n**{result.flagged} of 300 rows flagged** (clean rows would give 2.7, up to "
    )
    address = f"http://reports/small/{DAY}/rev=1/report.html"
    assert f"**Report:** [{address}]({address})" in page.text
    assert PICTURE in page.text
    first = pq.read_table(result.path / "outliers.parquet").slice(0, 1).to_pylist()[0]
    assert f"| 1 | {first['row']} |" in page.text
    assert "## The highest 10, all of them flagged" in page.text
    assert f"| {plain(first['cause'].partition('; ')[0])} |" in page.text
    assert "## Drift: none" in page.text
    assert len(page.text) < 200_000
    assert f"`{result.path / 'report.html'}`" in night_page(read_job(bench.job), result).text, (
        "a path where no web server shows it"
    )
    summary = result.path / "summary.json"
    older = {
        key: value
        for key, value in json.loads(summary.read_text()).items()
        if not key.startswith("strange_")
    }
    summary.write_text(json.dumps(older))
    assert night_page(read_job(bench.job), result).headline == page.headline, (
        "reports of earlier versions stay readable"
    )


def test_a_night_that_has_moved_names_the_features(bench):
    path = bench.night(n=2000)
    np.save(path, np.load(path) * 1.4)
    page = night_page(read_job(bench.job), score(bench))

    assert "# DRIFT" in page.text
    moved = page.text.partition("## What has moved")[2]
    assert "| feature | mean (clean: 0) | deviation (clean: 1) |" in moved
    assert "| feature 0 |" in moved


def test_a_night_without_data_says_what_is_missing(bench):
    page = night_page(read_job(bench.job), score(bench))

    assert page.headline == f"{DAY}: NO DATA"
    assert "nothing there" in page.text
    assert "rows flagged" not in page.text


def test_a_night_in_part_names_the_shards_that_are_missing(bench):
    path = bench.night(n=40_000)
    rows = np.load(path)
    rows[-1, 2] = np.nan
    np.save(path, rows)
    page = night_page(read_job(bench.job), score(bench))

    assert page.headline.startswith(f"{DAY}: PARTIAL 2 of 3")
    assert "## Not scored: flags are provisional" in page.text
    assert "column 2" in page.text


def test_names_from_the_data_do_not_turn_into_markup(bench):
    table = pa.table(
        {
            "id": [f"<b>|{row}" for row in range(300)],
            **{f"c{each}": rows_of(300, 5)[:, each] for each in range(8)},
        }
    )
    pq.write_table(table, bench.folder / "clean.parquet")
    (bench.folder / "nights").mkdir()
    pq.write_table(table, bench.folder / f"nights/{DAY}.parquet")
    names = ("data.clean=clean.parquet", "data.incoming=nights/{date}.parquet", "data.id=id")
    train(bench, *names, "train.epochs=2")
    page = night_page(read_job(bench.job), score(bench, *names))

    assert r"| \<b\>\|" in page.text
    assert "<b>" not in page.text


def test_several_nights_are_listed_with_the_newest_first(bench):
    bench.night()
    good = score(bench)
    nights = NightsResult(
        {"2026-11-21": ValueError("no column a|b"), DAY: replace(good, written=False)}
    )
    page = nights_page(read_job(bench.job), nights)

    assert page.headline == f"2 nights, the newest: {good.headline()}"
    newest, older = page.text.splitlines()[2:4]
    assert newest == f"| {DAY} | {good.verdict} | {good.flagged} | 300 | nothing new |"
    assert older == r"| 2026-11-21 | **FAILED** | – | – | no column a\|b |"
    assert page.text.endswith("/workspace/reports/small/index.html`")
    with_links = nights_page(read_job(bench.job, ["alert.reports_url=http://reports"]), nights)
    assert f"| [{DAY}](http://reports/small/{DAY}/rev=1/report.html) |" in with_links.text
