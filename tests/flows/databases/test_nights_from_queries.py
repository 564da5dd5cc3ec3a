"""Jobs on queries: the same results as from files, late data, resumed and repeated runs."""

from __future__ import annotations

import shutil
import tomllib
from datetime import date, timedelta
from pathlib import Path

import pytest
from bench import DAY, Bench, tree
from databases import CLEAN, INCOMING, NIGHTS, VARIABLE, late, on_queries, sales_of
from kills import done, killed_until_done
from nights import promoted_on, run

import flows.jobs.queries
from flows.jobs.job_file import read_job
from flows.operations.prune import prune
from flows.scoring.catch_up import due_nights

pytestmark = pytest.mark.slow

ON_SQLITE = pytest.mark.parametrize("sales", ["sqlite"], indirect=True)


@pytest.fixture
def queries_run(monkeypatch) -> list[str]:
    """The queries that reach the database, by the date that they are for."""
    found: list[str] = []
    run = flows.jobs.queries._run

    def note(query):
        found.append(str(query.day or "clean"))
        return run(query)

    monkeypatch.setattr(flows.jobs.queries, "_run", note)
    return found


def test_three_nights_give_the_scores_of_the_same_rows_in_files(sales, on_local_files, tmp_path):
    bench = on_queries(tmp_path / "job")
    trained = bench.run("train", bench.job)
    from_files = on_local_files.run("models", "list", on_local_files.job).facts["current"]
    for each in (bench, on_local_files):
        assert [each.score(day=day).code for day in NIGHTS] == [0, 0, 0]

    assert trained.facts["model_id"] == from_files
    assert tree(bench.workspace / "scores") == tree(on_local_files.workspace / "scores")


def test_a_store_of_a_query_decodes_to_the_rows_of_the_database(bench, on_local_files):
    stores = [each.run("encode", each.job, "--date", DAY) for each in (bench, on_local_files)]
    decoded = []
    for number, store in enumerate(stores):
        out = bench.folder / f"{number}.parquet"
        assert bench.run("decode", store.facts["path"], "--out", out).code == 0
        decoded.append(out.read_bytes())

    assert decoded[0] == decoded[1]


@ON_SQLITE
def test_the_clean_rows_are_encoded_again_only_if_the_result_has_changed(bench, sales):
    first = bench.run("encode", bench.job)
    second = bench.run("encode", bench.job)
    sales.add("2026-01-01", late("2026-01-01"))

    assert (first.facts["written"], second.facts["written"]) == (True, False)
    assert bench.run("encode", bench.job).facts["report"]["rows"] == 910


def test_a_night_without_rows_has_no_data_until_they_arrive(bench, sales):
    empty = bench.score(day="2026-11-25")
    sales.add("2026-11-25", late("2026-11-25", n=300))

    assert (empty.code, empty.facts["verdict"]) == (3, "NO DATA")
    assert bench.score(day="2026-11-25").facts["revision"] == 2


def test_late_rows_become_a_revision_in_the_next_nightly_run(bench, sales, queries_run):
    promoted_on(bench, "2026-11-20")
    run(bench, day=date(2026, 11, 21))
    sales.add("2026-11-20", late("2026-11-20"))
    nights = run(bench).results

    assert (nights["2026-11-20"].revision, nights["2026-11-20"].rows) == (2, 310)
    assert nights[DAY].revision == 1
    assert queries_run == ["2026-11-20", "2026-11-21", "2026-11-20", "2026-11-21", DAY]


def test_a_recheck_asks_once_a_night_and_an_equal_result_writes_nothing(bench, queries_run):
    promoted_on(bench, "2026-11-20")
    run(bench)
    before = tree(bench.workspace)
    queries_run.clear()
    again = run(bench)
    once_more = run(bench)

    assert [each.written for each in (*again.results.values(), *once_more.results.values())] == [
        False,
        False,
    ]
    assert queries_run == ["2026-11-20", "2026-11-21"]
    reports = {name: content for name, content in before.items() if "snapshot.json" not in name}
    assert reports.items() <= tree(bench.workspace).items()


def test_scoring_again_asks_again_and_writes_nothing_if_nothing_has_changed(
    bench, sales, queries_run
):
    assert bench.score().facts["written"]
    assert not bench.score().facts["written"]
    sales.add(DAY, late(DAY))

    assert bench.score().facts["rows"] == 310
    assert queries_run == [DAY] * 3


def test_a_resumed_run_reads_the_same_rows_as_the_interrupted_one(
    bench, sales, queries_run, monkeypatch
):
    whole = bench.score()
    assert whole.code == 0
    expected = tree(bench.workspace / "scores")
    with monkeypatch.context() as patch:
        patch.setattr("flows.scoring.score.score_and_publish", interrupted)
        assert bench.score("--force").code == 130
    sales.add(DAY, late(DAY))
    resumed = bench.score("--force")

    assert (resumed.facts["revision"], resumed.facts["rows"]) == (2, 300)
    name = f"small/date={DAY}/part-00000.parquet"
    assert tree(bench.workspace / "scores")[name] == expected[name]
    assert queries_run == [DAY, DAY]
    assert bench.score().facts["rows"] == 310


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


@ON_SQLITE
def test_status_reads_snapshots_only(bench, sales, queries_run):
    promoted_on(bench, "2026-11-20")
    run(bench)
    sales.add("2026-11-21", late("2026-11-21"))
    queries_run.clear()

    assert due_nights(read_job(bench.job), date.fromisoformat(DAY)) == []
    assert queries_run == []


def test_a_report_names_the_query_and_not_its_snapshot(bench, sales):
    sales.run(f"update sales set a = null where id % 10000 = 7 and day = '{DAY}'")
    scored = bench.score()
    summary = (bench.workspace / f"reports/small/{DAY}/rev=1/summary.json").read_text()

    assert scored.facts["verdict"].startswith("PARTIAL")
    assert f"query of {DAY} (SELECT id, a, b, c, d, e, f, g, h FROM sales" in summary
    assert ": row 7, column a: expected a number, got nan" in summary
    assert "snapshots" not in summary


def test_rows_with_ids_need_no_order_of_their_own(bench, sales, tmp_path):
    unordered = on_queries(
        tmp_path / "job", CLEAN.replace(" ORDER BY id", ""), INCOMING.replace(" ORDER BY id", "")
    )
    first = unordered.score()
    sales.run(f"delete from sales where day = '{DAY}'")
    rows = sales_of(DAY)
    sales.add(DAY, rows.take(list(reversed(range(rows.num_rows)))))

    assert first.code == 0
    assert not unordered.score().facts["written"]


@ON_SQLITE
def test_rows_of_a_query_rank_themselves(bench):
    assert bench.run("score", bench.job, "--in-sample").facts["rows"] == 900


@ON_SQLITE
def test_old_snapshots_of_nights_are_pruned_and_those_of_clean_rows_are_kept(bench):
    bench.run("encode", bench.job)
    bench.score()
    kinds = {
        days: [each.name for each in pruned(bench, days) if "snapshots" in each.parts]
        for days in (20, 400)
    }

    assert kinds == {20: [], 400: [f"date={DAY}"]}


def pruned(bench, days: int) -> list[Path]:
    today = date.today() + timedelta(days=days)
    folders = prune(bench.job, yes=False, today=today).facts["folders"]
    return [Path(each["path"]) for each in folders]


@ON_SQLITE
def test_init_proposes_a_job_file_on_a_query(sales, tmp_path, monkeypatch):
    bench = Bench(tmp_path)
    monkeypatch.chdir(tmp_path)
    text = bench.run("init", f"sql: {CLEAN}", "--connection", VARIABLE).facts["job"]
    (tmp_path / "small.toml").write_text(text)

    assert tomllib.loads(text)["data"] == {
        "clean": f"sql: {CLEAN}",
        "incoming": "sql: SELECT … FROM sales WHERE day = {date}",
        "connection": VARIABLE,
        "id": "id",
    }
    assert read_job(bench.job).name == "sales"


@ON_SQLITE
def test_init_says_what_a_query_lacks(sales, tmp_path):
    bench = Bench(tmp_path)
    without_ids = bench.run("init", "sql: SELECT a, b FROM sales", "--connection", VARIABLE)
    without_variable = bench.run("init", "sql: SELECT a, b FROM sales")

    assert "# no column identifies rows: add ORDER BY to both queries" in without_ids.facts["job"]
    assert "--connection must be the name of an environment variable" in without_variable.err


@ON_SQLITE
def test_a_run_that_is_killed_and_resumed_ends_in_the_same_bytes(bench):
    line = ["score", bench.job, "--date", DAY]
    longest = done(line)
    expected = tree(bench.workspace)
    results = [bench.workspace / name for name in ("scores", "reports", "snapshots")]
    for folder in results:
        shutil.rmtree(folder)
    killed_until_done(line, longest=longest, results=results, kills=4)

    assert tree(bench.workspace) == expected
