"""Nights as rows of Delta tables: replaced as a whole, listed while missing, made good later."""

from __future__ import annotations

import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bench import DAY

from flows.jobs.job_file import read_job
from flows.publishing.delta import ROWS
from flows.publishing.nights import unpublished_nights
from storage.objects import systems
from storage.objects.lake_access import delta_options
from storage.objects.paths import located

deltalake = pytest.importorskip("deltalake")
PLACES = pytest.mark.parametrize("lake", ["local", "bucket"], indirect=True)
IN_BUCKET = pytest.mark.parametrize("lake", ["bucket"], indirect=True)


@pytest.fixture
def lake(request, tmp_path, bucket, monkeypatch):
    """The path or URI of a folder of tables."""
    monkeypatch.setattr(systems, "MOST_ATTEMPTS", 1)
    name = request.node.name.replace("[", "-").rstrip("]")
    return f"s3://rows/{name}" if request.param == "bucket" else str(tmp_path / "lake")


@pytest.fixture
def publishing(bench, lake):
    """A job that writes its nights into two tables."""
    tables = f'delta_scores = "{lake}/scores"\ndelta_outliers = "{lake}/outliers"\n'
    bench.job.write_text(f"{bench.job.read_text()}[publish]\n{tables}")
    bench.night(outliers=3)
    return bench


def opened(lake, name="scores"):
    table = f"{lake}/{name}"
    return deltalake.DeltaTable(table, storage_options=delta_options(located(table)))


def rows(lake, name="scores", order="row") -> pa.Table:
    return (
        opened(lake, name).to_pyarrow_table().sort_by([("date", "ascending"), (order, "ascending")])
    )


def missing(bench) -> list[str]:
    return [each.why for each in unpublished_nights(read_job(bench.job))]


@PLACES
def test_scores_and_listed_rows_of_a_night_are_in_the_tables(publishing, lake):
    assert publishing.score().code == 0
    part = pq.read_table(publishing.workspace / f"scores/small/date={DAY}/part-00000.parquet")
    listed = pq.read_table(publishing.workspace / f"reports/small/{DAY}/rev=1/outliers.parquet")
    scores, outliers = rows(lake), rows(lake, "outliers", "rank")

    numbers = ["row", "error", "novelty", "relative", "p_value"]
    assert scores.select(numbers).equals(part.select(numbers))
    assert outliers.column("cause").to_pylist() == listed.column("cause").to_pylist()
    assert {*scores.column("job").to_pylist()} == {"small"}
    assert {*map(str, scores.column("date").to_pylist())} == {DAY}
    assert missing(publishing) == []


@PLACES
def test_a_new_revision_replaces_the_rows_of_its_night_only_in_one_commit(publishing, lake):
    publishing.score()
    publishing.night("2026-11-23", n=100)
    publishing.score(day="2026-11-23")
    publishing.night(n=250, seed=9)
    publishing.score()
    publishing.score()  # nothing new

    counts = rows(lake).group_by(["date", "revision"]).aggregate([([], "count_all")]).to_pylist()
    found = {(str(each["date"]), each["revision"]): each["count_all"] for each in counts}
    assert found == {(DAY, 2): 250, ("2026-11-23", 1): 100}
    assert opened(lake).version() == 2
    assert opened(lake, "outliers").version() == 2


@PLACES
def test_jobs_share_a_table(publishing, lake):
    publishing.score()
    other = publishing.folder / "small.toml"
    other.write_text(other.read_text().replace('name = "small"', 'name = "other"'))
    assert publishing.run("train", other).code == 0
    publishing.score()

    jobs = rows(lake).column("job").to_pylist()
    assert (jobs.count("small"), jobs.count("other")) == (300, 300)


@PLACES
def test_a_write_that_breaks_changes_nothing_and_is_made_good(publishing, lake, monkeypatch):
    publishing.score()
    publishing.night(n=250, seed=9)
    with monkeypatch.context() as broken:
        broken.setitem(ROWS, "scores", breaking(ROWS["scores"]))
        scored = publishing.score()
    before, listed = rows(lake), publishing.run("status", publishing.job)
    publishing.score()

    assert scored.code == 0
    assert (before.num_rows, opened(lake, "outliers").version()) == (300, 1)
    assert "not in the Delta tables" in listed.out
    assert rows(lake).num_rows == 250
    assert missing(publishing) == []


def breaking(rows_of):
    """Rows whose file cannot be read to its end."""

    def broken(night, table):
        found = rows_of(night, table)

        def batches():
            yield next(found.batches)
            raise OSError(5, "Input/output error")

        return type(found)(found.table, found.schema, found.key, batches())

    return broken


@IN_BUCKET
@pytest.mark.parametrize(
    ("fault", "advice"),
    [
        ((403, "AccessDenied"), "check the credentials and their permissions, then rerun"),
        ((400, "ExpiredToken"), "the credentials have expired; renew them, then rerun"),
        ((503, "SlowDown"), "the service is overloaded or failing; rerun later"),
        ((0, ""), "check the network and the endpoint, then rerun"),
    ],
    ids=str,
)
def test_a_service_that_refuses_leaves_the_night_listed_without_secrets(
    publishing, bucket, lake, fault, advice
):
    with bucket.failing(lambda _: fault):
        scored = publishing.score()
    [why] = missing(publishing)

    assert scored.code == 0
    assert advice in why
    assert "token" not in why.lower().replace("expiredtoken", "")
    publishing.score()
    assert missing(publishing) == []


@PLACES
def test_a_table_with_other_partitions_is_refused_and_named(publishing, lake):
    options = delta_options(located(lake))
    deltalake.write_deltalake(f"{lake}/scores", pa.table({"a": [1]}), storage_options=options)
    publishing.score()
    [why] = missing(publishing)

    assert f"{lake}/scores: could not be written" in why
    assert "must be partitioned by job and date" in why


@pytest.mark.parametrize("lake", ["local"], indirect=True)
def test_the_extra_is_named_where_it_is_missing(publishing, lake, monkeypatch):
    monkeypatch.setitem(sys.modules, "deltalake", None)
    publishing.score()
    [why] = missing(publishing)

    assert "pip install 'nightglass[deltalake]'" in why


def test_one_table_for_both_is_refused(bench):
    bench.job.write_text(
        bench.job.read_text() + '[publish]\ndelta_scores = "lake"\ndelta_outliers = "lake"\n'
    )
    result = bench.score()

    assert result.code == 2
    assert "publish.delta_scores and publish.delta_outliers must be two tables" in result.err
