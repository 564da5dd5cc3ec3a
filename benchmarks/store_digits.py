"""MNIST under a root mean square error: latent stores beside PCA on a grid and SZ3."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from codec_peers import pca_bytes, sz3_at
from datasets import DATA, read_rows
from numpy.typing import NDArray
from store_runs import Job, Rows, beside_simple, decoded

TRAIN, TEST = (DATA / f"mnist/{part}-images-idx3-ubyte.gz" for part in ("train", "t10k"))
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
BUDGETS = (
    (0.185, 12, 3e-5, 30),
    (0.146, 28, 2e-6, 40),
)  # RMSE, and latents, l2 and epochs that suit it


def digits(kept: Rows, only: Iterable[str]) -> None:
    """The test set by models of the training set."""
    kept.begin(
        "MNIST test set, 10,000 pictures: root mean square error (0 to 1). Ratio against float32, everything counted"
    )
    job = Job(TRAIN, "[model]\nlatent = 8\n")
    for form in ("hdf5", "parquet"):
        if not only or "int8" in only:
            kept.add("digits", f"int8, {form}", lambda form=form, job=job: _digits(job, form))
    for rmse, latent, l2, epochs in BUDGETS:
        job = Job(
            TRAIN,
            DIGITS.format(
                hidden=[], activation="elu", rate=2e-3, latent=latent, l2=l2, epochs=epochs
            ),
        )
        for form in ("hdf5", "parquet"):
            if not only or str(rmse) in only:
                kept.add(
                    "digits",
                    f"{rmse}, {form}",
                    lambda form=form, job=job, rmse=rmse: _digits(job, form, rmse),
                )
        if not only or "peers" in only:
            kept.add(
                "digits",
                f"peers of {rmse}",
                lambda rmse=rmse: _peers(unit(TRAIN), unit(TEST), rmse),
            )


def unit(path: Any) -> NDArray[np.float32]:
    """Pictures as rows from 0 to 1."""
    rows = read_rows(path)
    return (rows.reshape(len(rows), -1) / 255).astype(np.float32)


def _digits(job: Job, form: str, rmse: float | None = None) -> dict[str, str]:
    settings = (f"format={form}", *(("precision=auto", f"max_rmse={rmse * 255}") if rmse else ()))
    store, report = job.encode(*settings, source=TEST)
    back = decoded(store).reshape(10_000, -1).astype(np.float64) / 255
    reached = float(np.sqrt(np.square(back - unit(TEST)).mean()))
    return {
        "asked": f"RMSE <= {rmse}" if rmse else "int8 as it comes",
        "by": f"this store, {form}",
        "ratio": f"**{report['ratio']['float32']:.1f}**",
        "reached": f"{reached:.4f}",
        "bytes": f"{report['bytes']['store']:,}",
        "beside the best simple codec": beside_simple(job, settings, report, TEST) if rmse else "–",
    }


def _peers(known: NDArray[np.float32], rows: NDArray[np.float32], rmse: float) -> dict[str, str]:
    pca, reached = pca_bytes(known, rows, rmse)
    return {
        "asked": f"RMSE <= {rmse}",
        "PCA + grid": f"{rows.nbytes / pca:.1f} at {reached:.4f}",
        "SZ3": f"{rows.nbytes / sz3_at(rows.reshape(-1, 28, 28), rmse):.1f}",
    }


def all_digits(kept: Rows, only: Iterable[str]) -> None:
    """All pictures by a model of them all."""
    kept.begin(
        "MNIST, all 70,000 pictures, RMSE <= 0.11. Ratio against float32, everything counted"
    )
    rows = np.concatenate([read_rows(path) for path in (TRAIN, TEST)])
    job = Job(
        rows,
        DIGITS.format(hidden=[256], activation="silu", rate=1e-3, latent=16, l2=0.0, epochs=30),
    )
    for form in ("hdf5", "parquet"):
        if not only or form in only:
            kept.add("all_digits", form, lambda form=form: _all_digits(job, rows, form))
    if not only or "peers" in only:
        flat = (rows.reshape(len(rows), -1) / 255).astype(np.float32)
        kept.add("all_digits", "peers", lambda: _peers(flat, flat, 0.11))


def _all_digits(job: Job, rows: NDArray[Any], form: str) -> dict[str, str]:
    settings = ("precision=auto", f"max_rmse={0.11 * 255}", f"format={form}")
    store, report = job.encode(*settings)
    reached = float(
        np.sqrt(np.square(decoded(store).astype(np.float32) - rows).mean(dtype=np.float64)) / 255
    )
    return {
        "by": f"this store, {form} ({', '.join(report['bound']['codecs'])})",
        "ratio": f"**{report['ratio']['float32']:.1f}**",
        "reached": f"{reached:.4f}",
        "bytes": f"{report['bytes']['store']:,}",
        "beside the best simple codec": beside_simple(job, settings, report),
    }
