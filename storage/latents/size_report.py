"""The size report: what a store costs and saves, against honest denominators, what it loses, and the bound that it holds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from storage.codecs.bounded import LATENTS
from storage.files.atomic import write_bytes, write_json
from storage.files.manifest import list_files, sealed_bytes
from storage.latents.loss import MOST_COLUMNS, Loss, merge_losses, quantile
from storage.latents.plan import EncodedShard, StorePlan
from storage.latents.store import MODEL

PLACEHOLDER = "0" * 64
REPORTS = ("size_report.html", "size_report.json")
FORMAT_VERSION = 2
MOST_SHOWN = 100  # columns on the page, those with the largest errors


def write_size_report(
    folder: Path,
    manifest: Mapping[str, Any],
    shards: Sequence[EncodedShard],
    plan: StorePlan,
    curve: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Measure the store in `folder`, write size_report.json and .html into it, and return the report.

    `curve`: other codecs' or bits' `rmse` and `bytes`, for the report's error against ratio.
    `manifest` is the one to be written: a digest's length does not depend on what it is a digest of, so its size is known beforehand.
    """
    from storage.pages import render  # late: jinja2 takes time to import
    from storage.pages.figures import error_plot, ratio_plot

    files = dict.fromkeys([*list_files(folder), *REPORTS], PLACEHOLDER)
    manifest_bytes = len(sealed_bytes({**manifest, "files": dict(sorted(files.items()))}))
    report = size_report(folder, shards, plan, manifest_bytes=manifest_bytes)
    source = report["bytes"]["source"]
    report["error_against_ratio"] = [
        {"codec": each["codec"], "rmse": each["rmse"], "ratio": _ratio(source, each["bytes"])}
        for each in curve
    ]
    write_json(folder / "size_report.json", report)
    worst = sorted(report["columns"], key=lambda column: -column["largest"])[:MOST_SHOWN]
    page = render(
        "size_report.html.j2",
        report=report,
        manifest=manifest,
        columns=worst,
        plot=ratio_plot(report["contest"]) if report["contest"] else "",
        curve=error_plot(
            report["error_against_ratio"], report["loss"]["rmse"], report["ratio"]["source"]
        )
        if curve
        else "",
    )
    write_bytes(folder / "size_report.html", page)
    return report


def size_report(
    folder: Path, shards: Sequence[EncodedShard], plan: StorePlan, *, manifest_bytes: int
) -> dict[str, Any]:
    """All figures of a store.

    Bytes of the store = all that `decode` reads: value files, manifest, and the decoder where a
    codec uses it.
    """
    schema = plan.schema
    rows = shards[-1].stop if shards else 0
    source = sum(facts.bytes_in for facts in shards)
    read = sum(facts.bytes_out for facts in shards)
    codecs = count_codecs(shards)
    decoder_there = sum(path.stat().st_size for path in (folder / MODEL).iterdir())
    decoder = decoder_there if {LATENTS, "residual"} & set(codecs) else 0
    store = read + manifest_bytes + decoder
    float32 = source // np.dtype(schema.dtype).itemsize * 4
    lossless = _lossless(shards, source)
    loss = merge_losses([facts.loss for facts in shards])
    return {
        "format_version": FORMAT_VERSION,
        "rows": rows,
        "bytes": {
            "source": source,
            "float32": float32,
            "lossless": lossless["bytes"],
            "store": store,
            "shards": read,
            "latents": _bytes(folder, "shard-") if LATENTS in codecs or "residual" in codecs else 0,
            "values": _bytes(folder, "values-"),
            "exact_rows_raw": sum(facts.exact_bytes for facts in shards),
            "decoder": decoder,
            "manifest": manifest_bytes,
        },
        "extras": _extras(folder, shards, 0 if decoder else decoder_there),
        "ratio": {
            "source": _ratio(source, store),
            "float32": _ratio(float32, store),
            "lossless": _ratio(lossless["bytes"], store),
            "source_without_model": _ratio(source, store - decoder),
            "float32_without_model": _ratio(float32, store - decoder),
        },
        "lossless": lossless,
        "break_even_rows": _break_even(rows, lossless["bytes"], store, decoder),
        "exact_rows": sum(facts.exact_rows for facts in shards),
        "outside_values": sum(facts.outside_values for facts in shards),
        "loss": _loss(shards, loss),
        "columns": _columns(plan, loss, rows),
        "bound": _bound(plan, shards, loss, codecs),
        "contest": _contest(plan, source),
    }


def count_codecs(shards: Sequence[EncodedShard]) -> dict[str, int]:
    """Rows by the codec that brings them back."""
    found: dict[str, int] = {}
    for facts in shards:
        for name, rows in facts.codecs.items():
            found[name] = found.get(name, 0) + rows
    return found


def _bytes(folder: Path, prefix: str) -> int:
    return sum(path.stat().st_size for path in folder.glob(f"{prefix}*"))


def _extras(folder: Path, shards: Sequence[EncodedShard], decoder: int) -> dict[str, int]:
    """What stands in the store and decoding does not read."""
    all_read = sum(facts.bytes_out for facts in shards)
    latents = _bytes(folder, "shard-") + _bytes(folder, "values-") - all_read
    found = {
        "errors and ids": _bytes(folder, "rows-"),
        "latents": latents,
        "decoder": decoder,
        "latents.h5": _bytes(folder, "latents.h5"),
    }
    return {name: size for name, size in found.items() if size}


def _lossless(shards: Sequence[EncodedShard], source: int) -> dict[str, Any]:
    taken, left = (
        sum(facts.lossless_sample_in for facts in shards),
        sum(facts.lossless_sample_out for facts in shards),
    )
    how = "zstd at level 19, narrowest exact dtype, better of row and column order"
    return {
        "bytes": round(source * left / taken) if taken else source,
        "measured_on_bytes": taken,
        "how": how,
    }


def _loss(shards: Sequence[EncodedShard], loss: Loss) -> dict[str, float | None]:
    values = sum(facts.values for facts in shards)
    span = (
        max(facts.high for facts in shards) - min(facts.low for facts in shards) if values else 0.0
    )
    found = {
        "rmse": math.sqrt(sum(facts.squared for facts in shards) / values) if values else 0.0,
        "largest": max((facts.largest_error for facts in shards), default=0.0),
        "p999": quantile(loss, 0.999),
    }
    return {
        **found,
        "range": span,
        **{f"{name}_of_range": value / span if span else None for name, value in found.items()},
    }


def _columns(plan: StorePlan, loss: Loss, rows: int) -> list[dict[str, Any]]:
    """RMSE and largest error of each feature, where there are few enough to tell apart."""
    size = int(np.prod(plan.schema.row_shape, dtype=np.int64))
    if size > MOST_COLUMNS or not rows:
        return []
    names = plan.schema.columns or tuple(f"feature_{index}" for index in range(size))
    tolerance = plan.bounded.bound.tolerance if plan.bounded else np.full(size, np.inf)
    return [
        {
            "name": names[index],
            "rmse": math.sqrt(loss.squared[index] / rows),
            "largest": float(loss.largest[index]),
            "bound": float(tolerance[index]) if np.isfinite(tolerance[index]) else None,
        }
        for index in range(size)
    ]


def _bound(
    plan: StorePlan, shards: Sequence[EncodedShard], loss: Loss, codecs: Mapping[str, int]
) -> dict[str, Any] | None:
    """The bound asked for, and what was measured on all that was read back and decoded."""
    if not plan.bounded:
        return None
    bound = plan.bounded.bound
    told_apart = len(loss.largest) == len(bound.tolerance)
    tolerance = bound.tolerance if told_apart else bound.tolerance.max(keepdims=True)
    used = loss.largest / np.where(tolerance > 0, tolerance, 1.0)
    rmse = _loss(shards, loss)["rmse"]
    assert rmse is not None
    return {
        "asked": dict(plan.bounded.asked),
        "values": loss.values,
        "held": bool((loss.largest <= tolerance).all()) and rmse <= bound.rmse,
        "largest_of_bound": float(used.max(initial=0.0))
        if np.isfinite(bound.tolerance).any()
        else None,
        "rmse_of_bound": rmse / bound.rmse if math.isfinite(bound.rmse) else None,
        "codecs": dict(codecs),
    }


def _contest(plan: StorePlan, source: int) -> list[dict[str, Any]]:
    """The candidates with what the whole store would take by each, as far as the sample tells."""
    if not plan.bounded:
        return []
    return [
        {
            "codec": entry.name,
            "bytes": entry.store_bytes,
            "ratio": _ratio(source, entry.store_bytes),
        }
        for entry in plan.bounded.entries
    ]


def _ratio(before: int, after: int) -> float:
    return round(before / after, 3) if after else 0.0


def _break_even(rows: int, lossless: int, store: int, decoder: int) -> int | None:
    """Rows after which the decoder has paid for itself against the lossless form;

    None where it never does.
    """
    saved_a_row = (lossless - (store - decoder)) / rows if rows else 0.0
    return math.ceil(decoder / saved_a_row) if saved_a_row > 0 else None
