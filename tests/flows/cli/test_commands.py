"""The CLI commands: what they write and print, and their exit codes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.jobs.proposal.propose import propose_job

DAY = "2026-11-22"


def report_of(result):
    return Path(result.facts["path"])


def summary_of(result):
    return json.loads((report_of(result) / "summary.json").read_text())


def modification_times(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_training_writes_a_complete_model_and_promotes_the_first(bench):
    listed = bench.run("models", "list", bench.job)
    [model] = listed.facts["models"]
    folder = bench.workspace / "models/small" / model["model_id"]

    assert model["champion"]
    assert {path.name for path in folder.iterdir()} == {
        "model.safetensors",
        "model.json",
        "training.html",
        "manifest.json",
        "run.json",
    }
    assert bench.run("verify", folder).facts["ok"]
    shown = bench.run("models", "show", bench.job, model["model_id"]).facts
    assert shown["training_data"]["calibration_rows"] > 300


def test_retraining_on_the_same_rows_gives_the_same_model(bench):
    before = bench.run("models", "list", bench.job).facts
    result = bench.run("train", bench.job)
    after = bench.run("models", "list", bench.job).facts

    assert result.facts["model_id"] == before["current"]
    assert after == before | {"seconds": pytest.approx(0, abs=60)}


def test_models_are_promoted_by_hand_and_rolled_back(bench):
    first = bench.run("models", "list", bench.job).facts["current"]
    other = bench.run("train", bench.job, "--set", "train.seed=1").facts["model_id"]
    assert bench.run("models", "promote", bench.job, other).facts["current"] == other
    assert bench.run("models", "rollback", bench.job).facts["current"] == first
    assert bench.run("models", "promote", bench.job, "nonsense").code == 2


@pytest.mark.parametrize("format", ["hdf5", "parquet"])
def test_a_store_decodes_without_source_and_model(bench, tmp_path, format):
    encoded = bench.run(
        "encode", bench.job, "--set", f"encode.format={format}", "--out", tmp_path / "store"
    )
    rows = np.load(bench.folder / "clean.npy")
    for path in bench.folder.rglob("*"):
        if path.is_file():
            path.unlink()
    decoded = bench.run(
        "decode", tmp_path / "store", "--out", tmp_path / "back.npy", "--rows", "10:200"
    )
    back = np.load(tmp_path / "back.npy")

    assert (encoded.code, decoded.code) == (0, 0), encoded.err + decoded.err
    assert (back.dtype, back.shape) == (rows.dtype, (190, 8))
    rmse = np.sqrt(np.mean((back - rows[10:200]) ** 2))
    assert rmse < 3 * encoded.facts["report"]["loss"]["rmse"]


def test_the_size_report_states_the_error_of_the_decoded_rows(bench, tmp_path):
    loss = bench.run("encode", bench.job, "--out", tmp_path / "store").facts["report"]["loss"]
    bench.run("decode", tmp_path / "store", "--out", tmp_path / "back.npy")
    differences = np.load(tmp_path / "back.npy") - np.load(bench.folder / "clean.npy")

    assert loss["rmse"] == pytest.approx(np.sqrt(np.mean(differences**2)))
    assert loss["largest"] == pytest.approx(np.abs(differences).max())


def test_the_rows_with_the_largest_errors_are_stored_exactly(bench, tmp_path):
    night = bench.night(outliers=3)
    bench.run(
        "encode",
        bench.job,
        "--source",
        night,
        "--out",
        tmp_path / "store",
        "--set",
        "encode.keep_exact=0.01",
    )
    bench.run("decode", tmp_path / "store", "--out", tmp_path / "back.npy")

    assert np.load(tmp_path / "back.npy")[:3].tobytes() == np.load(night)[:3].tobytes()


def test_encoding_the_same_rows_again_writes_nothing(bench):
    first = bench.run("encode", bench.job)
    times = modification_times(report_of(first))
    second = bench.run("encode", bench.job)

    assert (first.facts["written"], second.facts["written"]) == (True, False)
    assert modification_times(report_of(second)) == times


def test_a_folder_that_is_not_a_store_is_left_unchanged(bench, tmp_path):
    (tmp_path / "mine").mkdir()
    result = bench.run("encode", bench.job, "--out", tmp_path / "mine")

    assert (result.code, list((tmp_path / "mine").iterdir())) == (2, [])
    assert "name another folder with --out" in result.err


def test_a_night_is_scored_and_reported(bench):
    bench.night(outliers=4)
    result = bench.score()
    folder = report_of(result)
    summary = summary_of(result)
    outliers = pq.read_table(folder / "outliers.parquet").to_pylist()

    assert (result.code, result.facts["revision"], result.facts["rows"]) == (0, 1, 300)
    assert {outlier["row"] for outlier in outliers[:4]} == {0, 1, 2, 3}
    assert all(outlier["flagged"] and outlier["cause"] for outlier in outliers[:4])
    assert (
        sum(outlier["flagged"] for outlier in outliers)
        == summary["flagged"]
        == result.facts["flagged"]
    )
    assert [outlier["rank"] for outlier in outliers] == list(range(1, len(outliers) + 1))
    assert list(outliers[0]) == [
        "rank",
        "id",
        "file",
        "row",
        "file_row",
        "score",
        "error",
        "novelty",
        "relative",
        "p_value",
        "flagged",
        "cause",
        "p_range",
        "p_latent",
        "p_residual",
    ]
    assert bench.run("verify", folder).facts["ok"]
    assert bench.run("verify", bench.workspace / f"scores/small/date={DAY}").facts["ok"]
    assert DAY in (bench.workspace / "reports/small/index.html").read_text()


def test_scores_contain_every_row_once_with_its_p_value(bench):
    bench.night(n=900)
    bench.score("--set", "data.shard_bytes=1 MB")
    table = pq.read_table(bench.workspace / f"scores/small/date={DAY}/part-00000.parquet")
    p_values = table.column("p_value").to_pylist()

    assert table.column_names == ["id", "row", "file", "error", "novelty", "relative", "p_value"]
    assert table.column("row").to_pylist() == list(range(900))
    assert 0 < min(p_values) <= max(p_values) <= 1


def test_scoring_a_night_again_writes_nothing(bench):
    bench.night()
    first = bench.score()
    times = modification_times(bench.workspace / "reports")
    second = bench.score()

    assert (second.code, second.facts["written"]) == (0, False)
    assert second.facts["path"] == first.facts["path"]
    assert modification_times(bench.workspace / "reports") == times


def test_touching_an_input_file_makes_no_new_revision(bench):
    path = bench.night()
    bench.score()
    os.utime(path, (1, 1))

    assert bench.score().facts["written"] is False


def test_one_changed_row_makes_a_second_revision_that_names_it(bench):
    path = bench.night()
    bench.score()
    rows = np.load(path)
    rows[123] += 5
    np.save(path, rows)
    result = bench.score()
    changes = summary_of(result)["changes"]

    assert result.facts["revision"] == 2
    assert (changes["changed"], changes["new"], changes["gone"]) == (1, 0, 0)
    assert changes["changed_ids"] == ["123"]
    assert changes["flagged_new"] == ["123"]
    assert "1 row changed (123)" in (report_of(result) / "report.html").read_text()
    assert (bench.workspace / f"superseded/small/date={DAY}/rev=1/manifest.json").exists()
    assert bench.score().facts["written"] is False


def test_force_writes_a_new_revision_of_the_same_night(bench):
    bench.night()
    bench.score()

    assert bench.score("--force").facts["revision"] == 2


def test_a_date_without_input_is_no_data(bench):
    result = bench.score(day="2026-01-01")
    again = bench.score(day="2026-01-01")

    assert (result.code, result.facts["verdict"]) == (3, "NO DATA")
    assert (again.code, again.facts["written"]) == (3, False)
    assert "NO DATA" in (report_of(result) / "report.html").read_text()
    bench.night("2026-01-01")
    assert bench.score(day="2026-01-01").facts["revision"] == 2


def test_more_flags_than_the_budget_is_a_flood_that_lists_every_flagged_row(bench):
    bench.night(n=400, outliers=300)
    result = bench.score()

    assert (result.code, result.facts["verdict"]) == (0, "FLOOD")
    assert pq.read_table(report_of(result) / "outliers.parquet").num_rows >= 300


def test_a_range_continues_past_a_date_without_data(bench):
    for day in ("2026-11-20", "2026-11-22"):
        bench.night(day)
    result = bench.run("score", bench.job, "--from", "2026-11-20", "--to", "2026-11-22")
    verdicts = [night["verdict"].split()[0] for night in result.facts["nights"]]

    assert (result.code, verdicts) == (3, ["OK", "NO", "OK"])


def test_a_night_with_a_damaged_shard_is_partial_and_completed_later(bench):
    night = bench.folder / "night.h5"
    rows = np.random.default_rng(0).normal(size=(40_000, 8))
    with h5py.File(night, "w") as file:
        file.create_dataset("rows", data=rows, chunks=(1000, 8), fletcher32=True)
    content = bytearray(night.read_bytes())
    offset = content.find(rows[35_000:35_010].tobytes())
    damaged = content.copy()
    damaged[offset] ^= 1
    os.utime(night, (10**9, 10**9))
    night.write_bytes(bytes(damaged))
    os.utime(night, (10**9, 10**9))
    first = bench.score("--source", night)
    kept = sorted(
        path.stat().st_mtime_ns
        for path in (bench.workspace / ".work").rglob("part-0000[01].parquet")
    )
    night.write_bytes(bytes(content))
    os.utime(night, (10**9, 10**9))
    second = bench.score("--source", night)

    assert (first.code, first.facts["verdict"]) == (4, "PARTIAL 2 of 3")
    assert "provisional" in (report_of(first) / "report.html").read_text()
    assert (second.code, second.facts["revision"], second.facts["rows"]) == (0, 2, 40_000)
    published = sorted(
        path.stat().st_mtime_ns
        for path in (bench.workspace / f"scores/small/date={DAY}").glob("part-0000[01].parquet")
    )
    assert published == kept


@pytest.mark.parametrize("shard_bytes", ["1 MB", "2.5 MB", "99 MB"])
def test_the_decision_does_not_depend_on_the_shard_size(bench, shard_bytes):
    bench.night(n=50_000, outliers=7)
    result = bench.score("--set", f"data.shard_bytes={shard_bytes}")
    outliers = pq.read_table(report_of(result) / "outliers.parquet").to_pylist()
    expected = bench.run(
        "score", bench.job, "--date", "2026-11-21", "--source", bench.folder / f"nights/{DAY}.npy"
    )
    whole = pq.read_table(report_of(expected) / "outliers.parquet").to_pylist()

    assert outliers == whole


def test_hostile_ids_are_escaped(bench):
    columns = {f"c{index}": np.zeros(60) + index for index in range(3)}
    rows = pa.table(
        {"name": ["=cmd()", "<script>x</script>", *[f"-{n}" for n in range(58)]], **columns}
    )
    pq.write_table(rows, bench.folder / "clean.parquet")
    changed = columns | {"c1": np.r_[99.0, 98.0, np.ones(58)]}
    pq.write_table(pa.table({"name": rows["name"], **changed}), bench.folder / "night.parquet")
    wider = [
        f"--set=data.clean={bench.folder / 'clean.parquet'}",
        "--set=data.id=name",
        "--set=train.validation=0",
        "--set=name=hostile",
    ]
    noisy = pa.table(
        {
            "name": [str(n) for n in range(300)],
            **{f"c{i}": np.random.default_rng(i).normal(size=300) for i in range(3)},
        }
    )
    pq.write_table(noisy, bench.folder / "clean.parquet")
    trained = bench.run("train", bench.job, *wider)
    result = bench.score("--source", bench.folder / "night.parquet", *wider)

    assert (trained.code, result.code) == (0, 0), trained.err + result.err
    page = (report_of(result) / "report.html").read_text()
    assert page.count("<script") == 1  # its own
    assert "'=cmd()" in (report_of(result) / "outliers.csv").read_text()


def test_a_night_that_cannot_be_scored_states_the_reason_in_error_and_report(bench):
    rows = np.ones((5, 8))
    rows[:, 2] = np.inf
    np.save(bench.night(), rows)
    result = bench.score()
    summary = summary_of(result)

    assert (result.code, result.facts["verdict"]) == (1, "FAILED")
    assert "row 0, column 2: expected a number, got inf; fix the row" in result.err
    assert "Traceback" not in result.err
    assert (
        summary["promise"]
        == summary["failed_shards"][0]["why"]
        == f"{DAY}.npy: row 0, column 2: expected a number, got inf; fix the row"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["score", "JOB", "--date", "yesterday"], 2, "a data date must look like 2026-11-22"),
        (
            ["score", "JOB", "--date", DAY, "--set", "score.rule=best"],
            2,
            r"score.rule must look like",
        ),
        (["score", "JOB", "--date", DAY, "--set", "score.topn=3"], 2, "did you mean 'score.top_n'"),
        (["score", "JOB", "--from", DAY], 2, "both --from and --to"),
        (
            ["score", "JOB", "--date", DAY, "--source", "other.npy"],
            2,
            r"shape \(8,\), as in training. Got \(3,\)",
        ),
        (["score", "JOB", "--date", DAY, "--source", "text.csv"], 2, "as in training|text.csv"),
        (["score", "JOB", "--date", DAY, "--model", "123"], 2, "no such model; available"),
        (["score", "JOB", "--date", DAY, "--model", "../small"], 2, "no such model; available"),
        (["score", "JOB", "--date", DAY, "--source", "slip.npy"], 3, "slip.npy: no files found"),
        (["score", "none.toml", "--date", DAY], 2, "nightglass init"),
        (["encode", "JOB", "--date", DAY, "--source", "x"], 2, "name two inputs"),
        (["encode", "JOB", "--source", "nothing.npy"], 3, "no files found"),
        (["train", "JOB", "--require-gpu"], 2, "no GPU"),
        (["train", "JOB", "--set", "model.output=sigmoid"], 2, "needs scaled values"),
        (
            ["decode", "nothing", "--out", "x.npy"],
            3,
            "not found; expected a folder with a manifest.json",
        ),
        (["verify", "nothing"], 3, "expected the folder of a model"),
        (["inspect", "nothing"], 3, "no files found"),
    ],
)
def test_a_usage_error_stops_before_any_work_and_names_the_fix(
    bench, monkeypatch, arguments, code, message
):
    monkeypatch.chdir(bench.folder)
    np.save("other.npy", np.zeros((5, 3)))
    (bench.folder / "text.csv").write_text("a,b\nx,y\n")
    result = bench.run(*[bench.job if each == "JOB" else each for each in arguments])

    assert result.code == code, result.err
    assert re.search(message, result.err), result.err
    assert "Traceback" not in result.err
    assert not (bench.workspace / "reports").exists()


def test_scoring_before_training_suggests_training(bench):
    bench.night()
    result = bench.score("--set", "name=other")

    assert (result.code, "run 'nightglass train JOB'" in result.err) == (2, True)


def test_an_unwritable_workspace_is_rejected_before_any_work(bench):
    (bench.folder / "file").write_text("")
    result = bench.run("train", bench.job, "--set", "workspace=file/below")

    assert (result.code, "the workspace cannot be written" in result.err) == (2, True)


def test_decode_rejects_rows_out_of_range(bench, tmp_path):
    store = bench.run("encode", bench.job).facts["path"]
    for rows in ("5:x", "0:9999", "7:3"):
        result = bench.run("decode", store, "--out", tmp_path / "x.npy", "--rows", rows)
        assert (result.code, "--rows must look like" in result.err) == (2, True)


@pytest.mark.parametrize("kind", ["source", "model", "latents", "scores", "report"])
def test_inspect_recognizes_every_kind_of_path(bench, kind):
    bench.night()
    model = bench.run("models", "list", bench.job).facts["current"]
    paths = {
        "source": bench.folder / "clean.npy",
        "model": bench.workspace / "models/small" / model,
        "latents": bench.run("encode", bench.job).facts["path"],
        "scores": bench.workspace / f"scores/small/date={DAY}",
        "report": bench.score().facts["path"],
    }

    assert bench.run("inspect", paths[kind]).facts["kind"] == kind


def test_a_night_can_be_scored_with_the_champion_of_its_date(bench):
    bench.night()
    current = bench.run("models", "list", bench.job).facts["current"]
    result = bench.score("--model", "as-of")

    assert summary_of(result)["model_id"] == current


def test_failed_shards_are_listed_in_order(bench):
    rows = np.full((200_000, 8), np.nan)
    np.save(bench.night(), rows)

    names = [each["shard"].split(",")[0] for each in summary_of(bench.score())["failed_shards"]]
    assert names == [f"shard {index}" for index in range(13)]


def test_init_rejects_an_empty_source(bench):
    np.save(bench.folder / "none.npy", np.empty((0, 3)))
    result = bench.run("init", bench.folder / "none.npy")

    assert (result.code, "expected clean rows, got none" in result.err) == (2, True)


def test_init_proposes_a_job_file_that_works(bench, monkeypatch):
    monkeypatch.chdir(bench.folder)
    text = bench.run("init", "clean.npy").facts["job"]
    (bench.folder / "own.toml").write_text(text)
    bench.night()
    trained = bench.run("train", "own.toml", "--set", "train.epochs=5")
    scored = bench.run("score", "own.toml", "--date", DAY)

    assert (trained.code, scored.code) == (0, 0), trained.err + scored.err
    assert "no guarantee" not in text


def test_probe_compares_latents_with_the_original_features(bench, tmp_path):
    for name, n, seed in (("train", 400, 1), ("test", 100, 2)):
        rows = bench.night(name, n=n, seed=seed)
        np.save(tmp_path / f"{name}.npy", (np.load(rows)[:, 0] > 0).astype(np.uint8))
        bench.run("encode", bench.job, "--source", rows, "--out", tmp_path / name)
    result = bench.run(
        "probe",
        tmp_path / "train",
        "--labels",
        tmp_path / "train.npy",
        "--test",
        tmp_path / "test",
        "--test-labels",
        tmp_path / "test.npy",
    )

    assert result.code == 0, result.err
    assert result.facts["latents"]["accuracy"] > 0.9
    assert (result.facts["latents"]["features"], result.facts["original"]["features"]) == (3, 8)


def test_probe_of_rows_with_missing_values_measures_only_the_latents(bench, tmp_path):
    rows = np.load(bench.night())
    rows[3, 2] = np.nan
    np.save(tmp_path / "gaps.npy", rows)
    np.save(tmp_path / "labels.npy", np.arange(300) % 2)
    bench.run(
        "encode",
        bench.job,
        "--source",
        tmp_path / "gaps.npy",
        "--set",
        "data.missing=impute",
        "--out",
        tmp_path / "gaps",
    )
    store, labels = tmp_path / "gaps", tmp_path / "labels.npy"
    result = bench.run("probe", store, "--labels", labels, "--test", store, "--test-labels", labels)

    assert (result.code, result.facts["original"]) == (0, None)
    assert "gaps.npy: contains NaN" in result.facts["note"]


def test_help_imports_no_heavy_package():
    code = (
        "import sys; from flows.cli.app import app;"
        "heavy = {'torch', 'prefect', 'numpy', 'pyarrow', 'h5py'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )

    assert (found.returncode, found.stderr) == (0, "")


def test_an_unreachable_server_is_an_error_that_names_it(bench, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    result = bench.run("train", bench.job)

    assert result.code == 1
    assert "http://127.0.0.1:9/api: no Prefect server answers" in result.err
    assert bench.run("train", bench.job, "--no-prefect").code == 0


def test_revisions_with_repeated_ids_are_compared_by_row(bench):
    night = bench.folder / "night.parquet"
    columns = {
        f"c{index}": values
        for index, values in enumerate(np.random.default_rng(2).normal(size=(3, 400)))
    }
    pq.write_table(pa.table({"name": ["same"] * 400, **columns}), night)
    wider = [
        f"--set=data.clean={night}",
        "--set=data.id=name",
        "--set=name=repeated",
        "--source",
        night,
    ]
    assert bench.run("train", bench.job, *wider[:-2]).code == 0
    assert bench.score(*wider).code == 0
    columns["c0"][17] += 9
    pq.write_table(pa.table({"name": ["same"] * 400, **columns}), night)

    changes = summary_of(bench.score(*wider))["changes"]
    assert (changes["changed"], changes["changed_ids"]) == (1, ["17"])


@pytest.mark.parametrize("top", [1, 14, 200])
@pytest.mark.parametrize("dtype", ["bool", "int64", "float64", "uint8"])
def test_init_does_not_mistake_a_table_of_integers_for_gray_levels(bench, top, dtype):
    np.save(
        bench.folder / "counts.npy",
        np.random.default_rng(0).integers(0, top, (300, 10), endpoint=True).astype(dtype),
    )

    assert "prototypes" in bench.run("init", bench.folder / "counts.npy").facts["job"]


def test_init_writes_valid_toml_for_any_file_name(tmp_path):
    path = tmp_path / 'a "b" \\ ü.npy'
    np.save(path, np.ones((20, 3)))

    assert tomllib.loads(propose_job(str(path), field="").text)["data"]["clean"] == str(path)


def test_init_takes_long_rows_of_bytes_for_gray_levels(bench):
    np.save(
        bench.folder / "flat.npy",
        np.random.default_rng(0).integers(0, 256, (300, 64)).astype(np.uint8),
    )

    assert "prototypes" not in bench.run("init", bench.folder / "flat.npy").facts["job"]


def test_init_proposes_a_hidden_layer_for_images(bench):
    np.save(
        bench.folder / "images.npy",
        np.random.default_rng(0).integers(0, 256, (300, 6, 6)).astype(np.uint8),
    )
    text = bench.run("init", bench.folder / "images.npy").facts["job"]

    assert "hidden      = [36]" in text
    assert 'by          = "relative"' in text


def test_training_rejects_too_few_clean_rows(bench):
    np.save(bench.folder / "clean.npy", np.ones((1, 8)))
    result = bench.run("train", bench.job)

    assert (result.code, "at least 2 are needed" in result.err) == (2, True)
