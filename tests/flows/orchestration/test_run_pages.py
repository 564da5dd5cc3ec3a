"""The Markdown artifacts of runs."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bench import DAY, rows_of
from hostile import TEXTS
from markdown_it import MarkdownIt

from flows.errors import FlowError
from flows.jobs.job_file import read_job
from flows.jobs.requests import EncodeRequest, ScoreRequest, TrainRequest
from flows.orchestration.artifacts import outlier_cells
from flows.orchestration.local import LocalBackend
from flows.orchestration.run_pages.markdown import escape, markdown_table
from flows.orchestration.run_pages.nights import night_markdown, nights_markdown
from flows.orchestration.run_pages.store import store_markdown
from flows.orchestration.run_pages.training import training_markdown
from flows.scoring.result import NightsResult
from flows.training.calibration_summary import calibration_facts, rule_promise
from flows.training.result import TrainResult
from storage.visible_text import visible_name

TRAINED = TrainResult(
    model_id="0123",
    path=Path("models/0123"),
    promoted=True,
    why="the first",
    epochs=2,
    validation_loss=0.1,
    rows=9,
    train_losses=(2.0, 1.0),
    validation_losses=(2.0, 1.5),
    figures={},
    checks=(),
    calibration={},
    promise="",
    warning="",
    read_as={},
    not_read={},
)
PLOT = "](data:image/svg+xml;base64,"


def train(bench, *overrides):
    return LocalBackend().train(TrainRequest(job=str(bench.job), overrides=overrides))


def encode(bench, *overrides):
    return LocalBackend().encode(EncodeRequest(job=str(bench.job), overrides=overrides))


def score(bench, *overrides, day=DAY):
    request = ScoreRequest(
        job=str(bench.job), date=day, overrides=("data.shard_bytes=1 MB", *overrides)
    )
    return LocalBackend().score(request)


def test_a_promoted_model_shows_the_gates_checks_loss_and_calibration(bench):
    page = training_markdown(train(bench, "train.epochs=30"))

    assert page.description.startswith("Model ")
    assert " promoted: not worse than the champion" in page.description
    assert f"![loss per epoch{PLOT}" in page.markdown
    assert "- passed: error 0." in page.markdown
    assert "> At most 1 % of clean rows are flagged on average" in page.markdown
    assert "| calibration rows | 4" in page.markdown
    assert page.markdown.endswith("/training.html`")


def test_a_refused_model_shows_the_check_that_failed(bench):
    page = training_markdown(train(bench, "train.epochs=1", "train.learning_rate=1e-6"))

    assert " REFUSED: its error " in page.description
    assert page.markdown.startswith("# Refused: model ")
    assert "- **refused**: error " in page.markdown
    assert "; allowed: not significantly above " in page.markdown


@pytest.mark.parametrize(
    ("rule", "above", "promise"),
    [
        ("quantile 0.99", "1", "> At most 1 % of clean rows are flagged on average"),
        ("quantile 0.999", "nothing", "> Ranking only: 100 calibration rows are too few"),
        ("fdr 0.1", "what the night decides", "> At most 10 % of the flagged rows are clean"),
        ("absolute 0.5", "0.5", "> A fixed threshold carries no guarantee. 50 of 100"),
        ("top", "what the night decides", "> The highest 5 rows of a night are flagged"),
    ],
)
def test_the_promise_of_the_calibration_is_shown_before_any_night(bench, rule, above, promise):
    job, scores = read_job(bench.job, [f"score.rule={rule}"]), np.arange(1, 101) / 100
    facts, promised = calibration_facts(job, scores), rule_promise(job, scores)
    page = training_markdown(replace(TRAINED, calibration=facts, promise=promised))

    assert f"| flags above | {above} |" in page.markdown
    assert promise in page.markdown
    assert "| smallest p-value | 1 in 101 |" in page.markdown


def test_a_store_shows_size_error_and_its_worst_shards(bench):
    np.save(bench.folder / "clean.npy", rows_of(17_000, 0))
    result = encode(bench)
    page = store_markdown(result)
    ratio = f"{result.report['ratio']['source']:.3g}"
    worst = max(result.shards, key=lambda shard: shard.largest_error)
    shard_table = page.markdown.partition("## Largest errors among 2 shards")[2].splitlines()

    assert f"{ratio} times smaller than the source, RMSE " in page.description
    assert "source, decoder not counted" in page.markdown
    assert "| error bound | none requested |" in page.markdown
    assert f"![RMSE against ratio{PLOT}" in page.markdown
    assert "| break-even with lossless compression |" in page.markdown
    assert f"| {worst.index} | {worst.start:,} to {worst.stop:,} |" in shard_table[4]
    assert page.markdown.endswith("/size_report.html`")


def test_an_existing_store_shows_the_same_page_marked_as_up_to_date(bench):
    first, second = store_markdown(encode(bench)), store_markdown(encode(bench))
    note = "Up to date: store already exists.\n\n"

    assert second.description == f"Up to date: {first.description}"
    assert note in second.markdown
    assert second.markdown.replace(note, "") == first.markdown


def test_a_bounded_store_shows_whether_the_bound_held_and_the_codec_selection(bench):
    page = store_markdown(encode(bench, "encode.max_error=0.5"))

    assert page.description.endswith(", max_error 0.5 held")
    assert r"| max_error | 0.5, **held** (" in page.markdown
    assert "## Codec selection" in page.markdown


def test_a_night_shows_verdict_counts_histogram_top_rows_and_report(bench):
    bench.night(outliers=9)
    result = score(bench)
    page = night_markdown(read_job(bench.job, ["alert.reports_url=http://reports/"]), result)
    url = f"http://reports/small/{DAY}/rev=1/report.html"
    first = pq.read_table(result.path / "outliers.parquet").slice(0, 1).to_pylist()[0]
    flagged = f"{result.flagged} of 300 rows flagged"

    assert page.description == f"{DAY}: {result.verdict}, {flagged}"
    assert page.markdown.startswith(
        f"# {result.verdict}\n\n**Look at the rows below, worst first.** Report: [{url}]({url})\n\n"
        f"**{flagged}** (expected of clean rows: 2.7, at most "
    )
    assert PLOT in page.markdown
    assert f"| 1 | {first['row']} |" in page.markdown
    assert "## Top 10 rows, all flagged" in page.markdown
    assert f"| {escape(first['cause'].partition('; ')[0])} |" in page.markdown
    assert "## Drift: none" in page.markdown
    assert len(page.markdown) < 200_000


def test_without_a_web_server_a_night_shows_the_path_of_its_report(bench):
    bench.night()
    result = score(bench)

    page = night_markdown(read_job(bench.job), result)
    assert f"`{result.path / 'report.html'}`" in page.markdown


def test_a_night_with_drift_names_the_features(bench):
    path = bench.night(n=2000)
    np.save(path, np.load(path) * 1.4)
    page = night_markdown(read_job(bench.job), score(bench))
    drift = page.markdown.partition("## Drift\n")[2]

    assert "# DRIFT" in page.markdown
    assert "| feature | mean (clean: 0) | deviation (clean: 1) |" in drift
    assert "| feature 0 |" in drift


def test_a_night_without_data_names_the_missing_input(bench):
    page = night_markdown(read_job(bench.job), score(bench))

    assert page.description == f"{DAY}: NO DATA"
    assert "no files found" in page.markdown
    assert "rows flagged" not in page.markdown


def test_a_partial_night_names_the_failed_shards(bench):
    path = bench.night(n=40_000)
    rows = np.load(path)
    rows[31_250:, 2] = np.nan  # the third shard
    np.save(path, rows)
    page = night_markdown(read_job(bench.job), score(bench))

    assert page.description.startswith(f"{DAY}: PARTIAL 2 of 3")
    assert "## Not scored: flags are provisional" in page.markdown
    assert "column 2" in page.markdown


def test_names_from_the_data_are_escaped(bench):
    columns = {f"c{index}": rows_of(300, 5)[:, index] for index in range(8)}
    table = pa.table({"id": [f"<b>|{row}" for row in range(300)], **columns})
    pq.write_table(table, bench.folder / "clean.parquet")
    (bench.folder / "nights").mkdir()
    pq.write_table(table, bench.folder / f"nights/{DAY}.parquet")
    names = ("data.clean=clean.parquet", "data.incoming=nights/{date}.parquet", "data.id=id")
    train(bench, *names, "train.epochs=2")
    page = night_markdown(read_job(bench.job), score(bench, *names))

    assert r"| \<b\>\|" in page.markdown
    assert "<b>" not in page.markdown


HOSTILE = [
    "<form action=//evil><input name=password></form>",
    "<img src=//evil/a.png onerror=alert(1)>",
    "![a](http://evil/a.png)",
    "[click](javascript:alert(1))",
    "&lt;b&gt; &#60;b&#62;",
    "**bold** _em_ __strong__ ~~gone~~ `code`",
    "- item",
    "+ item",
    "1. item",
    "12) item",
    "# heading",
    "> quote",
    "---",
    "| a | b |",
    "a\\b \\<b>",
    "sensor_17 a_b_c -5 1.5",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_untrusted_text_is_shown_as_it_is(text):
    """By a CommonMark parser that lets HTML through, as Prefect's pages do."""
    shown = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(escape(text))

    assert unescape(shown.removeprefix("<p>").removesuffix("</p>\n")) == text
    assert "<" not in shown.removeprefix("<p>").removesuffix("</p>\n")


@pytest.mark.parametrize("text", ["see http://evil/a", "WWW.evil.com", "ftp://evil", "a@evil.com"])
def test_addresses_in_untrusted_text_do_not_become_links(text):
    assert escape(text) != text
    assert not re.search(r"(?i)https?://|ftp://|www\.|[a-z]@", escape(text))


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: ascii(text[:30]))
def test_ids_and_causes_are_only_text_in_the_cells_of_tables(text):
    row = {"rank": 1, "id": text, "score": 1.0, "p_value": None, "flagged": True, "cause": text}
    cells = outlier_cells(row)
    table = markdown_table(("id", "cause"), [(cells["id"], cells["cause"])], "ll")
    shown = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(table)
    names = re.findall(r"<td[^>]*>(.*?)</td>", shown)

    assert set(re.findall(r"</?([a-z]+)", shown)) <= {"table", "thead", "tbody", "tr", "th", "td"}
    assert unescape(names[0]).replace("\\", "") == visible_name(" ".join(text.split())).replace(
        "\\", ""
    )
    assert (cells["rank"], cells["score"], cells["p_value"]) == (1, "1", "")


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: ascii(text[:30]))
def test_hostile_text_is_only_text_in_the_markdown_of_a_run(text):
    shown = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(escape(text))

    assert set(re.findall(r"</?([a-z]+)", shown)) <= {"p"}


def test_nights_are_listed_newest_first(bench):
    bench.night()
    good = score(bench)
    nights = NightsResult(
        {"2026-11-21": FlowError("no column a|b"), DAY: replace(good, written=False)}
    )
    page = nights_markdown(read_job(bench.job), nights)
    newest, older = page.markdown.splitlines()[2:4]

    assert page.description == f"2 nights, newest: {good.headline()}"
    assert newest == f"| {DAY} | {good.verdict} | {good.flagged} | 300 | up to date |"
    assert older == r"| 2026-11-21 | **FAILED** | – | – | no column a\|b |"
    assert page.markdown.endswith("/workspace/reports/small/index.html`")


def test_the_list_of_nights_links_to_their_reports(bench):
    bench.night()
    job = read_job(bench.job, ["alert.reports_url=http://reports"])
    page = nights_markdown(job, NightsResult({DAY: score(bench)}))

    assert f"| [{DAY}](http://reports/small/{DAY}/rev=1/report.html) |" in page.markdown
