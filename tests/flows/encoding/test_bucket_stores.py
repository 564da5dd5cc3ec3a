"""Latent stores in a bucket: the bytes of a local one, whole or not there, read by ranges."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from bench import rows_of, tree
from buckets import CUT

from storage.objects import copy, systems
from storage.objects.paths import located

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def small_codec_sample(monkeypatch):
    """Make codec selection, which is not tested here, fast."""
    monkeypatch.setattr("flows.encoding.plan.SAMPLE_VALUES", 1 << 13)


@pytest.fixture
def store(bucket, request):
    """The URI of a store that does not exist yet."""
    return f"s3://rows/{request.node.name}"


@pytest.fixture
def impatient(monkeypatch):
    """Make clients give up at once."""
    monkeypatch.setattr(systems, "MOST_ATTEMPTS", 1)
    systems.file_system.cache_clear()
    yield
    systems.file_system.cache_clear()


def encode(bench, out, *settings):
    if not (night := bench.folder / "night.npy").exists():
        np.save(night, rows_of(60_000, 3))
    words = [word for each in settings for word in ("--set", f"encode.{each}")]
    return bench.run("encode", bench.job, "--source", night, "--out", out, *words)


def decode(bench, store, *words):
    back = bench.folder / "back.npy"
    result = bench.run("decode", store, "--out", back, *words)
    assert result.code == 0, result.err
    return np.load(back)


def objects(store) -> dict[str, bytes]:
    below = located(store)
    return {name: (below / name).read_bytes() for name in below.sizes()}


@pytest.mark.parametrize("how", ["format=hdf5", "format=parquet", "max_error=0.01"])
def test_a_store_in_a_bucket_has_the_bytes_of_a_local_one_and_decodes_alike(bench, store, how):
    local = bench.folder / "local"
    assert [encode(bench, each, how).code for each in (local, store)] == [0, 0]
    found = objects(store)

    assert found.pop("run.json")
    assert found == tree(local)
    assert np.array_equal(decode(bench, store), decode(bench, local))
    assert bench.run("verify", store).facts["ok"]
    assert bench.run("inspect", store).facts["files"] == len(found) - 1
    assert not [*bench.workspace.glob(".work/*encode*/*")]


def test_single_rows_are_decoded_from_their_shard_alone(bench, bucket, store):
    encode(bench, store, "format=parquet")
    with bucket.failing(lambda _: None) as requests:
        found = decode(bench, store, "--rows", "40000:40003")

    shards = {request.rpartition("/")[2] for request in requests if "shard-" in request}
    assert found.shape == (3, 8)
    assert shards == {"shard-00002.parquet"}


def test_a_store_in_a_bucket_is_kept_and_checked_by_the_next_run(bench, bucket, store):
    encode(bench, store)
    again = encode(bench, store)
    bucket.put(f"{store.removeprefix('s3://rows/')}/shard-00001.h5", b"other bytes")
    damaged = encode(bench, store)

    assert again.code == 0
    assert not again.facts["written"]
    assert "shard-00001.h5: does not match its checksum" in damaged.err
    assert bench.run("verify", store).facts["problems"][0]["file"] == "shard-00001.h5"


def test_objects_of_another_store_or_of_none_are_left_alone(bench, bucket, store):
    encode(bench, store)
    other = encode(bench, store, "format=parquet")
    foreign = encode(bench, located(bucket.put(f"{bench.folder.name}/rows.csv", b"a\n")).parent)

    assert [other.code, foreign.code] == [2, 2]
    assert "exists, and is not the store of this input" in other.err
    assert "exists, and is not the store of this input" in foreign.err


def test_an_upload_that_was_cut_off_is_no_store_and_goes_on_where_it_ended(
    bench, bucket, store, monkeypatch
):
    with monkeypatch.context() as broken:
        broken.setattr(copy, "_copy_file", cut_off_at("shard-00001.h5"))
        cut = encode(bench, store)
    partial = objects(store)
    unfinished = bench.run("decode", store, "--out", bench.folder / "none.npy")
    with bucket.failing(lambda _: None) as requests:
        resumed = encode(bench, store)

    assert [cut.code, unfinished.code, resumed.code] == [1, 3, 0]
    assert "shard-00001.h5: could not be written" in cut.err
    assert "manifest.json" not in partial
    written = [request for request in requests if request.startswith(("PUT", "POST"))]
    assert not any(request.endswith("shard-00000.h5") for request in written)
    assert written[-1].endswith("manifest.json")
    assert bench.run("verify", store).facts["ok"]


def cut_off_at(name: str):
    """A copy that fails at one file."""
    copy_file = copy._copy_file

    def until(file, target):
        if file.name == name:
            raise OSError("AWS Error NETWORK_CONNECTION during PutObject")
        copy_file(file, target)

    return until


@pytest.mark.parametrize("fault", [CUT, (403, "AccessDenied"), (400, "ExpiredToken")], ids=str)
@pytest.mark.parametrize("words", [("decode", "--out", "none.npy"), ("verify",)], ids=str)
def test_a_service_that_refuses_in_the_middle_is_a_failed_read_and_not_damage(
    bench, bucket, store, impatient, fault, words, monkeypatch
):
    monkeypatch.chdir(bench.folder)
    encode(bench, store)
    seen = itertools.count()
    with bucket.failing(lambda _: fault if next(seen) > 7 else None):
        failed = bench.run(words[0], store, *words[1:])

    assert failed.code == 2
    assert "cannot be read (" in failed.err
    assert "then rerun" in failed.err
    assert not (bench.folder / "none.npy").exists()


@pytest.mark.parametrize("command", ["decode", "pack"])
def test_results_of_decode_and_pack_are_local_files(bench, store, command):
    result = bench.run(command, bench.folder, "--out", "s3://rows/back.h5")

    assert result.code == 2
    assert "--out must be a local file. Got 's3://rows/back.h5' instead." in result.err
