"""The size report: what a store costs and saves, against honest denominators, and what it loses."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from storage.atomic import write_bytes, write_json
from storage.latents.store import MODEL, ShardFacts
from storage.manifest import list_files, sealed_bytes
from storage.sources.source import Schema

PLACEHOLDER = "0" * 64
REPORTS = ("size_report.html", "size_report.json")
FORMAT_VERSION = 1


def write_size_report(folder: Path, manifest: Mapping[str, Any], shards: Sequence[ShardFacts], schema: Schema) -> dict[str, Any]:
    """Measure the store in `folder`, write size_report.json and .html into it, and return the report.

    `manifest` is the one to be written: a digest's length does not depend on what it is a digest of, so its size is known beforehand.
    """
    from storage.pages import render  # late: jinja2 takes time to import

    files = dict.fromkeys([*list_files(folder), *REPORTS], PLACEHOLDER)
    manifest_bytes = len(sealed_bytes({**manifest, "files": dict(sorted(files.items()))}))
    report = size_report(folder, shards, schema, manifest_bytes=manifest_bytes)
    write_json(folder / "size_report.json", report)
    write_bytes(folder / "size_report.html", render("size_report.html.j2", report=report, manifest=manifest))
    return report


def size_report(folder: Path, shards: Sequence[ShardFacts], schema: Schema, *, manifest_bytes: int) -> dict[str, Any]:
    """All figures of a store. Bytes of the store = all that `decode` reads: shards, manifest, decoder."""
    rows = shards[-1].stop if shards else 0
    source = sum(facts.bytes_in for facts in shards)
    shard_bytes = sum(facts.bytes_out for facts in shards)
    decoder = sum(path.stat().st_size for path in (folder / MODEL).iterdir())
    store = shard_bytes + manifest_bytes + decoder
    float32 = source // np.dtype(schema.dtype).itemsize * 4
    lossless = _lossless(shards, source)
    return {
        "format_version": FORMAT_VERSION,
        "rows": rows,
        "bytes": {
            "source": source,
            "float32": float32,
            "lossless": lossless["bytes"],
            "store": store,
            "shards": shard_bytes,
            "exact_rows_raw": sum(facts.exact_bytes for facts in shards),
            "decoder": decoder,
            "manifest": manifest_bytes,
        },
        "extras": {name: (folder / name).stat().st_size for name in ("latents.h5",) if (folder / name).exists()},
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
        "loss": _loss(shards),
        "bound": None,
    }


def _lossless(shards: Sequence[ShardFacts], source: int) -> dict[str, Any]:
    taken, left = sum(facts.lossless_sample_in for facts in shards), sum(facts.lossless_sample_out for facts in shards)
    how = "zstd at level 19, narrowest exact dtype, better of row and column order"
    return {"bytes": round(source * left / taken) if taken else source, "measured_on_bytes": taken, "how": how}


def _loss(shards: Sequence[ShardFacts]) -> dict[str, float | None]:
    values = sum(facts.values for facts in shards)
    span = max(facts.high for facts in shards) - min(facts.low for facts in shards) if values else 0.0
    rmse = math.sqrt(sum(facts.squared for facts in shards) / values) if values else 0.0
    largest = max((facts.largest_error for facts in shards), default=0.0)
    share = (
        {"rmse_of_range": rmse / span, "largest_of_range": largest / span} if span else {"rmse_of_range": None, "largest_of_range": None}
    )
    return {"rmse": rmse, "largest": largest, "range": span, **share}


def _ratio(before: int, after: int) -> float:
    return round(before / after, 3) if after else 0.0


def _break_even(rows: int, lossless: int, store: int, decoder: int) -> int | None:
    """Rows after which the decoder has paid for itself against the lossless form; None where it never does."""
    saved_a_row = (lossless - (store - decoder)) / rows if rows else 0.0
    return math.ceil(decoder / saved_a_row) if saved_a_row > 0 else None
