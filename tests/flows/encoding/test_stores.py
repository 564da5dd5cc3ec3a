"""Latent stores through the commands: bounds, single rows, packed files, and faults."""

from __future__ import annotations

import numpy as np
import pytest
from bench import rows_of, tree

from flows.encoding.probe import latent_use
from storage.errors import SourceError
from storage.latents import open_store

pytestmark = pytest.mark.slow

FORMATS = ("hdf5", "parquet")


def encode(bench, out, *settings, source=None):
    words = [word for setting in settings for word in ("--set", f"encode.{setting}")]
    result = bench.run(
        "encode", bench.job, "--out", out, *words, *(["--source", source] if source else [])
    )
    assert result.code == 0, result.err
    return result.facts["report"]


def decode(bench, store, *words):
    path = store.with_name(store.stem + "-back.npy")
    result = bench.run("decode", store, "--out", path, *words)
    assert result.code == 0, result.err
    return np.load(path)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("bound", ["max_error=0.05", "max_error_relative=1e-3", "max_error=0"])
def test_every_decoded_value_is_within_the_bound(bench, tmp_path, format, bound):
    rows = np.load(bench.folder / "clean.npy")
    key, value = bound.split("=")
    report = encode(bench, tmp_path / "store", bound, f"format={format}")
    allowed = float(value) * (np.ptp(rows, axis=0) if key.endswith("relative") else 1)
    apart = np.abs(decode(bench, tmp_path / "store") - rows)

    if float(value):
        assert (apart <= allowed).all()
        assert report["bound"]["held"]
        assert report["bound"]["largest_of_bound"] == pytest.approx(
            (apart.max(axis=0) / allowed).max()
        )
        assert report["contest"][0]["bytes"] == min(entry["bytes"] for entry in report["contest"])
    assert report["loss"]["largest"] == apart.max()
    assert [column["largest"] for column in report["columns"]] == apart.max(axis=0).tolist()


@pytest.mark.parametrize("bound", ["max_error=0", "max_error=0.05"])
def test_the_size_report_plots_measured_errors_against_ratios(bench, tmp_path, bound):
    report = encode(bench, tmp_path / "store", bound)
    latents, grids = (
        [each for each in report["error_against_ratio"] if each["codec"] == codec]
        for codec in ("latents", "grid")
    )

    assert len(latents) == len(grids) == 7
    assert sorted(latents, key=lambda each: each["ratio"])[0]["rmse"] == min(
        each["rmse"] for each in latents
    )
    assert (np.diff([each["rmse"] for each in grids]) > 0).all()
    assert (np.diff([each["ratio"] for each in grids]) > 0).all()
    assert "Error against ratio" in (tmp_path / "store/size_report.html").read_text()


@pytest.mark.parametrize("precision", ["int8", "auto"])
def test_every_shard_keeps_the_rmse_budget(bench, tmp_path, precision):
    rows = rows_of(17_000, 3)
    np.save(tmp_path / "night.npy", rows)
    report = encode(
        bench,
        tmp_path / "store",
        "max_rmse=0.1",
        f"precision={precision}",
        source=tmp_path / "night.npy",
    )
    squares = (decode(bench, tmp_path / "store") - rows) ** 2

    with open_store(tmp_path / "store") as store:
        shards = [slice(shard["start"], shard["stop"]) for shard in store.manifest["shards"]]
    assert len(shards) > 1
    assert max(np.sqrt(squares[shard].mean()) for shard in shards) <= 0.1
    assert report["bound"]["rmse_of_bound"] == pytest.approx(np.sqrt(squares.mean()) / 0.1)


@pytest.mark.parametrize(
    "settings",
    [("max_rmse=0.1", "precision=auto"), ("max_error=0.05", "format=parquet"), ("precision=auto",)],
)
def test_stores_hold_empty_inputs_and_extreme_values(bench, tmp_path, settings):
    rows = rows_of(40, 3)
    rows[3, 2] = 1e200
    for name, some in (("none", rows[:0]), ("wild", rows)):
        np.save(tmp_path / f"{name}.npy", some)
        encode(bench, tmp_path / name, *settings, source=tmp_path / f"{name}.npy")
        back = decode(bench, tmp_path / name)
        assert back.shape == some.shape
    if "precision=auto" not in settings:
        assert np.abs(back - rows).max() <= 0.05


def test_another_codec_writes_a_block_that_the_winner_cannot_hold(bench, tmp_path, monkeypatch):
    """The sample covers beginning, middle and end of the source; the novel rows lie between."""
    monkeypatch.setattr("flows.encoding.plan.SAMPLE_VALUES", 1 << 14)
    monkeypatch.setattr("flows.encoding.plan.BUDGET_BYTES", 1 << 17)
    rows = rows_of(40_000, 3)
    rows[18_000:22_000] *= 40
    np.save(tmp_path / "night.npy", rows)
    report = encode(
        bench,
        tmp_path / "store",
        "max_rmse=0.2",
        "precision=auto",
        "keep_exact=0",
        source=tmp_path / "night.npy",
    )

    assert report["contest"][0]["codec"] == "latents"
    assert set(report["bound"]["codecs"]) > {"latents"}
    assert np.sqrt(((decode(bench, tmp_path / "store") - rows) ** 2).mean()) <= 0.2


@pytest.mark.parametrize("format", FORMATS)
def test_gaps_are_decoded_as_gaps(bench, tmp_path, format):
    rows = rows_of(500, 3)
    rows[::7, 2], rows[4, 5] = np.nan, -0.0
    np.save(tmp_path / "night.npy", rows)
    bench.job.write_text(bench.job.read_text().replace("[model]", 'missing = "impute"\n[model]'))
    encode(
        bench,
        tmp_path / "store",
        "max_error=0.01",
        f"format={format}",
        source=tmp_path / "night.npy",
    )
    back = decode(bench, tmp_path / "store")

    assert (np.isnan(back) == np.isnan(rows)).all()
    assert np.signbit(back[4, 5])
    assert np.nanmax(np.abs(back - rows)) <= 0.01


@pytest.mark.parametrize(
    "settings",
    [
        ("format=hdf5",),
        ("format=parquet",),
        ("format=hdf5", "max_error=0.05"),
        ("format=parquet", "max_error=0.05"),
    ],
)
def test_single_rows_equal_those_of_a_full_decode(bench, tmp_path, settings):
    encode(bench, tmp_path / "store", *settings)
    whole = decode(bench, tmp_path / "store")

    assert (
        decode(bench, tmp_path / "store", "--rows", "7,1400,7,3").tobytes()
        == whole[[7, 1400, 7, 3]].tobytes()
    )
    assert (
        decode(bench, tmp_path / "store", "--rows", "5,10:20").tobytes()
        == whole[[5, *range(10, 20)]].tobytes()
    )


@pytest.mark.parametrize("format", FORMATS)
def test_loss_measured_on_a_sample_says_so_and_changes_nothing_stored(bench, tmp_path, format):
    np.save(tmp_path / "night.npy", rows_of(4_000, 3))
    settings = {"source": tmp_path / "night.npy"}
    on_all = encode(bench, tmp_path / "all", f"format={format}", **settings)["loss"]
    store = tmp_path / "sample"
    on_some = encode(bench, store, f"format={format}", "measure=sample", **settings)["loss"]

    assert (on_all["rows"], on_some["rows"]) == (4_000, 250)
    assert on_some["rmse"] == pytest.approx(on_all["rmse"], rel=0.1)
    assert on_some["largest"] <= on_all["largest"]
    apart = decode(bench, store) - np.load(tmp_path / "night.npy")
    assert on_some["rmse"] == pytest.approx(np.sqrt((apart[::16] ** 2).mean()))
    shards = sorted(path.name for path in store.glob("*-0*"))
    assert [(store / name).read_bytes() for name in shards] == [
        (tmp_path / "all" / name).read_bytes() for name in shards
    ]


@pytest.mark.parametrize("settings", [("format=hdf5",), ("format=parquet", "max_error=0.05")])
def test_a_packed_store_decodes_like_the_folder(bench, tmp_path, settings):
    encode(bench, tmp_path / "store", *settings)
    whole = decode(bench, tmp_path / "store")
    packed = tmp_path / "one.h5"
    assert bench.run("pack", tmp_path / "store", "--out", packed).code == 0

    assert decode(bench, packed).tobytes() == whole.tobytes()
    assert bench.run("verify", packed).facts["ok"]
    varying = {"path": 0, "size": 0, "seconds": 0}
    inspected = bench.run("inspect", packed).facts
    expected = bench.run("inspect", tmp_path / "store").facts
    assert {**inspected, **varying} == {**expected, **varying}
    assert bench.run("pack", tmp_path / "store", "--out", packed).code == 2
    content = bytearray(packed.read_bytes())
    content[len(content) // 2] ^= 4
    packed.write_bytes(content)
    assert bench.run("verify", packed).code == 1


def test_the_store_alone_gives_the_rows_with_the_largest_errors(bench, tmp_path):
    night = bench.night(outliers=4)
    encode(bench, tmp_path / "store", source=night)

    with open_store(tmp_path / "store") as store:
        assert set(store.highest(4).tolist()) == {0, 1, 2, 3}
        assert (np.diff(store.errors(0, 300)[store.highest(300)]) <= 0).all()


def test_a_finished_store_without_one_of_its_shards_is_an_error(bench, tmp_path):
    line = [
        "encode",
        bench.job,
        "--source",
        bench.folder / "clean.npy",
        "--out",
        tmp_path / "store",
    ]
    assert bench.run(*line).code == 0
    (tmp_path / "store/shard-00000.h5").unlink()
    again = bench.run(*line)

    assert (again.code, "Up to date" in again.out) == (1, False)
    assert (
        "store/shard-00000.h5: is missing; restore it from a copy, "
        "or delete the folder and make it again" in again.err
    )


def test_a_store_never_mixes_shards_of_two_plans(bench, tmp_path, monkeypatch):
    """Resumed after a change of the clean data, on which bits and bounds depend."""
    np.save(tmp_path / "night.npy", rows_of(2_000, 3))
    line = [
        "encode",
        bench.job,
        "--source",
        tmp_path / "night.npy",
        "--set",
        "encode.max_error_relative=1e-3",
        "--out",
        tmp_path / "store",
    ]
    with monkeypatch.context() as broken:
        broken.setattr(
            "flows.encoding.encode.finish_store",
            lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt),
        )
        assert bench.run(*line).code == 130
    np.save(bench.folder / "clean.npy", 50 * np.load(bench.folder / "clean.npy"))
    assert bench.run(*line).code == 0
    resumed = tree(tmp_path / "store")
    (tmp_path / "store").rename(tmp_path / "first")
    assert bench.run(*line).code == 0

    assert tree(tmp_path / "store") == resumed


def test_a_chunk_without_any_validation_row_is_encoded(bench, tmp_path, monkeypatch):
    monkeypatch.setattr("flows.encoding.plan.rows_per_chunk", lambda *_, **__: 1)
    bench.night(n=40)
    encode(bench, tmp_path / "store", source=bench.folder / "nights/2026-11-22.npy")

    assert decode(bench, tmp_path / "store").shape == (40, 8)


def test_a_bounded_store_holds_no_latents_unless_asked_and_says_what_the_folder_takes(
    bench, tmp_path
):
    words = ("encode", bench.job, "--set", "encode.max_error=0.05")
    plain = bench.run(*words, "--out", tmp_path / "plain")
    kept = bench.run(*words, "--set", "encode.keep_latents=true", "--out", tmp_path / "kept")
    found = [set(tree(tmp_path / name)) for name in ("plain", "kept")]

    assert found[0].isdisjoint({"shard-00000.h5", "latents.h5", "model/decoder.json"})
    assert found[1] > {"shard-00000.h5", "latents.h5", "model/decoder.json"}
    assert decode(bench, tmp_path / "plain").tobytes() == decode(bench, tmp_path / "kept").tobytes()
    assert bench.run("verify", tmp_path / "plain").code == 0
    for result, name in ((plain, "plain"), (kept, "kept")):
        files = [path for path in (tmp_path / name).rglob("*") if path.is_file()]
        on_disk = sum(path.stat().st_size for path in files)
        assert result.facts["bytes_on_disk"] == on_disk
    with (
        open_store(tmp_path / "plain") as store,
        pytest.raises(
            SourceError, match=r"holds no latents.*encode again with encode\.keep_latents = true"
        ),
    ):
        store.latents(0, 10)


def test_dead_and_redundant_latents_are_reported(random):
    latents = random.normal(size=(500, 4)).astype(np.float32)
    latents[:, 1], latents[:, 3] = 7.0, -2 * latents[:, 0]
    use = latent_use(latents)

    assert (use.dead, use.doubled) == ((1,), ((0, 3),))
    assert 1 < use.effective_dimension < 2
    assert latent_use(random.normal(size=(5000, 6)).astype(np.float32)).effective_dimension > 5.9


def test_a_source_with_the_longest_name_is_encoded_and_decoded(bench):
    path = bench.folder / ("x" * 251 + ".npy")
    np.save(path, rows_of(300, 3))

    stored = bench.run("encode", bench.job, "--source", path)
    back = bench.run("decode", stored.facts["path"], "--out", bench.folder / ("y" * 251 + ".npy"))

    assert (stored.code, back.code, back.facts["rows"]) == (0, 0, 300)
