"""MNIST under a root mean square error: latent stores against PCA on a grid and SZ3."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

import numpy as np
from codec_peers import pca_bytes, sz3_at
from datasets import DATA, read_rows
from numpy.typing import NDArray
from store_runs import BenchJob, ResultTables, compare_with_simple, decoded

TRAIN, TEST = (DATA / f"mnist/{part}-images-idx3-ubyte.gz" for part in ("train", "t10k"))
FORMATS = ("hdf5", "parquet")
DIGITS = """[model]
hidden = {hidden}
latent = {latent}
activation = "{activation}"
loss = "mse"
l2 = {l2}
[train]
epochs = {epochs}
learning_rate = {rate}
calibration = 0.02
validation = 0.05
"""
# RMSE, and the latents, l2 penalty, and epochs that suit it
BUDGETS = ((0.185, 12, 3e-5, 30), (0.146, 28, 2e-6, 40))
ALL_RMSE = 0.11


def digits(results: ResultTables, only: Iterable[str]) -> None:
    """The test set, with models of the training set."""
    results.begin(
        "MNIST test set, 10,000 images: root mean square error (0 to 1). "
        "Ratio against float32, everything counted"
    )
    if not only or "int8" in only:
        job = BenchJob(TRAIN, "[model]\nlatent = 8\n")
        for form in FORMATS:
            results.add("digits", f"int8, {form}", functools.partial(_digits, job, form))
    for rmse, latent, l2, epochs in BUDGETS:
        model = DIGITS.format(
            hidden=[], activation="elu", rate=2e-3, latent=latent, l2=l2, epochs=epochs
        )
        if not only or str(rmse) in only:
            job = BenchJob(TRAIN, model)
            for form in FORMATS:
                results.add(
                    "digits", f"{rmse}, {form}", functools.partial(_digits, job, form, rmse)
                )
        if not only or "peers" in only:
            results.add("digits", f"peers of {rmse}", functools.partial(_peers_on_test_set, rmse))


def unit(rows: NDArray[Any]) -> NDArray[np.float32]:
    """Images as rows from 0 to 1."""
    return (rows.reshape(len(rows), -1) / 255).astype(np.float32)


def root_mean_square(error: NDArray[Any]) -> float:
    return float(np.sqrt(np.square(error).mean(dtype=np.float64)))


def _digits(job: BenchJob, form: str, rmse: float | None = None) -> dict[str, str]:
    bound = ("precision=auto", f"max_rmse={rmse * 255}") if rmse else ()
    settings = (f"format={form}", *bound)
    store, report = job.encode(*settings, source=TEST)
    pixels = decoded(store).reshape(10_000, -1).astype(np.float64) / 255
    against = compare_with_simple(job, settings, report, TEST) if rmse else "–"
    return {
        "target": f"RMSE <= {rmse}" if rmse else "int8 without a bound",
        "codec": f"this store, {form}",
        "ratio": f"**{report['ratio']['float32']:.1f}**",
        "reached": f"{root_mean_square(pixels - unit(read_rows(TEST))):.4f}",
        "bytes": f"{report['bytes']['store']:,}",
        "against the best simple codec": against,
    }


def _peers_on_test_set(rmse: float) -> dict[str, str]:
    return _peers(unit(read_rows(TRAIN)), unit(read_rows(TEST)), rmse)


def _peers(known: NDArray[np.float32], rows: NDArray[np.float32], rmse: float) -> dict[str, str]:
    pca, reached = pca_bytes(known, rows, rmse)
    return {
        "target": f"RMSE <= {rmse}",
        "PCA + grid": f"{rows.nbytes / pca:.1f} at {reached:.4f}",
        "SZ3": f"{rows.nbytes / sz3_at(rows.reshape(-1, 28, 28), rmse):.1f}",
    }


def all_digits(results: ResultTables, only: Iterable[str]) -> None:
    """All images, with a model trained on all of them."""
    results.begin(
        f"MNIST, all 70,000 images, RMSE <= {ALL_RMSE}. Ratio against float32, everything counted"
    )
    rows = np.concatenate([read_rows(path) for path in (TRAIN, TEST)])
    model = DIGITS.format(hidden=[256], activation="silu", rate=1e-3, latent=16, l2=0.0, epochs=30)
    job = BenchJob(rows, model)
    for form in FORMATS:
        if not only or form in only:
            results.add("all_digits", form, functools.partial(_all_digits, job, rows, form))
    if not only or "peers" in only:
        flat = unit(rows)
        results.add("all_digits", "peers", functools.partial(_peers, flat, flat, ALL_RMSE))


def _all_digits(job: BenchJob, rows: NDArray[Any], form: str) -> dict[str, str]:
    settings = ("precision=auto", f"max_rmse={ALL_RMSE * 255}", f"format={form}")
    store, report = job.encode(*settings)
    reached = root_mean_square(decoded(store).astype(np.float32) - rows) / 255
    return {
        "codec": f"this store, {form} ({', '.join(report['bound']['codecs'])})",
        "ratio": f"**{report['ratio']['float32']:.1f}**",
        "reached": f"{reached:.4f}",
        "bytes": f"{report['bytes']['store']:,}",
        "against the best simple codec": compare_with_simple(job, settings, report),
    }
