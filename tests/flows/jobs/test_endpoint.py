"""The endpoint of a job file: where its s3:// URIs lead, whatever the environment says."""

from __future__ import annotations

import pickle

import pytest
from bench import DAY, JOB, Bench, write_rows

from flows.errors import UsageError
from flows.jobs.job_file import read_job
from storage.objects.paths import located

URL = "https://minio.example.org:9000"


@pytest.mark.slow
def test_rows_nights_and_stores_go_to_the_endpoint_of_the_job(bucket, tmp_path, monkeypatch):
    write_rows(tmp_path / "data/clean.parquet", 1500, 0)
    write_rows(tmp_path / f"data/{DAY}.parquet", 300, 1)
    rows, endpoint = bucket.upload(tmp_path / "data", "endpoint"), bucket.endpoint
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    job = JOB.replace("clean.npy", f"{rows}/clean.parquet")
    job = job.replace("nights/{date}.npy", f"{rows}/{{date}}.parquet")
    publish = f'[publish]\nbucket = "{rows}/out"\ndelta_scores = "{rows}/lake"\n'
    (tmp_path / "small.toml").write_text(f'endpoint = "{endpoint}"\n{job}{publish}')
    bench = Bench(tmp_path)
    codes = [bench.run("train", bench.job).code, bench.score().code]
    codes += [bench.run("encode", bench.job, "--out", f"{rows}/store").code]
    listed = bench.run("status", bench.job).facts["problems"]

    assert codes == [0, 0, 0]
    assert not [each for each in listed if "not in" in each]
    out = located(rows, endpoint=endpoint)
    assert (out / "store/manifest.json").is_file()
    assert (out / f"out/reports/small/{DAY}/rev=1/manifest.json").is_file()


def test_paths_keep_their_endpoint_and_do_not_show_it():
    path = located("s3://rows/a/b.parquet", endpoint=URL)
    same = pickle.loads(pickle.dumps(located(path)))

    assert str(same.parent) == "s3://rows/a"
    assert (same.parent / "c").endpoint == URL
    assert (same.scheme, same.key) == ("s3", "rows/a/b.parquet")
    assert located("gs://rows/a", endpoint=URL).endpoint == ""


@pytest.mark.parametrize("url", ["minio:9000", "ftp://minio", "https://user:hidden@minio"])
def test_an_endpoint_is_a_url_without_credentials(tmp_path, url):
    (tmp_path / "small.toml").write_text(f'endpoint = "{url}"\n{JOB}')

    with pytest.raises(UsageError, match="endpoint must be the URL of a server") as refused:
        read_job(tmp_path / "small.toml")
    assert "hidden" not in str(refused.value)
