"""The rows that a report lists: how many, with which numbers, and what is said of the others."""

from __future__ import annotations

import json
import re
import shutil
import socket
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from bench import DAY, Bench, rows_of
from hostile import MARKUP, TEXTS, UNSEEN

from flows.scoring.alerts import top_causes
from storage.files.manifest import read_manifest, verify_folder


def outliers_of(result):
    assert result.code == 0, result.err
    return pq.read_table(Path(result.facts["path"]) / "outliers.parquet").to_pylist()


def page_of(result):
    return (Path(result.facts["path"]) / "report.html").read_text()


def attributes_in(page):
    """Names of the attributes of all tags, as a browser reads them."""
    names = set()

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            names.update(name for name, _ in attrs)

    Reader().feed(page)
    return names


def settings(*pairs):
    return [word for pair in pairs for word in ("--set", pair)]


def write_table(path, rows, ids=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {f"c{index}": column for index, column in enumerate(rows.T)}
    pq.write_table(pa.table(columns if ids is None else {"id": ids, **columns}), path)


@pytest.fixture
def tables(bench):
    """The small job on tables with an id column, and the overrides that say so."""
    ids = [f"r{index}" for index in range(1500)]
    write_table(bench.folder / "clean.parquet", rows_of(1500, 0), ids)
    common = settings("data.clean=clean.parquet", "data.id=id", "data.incoming=nights/{date}")
    assert bench.run("train", bench.job, *common).code == 0
    return bench, common


def test_top_n_rows_are_shown_and_every_listed_row_has_a_cause(bench):
    bench.night(n=600, outliers=400)
    result = bench.score(*settings("score.top_n=300", "score.alert_budget=10"))
    listed = outliers_of(result)

    assert len(listed) >= 400
    assert all(row["cause"] for row in listed)
    assert page_of(result).count('<tbody id="row-') == 300
    assert "The 300 highest scores of 600" in page_of(result)


def test_a_capped_list_says_so_and_the_scores_hold_all_rows(bench):
    bench.night(n=2000, outliers=1500)
    result = bench.score(*settings("score.top_n=7", "score.alert_budget=20"))
    summary = json.loads((Path(result.facts["path"]) / "summary.json").read_text())
    scores = pq.read_table(bench.workspace / f"scores/small/date={DAY}/part-00000.parquet")

    assert (len(outliers_of(result)), scores.num_rows) == (1000, 2000)
    assert summary["flagged"] >= 1500
    note = (
        f"the lists hold the 1,000 highest of {summary['flagged']:,} flagged rows "
        "(score.alert_budget = 20); the scores hold all rows"
    )
    assert note in summary["notes"]
    assert f"T{note[1:]}." in page_of(result)
    assert "993 more rows are in" in page_of(result)


def test_rows_are_numbered_within_their_file_and_over_all_files(tables):
    bench, common = tables
    night = bench.folder / "nights" / DAY
    write_table(night / "part-0.parquet", rows_of(200, 1), [f"a{each}" for each in range(200)])
    far = rows_of(100, 2)
    far[7] += 30 * np.sign(np.random.default_rng(1).normal(size=8))
    write_table(night / "part-1.parquet", far, [f"b{each}" for each in range(100)])
    result = bench.score(*common)
    first = outliers_of(result)[0]

    assert (first["id"], first["file"]) == ("b7", "part-1.parquet")
    assert (first["row"], first["file_row"]) == (207, 7)
    assert "<bdi>part-1.parquet</bdi>, row 7 (row 207 over all files)" in page_of(result)


def test_an_error_in_one_of_several_files_gives_both_numbers(tables):
    bench, common = tables
    night = bench.folder / "nights" / DAY
    write_table(night / "part-0.parquet", rows_of(200, 1), [f"a{each}" for each in range(200)])
    broken = rows_of(100, 2)
    broken[7, 2] = np.inf
    write_table(night / "part-1.parquet", broken, [f"b{each}" for each in range(100)])
    found = bench.score(*common)

    assert found.code != 0
    summary = (bench.workspace / f"reports/small/{DAY}/rev=1/summary.json").read_text()
    assert "part-1.parquet: row 7 (row 207 over all files), column c2" in found.err + summary


def test_an_id_of_500_000_letters_is_whole_in_the_lists_and_cut_on_the_page(tables):
    bench, common = tables
    huge = "x" * 500_000
    far = rows_of(300, 2)
    far[:5] += 30 * np.sign(np.random.default_rng(1).normal(size=(5, 8)))
    ids = [huge, *(f"b{each}" for each in range(1, 300))]
    write_table(bench.folder / "nights" / DAY / "part.parquet", far, ids)
    result = bench.score(*common)

    assert huge in [row["id"] for row in outliers_of(result)]
    assert len(page_of(result)) < 200_000
    assert "x… (500,000 characters)" in page_of(result)
    assert len(top_causes([(huge, "a cause")])[0]) < 300


def test_an_alert_counts_rows_without_a_value_of_one_column_together():
    missing = "d is missing, never so in clean rows ({}% of the error)"

    [line] = top_causes([("a", missing.format(90)), ("b", missing.format(80))])
    assert line.startswith("- 2 rows like row a: d is missing, ")


@pytest.mark.parametrize(
    ("cause", "like", "unlike"),
    [
        (
            "country 'XK' never seen in fit rows (4 levels known)",
            "'O\\'K' never seen in fit rows (5",
            "'XK' (3 % of clean",
        ),
        (
            "amount 90,000 (clean 1–99 %: 38.2 to 469)",
            "1e+10 (clean 1–99 %: 5",
            "-9 (clean 1–99 %: 1",
        ),
        (
            "t 90 (usual for this m: 1 to 9)",
            "9.5 (usual for this m: 2 to 9)",
            "0 (usual for this m: 2",
        ),
        ("x 5 where 0.1235 was expected", "7 where 6 was expected", "missing (2 % of clean rows)"),
        (
            "item 'a' where 'b' was expected (p = 0.002)",
            '"it\'s" where missing was expected (p',
            "'a' (1",
        ),
        (
            "when at 03:12 (97 % of clean rows: 07 to 20 h)",
            "at 04:00 (97",
            "on Sunday (2 % of clean",
        ),
        (
            "item 'a' with shop 'b' (0 of 1,200 clean rows, 30.2 expected by chance)",
            "'it' with when 03:12 (1 of 90 clean rows, 7.0 expected by chance), (",
            "'a' (1",
        ),
        ("item 'rare' (0.2 % of clean rows)", "'other' (0.1 % of clean rows)", "missing (2 %"),
        ("x missing (2 % of clean rows)", "missing (expected 07:10)", "is 5, above the 4 expected"),
    ],
)
def test_an_alert_counts_rows_together_in_which_the_same_is_odd(cause, like, unlike):
    feature = cause.partition(" ")[0]
    second = "x 5 where 7 was expected, 2% of the novelty"
    causes = [f"{cause}, 98% of the novelty", f"machine 'M7': {feature} {like} 9); {second}"]
    causes.append(f"{feature} {unlike} 9); {second}")

    lines = top_causes([(str(index), text) for index, text in enumerate(causes)])
    assert [line.partition(":")[0] for line in lines] == ["- 2 rows like row 0", "- row 2"]


def test_an_alert_tells_the_same_oddity_in_two_columns_apart():
    new = "{} 'XK' never seen in fit rows (4 levels known), 98% of the novelty; x missing (2 %)"

    assert len(top_causes([("a", new.format("country")), ("b", new.format("region"))])) == 2


def test_a_row_of_a_night_ranked_by_novelty_is_explained_by_its_novelty(bench):
    bench.night(outliers=3)
    result = bench.score(*settings("score.by=novelty"))

    assert all("of the novelty)" in row["cause"] for row in outliers_of(result)[:3])
    assert "Shares are of the novelty." in " ".join(page_of(result).split())
    assert "Shares are of the error." not in " ".join(page_of(result).split())


def test_the_text_on_p_values_agrees_with_the_top_row(bench):
    bench.night(outliers=1)
    result = bench.score()
    n = json.loads((Path(result.facts["path"]) / "summary.json").read_text())["calibration_rows"]
    text = " ".join(page_of(result).split())

    assert outliers_of(result)[0]["p_value"] == 1 / (n + 1)
    assert "A p-value is (1 + k) / (n + 1), where k of the n calibration rows" in text
    assert f"the smallest possible is {1 / (n + 1):.4g}." in text


def test_nights_before_are_in_the_page_and_in_no_other_file(bench, tmp_path):
    alone = Bench(shutil.copytree(bench.folder, tmp_path / "alone" / "job"))
    bench.night("2026-11-20", outliers=9)
    before = bench.score(day="2026-11-20").facts["flagged"]
    found = []
    for each in (bench, alone):
        each.night(outliers=3)
        tonight = each.score().facts
        found.append(read_manifest(Path(tonight["path"]), "report")["files"])
        assert verify_folder(Path(tonight["path"])) == []
    flagged = rf'<td class="tonight">{tonight["flagged"]}</td>\s*<td>{before}</td>'
    page = (bench.workspace / "reports/small" / DAY / "rev=1/report.html").read_text()

    assert {name for name in found[0] if found[0][name] != found[1][name]} == {"report.html"}
    assert '<a href="../../2026-11-20/rev=1/report.html"' in page
    assert re.search(rf'"row">flagged</th>\s*{flagged}', page)
    assert "history.svg" not in page


def test_rows_that_repeat_others_are_counted_beside_clean_ones(bench):
    rows = np.load(bench.night(n=300))
    np.save(bench.night(n=300), np.concatenate([rows, rows[:100]]))
    checks = json.loads((Path(bench.score().facts["path"]) / "summary.json").read_text())["checks"]

    assert checks["rows that repeat another"] == "25 % (of clean rows: about 0 %)"


def test_the_page_names_seed_and_versions_but_neither_host_nor_folder(bench):
    bench.night()
    assert bench.run("train", bench.job, *settings("train.seed=41")).code == 0
    page = page_of(bench.score())

    assert '<td class="soft">seed of training</td><td class="break">41</td>' in page
    assert f"PyTorch {torch.__version__.split('+')[0]}, NumPy {np.__version__}" in page
    assert socket.gethostname() not in page
    assert str(bench.folder) not in page


def test_a_night_keeps_its_page_when_later_and_earlier_nights_are_scored(bench):
    bench.night(outliers=3)
    page = page_of(bench.score())
    for day in ("2026-11-20", "2026-11-23"):
        bench.night(day)
        assert bench.score(day=day).code == 0

    assert page_of(bench.score()) == page


def test_the_first_screen_names_owner_zone_and_kinds_of_rows(bench):
    bench.night(outliers=12)
    result = bench.score(
        *settings("report.owner=Grid team <ext. 210>", "schedule.timezone=Asia/Tokyo")
    )
    summary = json.loads((Path(result.facts["path"]) / "summary.json").read_text())
    page = page_of(result)

    assert "owner: <bdi>Grid team &lt;ext. 210&gt;</bdi>" in page
    assert f"data of {DAY} (Asia/Tokyo)" in page
    assert all(f'id="kind-{group["id"]}"' in page for group in summary["groups"][:12])


def test_hostile_ids_and_owners_are_only_text_in_the_page(tables):
    bench, common = tables
    ids = list(filter(None, TEXTS))
    write_table(bench.folder / "nights" / DAY / "a.parquet", rows_of(len(ids), 5) + 50, ids)
    owner = f"report.owner='{MARKUP[0]}'"
    page = page_of(bench.score(*common, *settings("score.top_n=200", owner)))
    hostile = [tag for tag in ("form", "input", "button", "iframe") if f"<{tag}" in page]

    assert hostile == []
    assert page.count("<script") == page.count("<script>") == 1  # that of the table
    assert not [each for each in attributes_in(page) if each.startswith("on")]
    assert not [each for each in UNSEEN if each not in "\r\n\t" and each in page]
    assert all(each == "data" for each in re.findall(r'<img[^>]* src="(.{4})', page))
