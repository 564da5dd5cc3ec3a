"""Tables with categories and times, from training to the report."""

from __future__ import annotations

import datetime as dt
import json

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from bench import DAY, causes_by, trained_table

from flows.scoring.alerts import without_figures

pytestmark = pytest.mark.slow

JOB = """
name = "cards"
[data]
clean = "clean.parquet"
incoming = "nights/{date}.parquet"
id = "tx"
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
epochs = 25
batch_size = 128
learning_rate = 5e-3
calibration = 0.3
[score]
by = "novelty"
rule = "quantile 0.99"
top_n = 20
"""
SHOPS = {"grocery": ("food", "drink"), "fuel": ("diesel", "petrol"), "travel": ("train", "flight")}
COUNTRIES = ["DE", "FR", "IT", "ES", None]


def payments(n, seed):
    """Payments whose item follows from the shop, and whose amount depends on it."""
    random = np.random.default_rng(seed)
    shops = [list(SHOPS)[i] for i in random.choice(3, n, p=[0.6, 0.3, 0.1])]
    items = [SHOPS[shop][i] for shop, i in zip(shops, random.integers(0, 2, n), strict=True)]
    start = dt.datetime(2026, 10, 1)
    times = random.integers(0, 40, n) * 24 * 60 + random.integers(8 * 60, 20 * 60, n)
    return {
        "tx": [f"T{seed}-{i}" for i in range(n)],
        "shop": shops,
        "item": items,
        "country": [COUNTRIES[i] for i in random.choice(5, n, p=[0.5, 0.2, 0.15, 0.1, 0.05])],
        "online": (random.random(n) < 0.3).tolist(),
        "amount": (np.exp(random.normal(3, 0.5, n)) * [1 + len(s) for s in shops]).tolist(),
        "when": [start + dt.timedelta(minutes=int(each)) for each in times],
        "run": ["2026-11-22"] * n,
    }


def planted():
    """A night of clean payments whose first rows are odd, each in one column."""
    rows = payments(300, 7)
    rows["country"][0] = "XK <b>"
    rows["item"][1] = "flight" if rows["shop"][1] != "travel" else "food"
    rows["amount"][2] = 90_000.0
    rows["when"][3] = rows["when"][3].replace(hour=3, minute=12)
    return rows


@pytest.fixture(scope="module")
def cards(tmp_path_factory):
    """A folder with a trained job and one scored night."""
    folder = tmp_path_factory.mktemp("cards")
    return trained_table(folder, JOB, payments(3_000, 1), planted())


def report(bench, name, date=DAY):
    return bench.folder / f"workspace/reports/cards/{date}/rev=1/{name}"


def causes(bench, date=DAY):
    return causes_by("id", report(bench, "", date))


def test_training_lists_every_column_with_its_kind_and_why_others_are_not_read(cards):
    _, trained, _ = cards
    facts = trained.facts
    assert facts["read_as"] == {
        "read as category": "shop, item, country, online",
        "read as number": "amount",
        "read as hour and weekday": "when",
    }
    assert facts["not_read"]["columns not read"] == "run (one time in all rows: '2026-11-22')"


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (0, "country 'XK <b>' never seen in fit rows (4 levels known)"),
        (1, "item '"),
        (2, "amount 90,000 (clean 1–99 %: "),
        (3, "when at 03:12 ("),
    ],
)
def test_planted_rows_are_listed_and_the_cause_names_the_odd_column_first(cards, row, words):
    found = causes(cards[0])
    assert found[f"T7-{row}"].startswith(words)


def test_an_alert_reduces_every_cause_to_a_column_and_what_is_odd(cards):
    found = {without_figures(cause) for cause in causes(cards[0]).values()}

    assert {"country unseen", "item unexpected", "amount above", "when hour"} <= found
    assert not [words for words in found if "%" in words]


def test_the_page_shows_levels_as_text_and_never_as_markup(cards):
    page = report(cards[0], "report.html").read_text(encoding="utf-8")
    assert "XK &lt;b&gt;" in page
    assert "XK <b>" not in page


def test_a_long_cause_wraps_instead_of_running_out_of_the_page(cards):
    page = report(cards[0], "report.html").read_text(encoding="utf-8")
    assert ".rows summary { cursor: pointer; overflow-wrap: anywhere;" in page
    assert "XK &lt;b&gt;" in page.partition("<summary")[2].partition("</summary>")[0]


def test_inspect_of_the_model_lists_kinds_and_ignored_columns(cards):
    bench, trained, _ = cards
    found = bench.run("inspect", trained.facts["path"]).facts
    assert found["read as category"] == "shop, item, country, online"
    assert found["read as hour and weekday"] == "when"
    assert found["columns not read"] == "run (one time in all rows: '2026-11-22')"


def test_inspect_of_the_rows_lists_each_column_once(cards):
    bench, _, _ = cards
    found = bench.run("inspect", bench.folder / "clean.parquet").facts
    assert found["columns"] == ["shop", "item", "country", "online", "amount", "when"]


def test_a_night_in_csv_with_reordered_and_new_columns_scores_the_same(cards):
    bench, _, _ = cards
    rows = planted()
    rows["when"] = [str(each) for each in rows["when"]]
    table = pa.table({"new": ["q"] * 300, **dict(reversed(rows.items()))})
    pa_csv.write_csv(table, bench.folder / "night.csv")
    result = bench.run("score", bench.job, "--source", bench.folder / "night.csv")
    assert result.code == 0, result.err
    first, second = (
        pq.read_table(path / "part-00000.parquet", columns=["id", "novelty"])
        for path in sorted((bench.folder / "workspace/scores/cards").glob("date=*"))
    )
    np.testing.assert_allclose(first["novelty"], second["novelty"], rtol=1e-9)
    assert first["id"].to_pylist() == second["id"].to_pylist()


def test_a_column_of_another_kind_stops_the_night_and_is_named(cards):
    bench, _, _ = cards
    rows = payments(50, 3)
    del rows["shop"]
    rows["amount"] = ["much"] * 50
    pq.write_table(pa.table(rows), bench.folder / "night.parquet")
    result = bench.run("score", bench.job, "--source", bench.folder / "night.parquet")
    assert result.code == 2
    assert "missing: 'shop'" in result.err
    assert "'amount' (string, not a number)" in result.err


def test_retraining_on_the_same_rows_gives_the_same_model(cards):
    bench, trained, _ = cards
    again = bench.run("train", bench.job)
    assert again.facts["model_id"] == trained.facts["model_id"]


def test_a_second_model_passes_the_gate(cards):
    bench, _, _ = cards
    pq.write_table(pa.table(payments(3_200, 1)), bench.folder / "clean.parquet")
    result = bench.run("train", bench.job)
    pq.write_table(pa.table(payments(3_000, 1)), bench.folder / "clean.parquet")
    assert result.code == 0, result.err
    assert result.facts["promoted"], result.facts["why"]


def test_a_network_that_cannot_hold_categories_is_refused(cards):
    bench, _, _ = cards
    result = bench.run(
        "train", bench.job, "--set", "model.network=conv", "--set", "model.prototypes=0"
    )
    assert result.code == 2
    assert "model.network must be 'dense' for a table with categories, times, or" in result.err


def test_the_summary_holds_only_json(cards):
    json.loads(
        report(cards[0], "summary.json").read_text(encoding="utf-8"), parse_constant=pytest.fail
    )
