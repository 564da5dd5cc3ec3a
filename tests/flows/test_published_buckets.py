"""Nights as objects of a bucket: whole or not at all, listed while missing, made good later."""

from __future__ import annotations

import pytest
from bench import DAY

from flows.jobs.job_file import read_job
from flows.publishing.nights import unpublished_nights
from storage.errors import BucketError
from storage.objects import copy
from storage.objects.paths import located


@pytest.fixture
def publishing(bench, bucket, request):
    """A job that copies its nights below a prefix of its own."""
    bench.job.write_text(
        f'{bench.job.read_text()}[publish]\nbucket = "s3://rows/{request.node.name}"\n'
    )
    bench.night(outliers=3)
    return bench


def copied(bench) -> dict[str, bytes]:
    prefix = located(read_job(bench.job).publish.bucket)
    return {str(each.relative_to(prefix)): each.open().read() for each in prefix.objects()}


def missing(bench) -> list[tuple[str, str]]:
    return [(each.night.date, each.why) for each in unpublished_nights(read_job(bench.job))]


def test_reports_and_scores_are_copied_with_the_bytes_of_the_workspace(publishing):
    assert publishing.score().code == 0
    found = copied(publishing)

    report = f"reports/small/{DAY}/rev=1"
    for file in (publishing.workspace / report).rglob("*"):
        if file.is_file():
            below = file.relative_to(publishing.workspace).as_posix()
            assert found[below] == file.read_bytes()
    scores = publishing.workspace / f"scores/small/date={DAY}/part-00000.parquet"
    assert found[f"scores/small/date={DAY}/rev=1/part-00000.parquet"] == scores.read_bytes()
    assert DAY.encode() in found["reports/small/index.html"]
    assert missing(publishing) == []


def test_a_night_without_data_is_copied_as_a_report_alone(publishing):
    publishing.score(day="2026-11-23")
    names = [*copied(publishing)]

    assert "reports/small/2026-11-23/rev=1/summary.json" in names
    assert not any(name.startswith("scores") for name in names)


def test_a_copy_that_was_cut_off_has_no_manifest_and_is_made_good(publishing, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(copy, "_copy_file", cut_off_at("outliers.parquet"))
        scored = publishing.score()
    partial = [*copied(publishing)]
    listed = publishing.run("status", publishing.job)
    publishing.score()

    assert scored.code == 0
    assert not any(name.endswith("manifest.json") for name in partial)
    assert "not in s3://rows/" in listed.out
    assert f"reports/small/{DAY}/rev=1/manifest.json" in copied(publishing)
    assert missing(publishing) == []


def cut_off_at(name: str):
    def copy_file(file, target):
        if file.name == name:
            raise BucketError(f"{target}: could not be written", passing=True)
        target.system.open_output_stream(target.key, compression=None).close()

    return copy_file


def test_a_missing_bucket_is_named_and_does_not_spoil_the_night(publishing):
    publishing.job.write_text(publishing.job.read_text().replace("s3://rows/", "s3://nowhere/"))

    assert publishing.score().code == 0
    [(day, why)] = missing(publishing)
    assert day == DAY
    assert "check the name of the bucket" in why


@pytest.mark.parametrize("place", ["results", "ftp://host/results", "s3://key:hidden@rows/results"])
def test_other_places_than_buckets_are_refused(bench, place):
    bench.job.write_text(bench.job.read_text() + f'[publish]\nbucket = "{place}"\n')
    result = bench.run("score", bench.job, "--date", DAY)

    assert result.code == 2
    assert "hidden" not in result.err
