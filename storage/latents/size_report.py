"""Measures a store and writes its size report: what it costs, saves and loses."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from storage.codecs.bounded import reads_latents
from storage.codecs.deviation import LARGEST
from storage.files.atomic import write_bytes, write_json
from storage.files.manifest import Json, list_files, sealed_bytes
from storage.latents.loss import MOST_COLUMNS, Loss, merge_losses, quantile
from storage.latents.plan import EncodedShard, StorePlan
from storage.latents.sizes import (
    BoundKept,
    ColumnLoss,
    ContestEntry,
    CurvePoint,
    LossFigures,
    LosslessForm,
    Ratios,
    SizeReport,
    Sizes,
    size_ratio,
)
from storage.latents.store import MODEL

PLACEHOLDER = "0" * 64
JSON_NAME, PAGE_NAME = "size_report.json", "size_report.html"
MOST_SHOWN = 100  # columns on the page, those with the largest errors


def write_size_report(
    folder: Path,
    manifest: Json,
    shards: Sequence[EncodedShard],
    plan: StorePlan,
    curve: Sequence[Json] = (),
) -> SizeReport:
    """Measure the store in `folder` and write size_report.json and .html into it.

    manifest: the one that will be written. curve: `codec`, `rmse` and `bytes` of the store with
    other codecs or bits.
    """
    report = measure_store(folder, shards, plan, manifest_bytes=_sealed_size(folder, manifest))
    report = replace(report, error_against_ratio=_points(curve, report.bytes.source))
    write_json(folder / JSON_NAME, report.to_json())
    write_bytes(folder / PAGE_NAME, _page(report, manifest))
    return report


def _sealed_size(folder: Path, manifest: Json) -> int:
    """Return the bytes that the manifest will have: the length of a digest is known beforehand."""
    names = sorted([*list_files(folder), JSON_NAME, PAGE_NAME])
    return len(sealed_bytes({**manifest, "files": dict.fromkeys(names, PLACEHOLDER)}))


def _points(curve: Iterable[Json], source: int) -> list[CurvePoint]:
    return [
        CurvePoint(each["codec"], each["rmse"], size_ratio(source, each["bytes"])) for each in curve
    ]


def _page(report: SizeReport, manifest: Json) -> bytes:
    from storage.pages import render  # late: jinja2 takes time to import
    from storage.pages.figures import error_plot, ratio_plot
    from storage.pages.size_verdict import size_verdict

    facts = report.to_json()
    worst = sorted(facts["columns"], key=lambda column: -column["largest"])[:MOST_SHOWN]
    plot = curve = ""
    if report.contest:
        plot = ratio_plot(facts["contest"])
    if report.error_against_ratio:
        curve = error_plot(facts["error_against_ratio"], report.loss.rmse, report.ratio.source)
    return render(
        "size_report.html.j2",
        report=facts,
        manifest=manifest,
        columns=worst,
        plot=plot,
        curve=curve,
        verdict=size_verdict(facts),
    )


def measure_store(
    folder: Path, shards: Sequence[EncodedShard], plan: StorePlan, *, manifest_bytes: int
) -> SizeReport:
    """Return all figures of the store in `folder`, which has no report and no manifest yet."""
    rows = shards[-1].stop if shards else 0
    codecs = _rows_by_codec(shards)
    lossless = _lossless(folder, shards, plan)
    sizes = _sizes(folder, shards, plan, lossless.bytes, manifest_bytes)
    loss = merge_losses([facts.loss for facts in shards])
    figures = _loss_figures(shards, loss, plan)
    return SizeReport(
        rows=rows,
        bytes=sizes,
        extras=_extras(folder, sizes),
        ratio=Ratios.of(sizes),
        lossless=lossless,
        break_even_rows=_break_even(rows, sizes),
        exact_rows=sum(facts.exact_rows for facts in shards),
        outside_values=sum(facts.outside_values for facts in shards),
        loss=figures,
        columns=_columns(plan, loss),
        bound=_bound_kept(plan, loss, figures.rmse, codecs),
        contest=_contest(plan, sizes.source),
    )


def _rows_by_codec(shards: Sequence[EncodedShard]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for facts in shards:
        found.update(facts.codecs)
    return dict(found)


def _file_bytes(folder: Path, prefix: str) -> int:
    return sum(path.stat().st_size for path in folder.glob(f"{prefix}*"))


def _sizes(
    folder: Path,
    shards: Sequence[EncodedShard],
    plan: StorePlan,
    lossless: int,
    manifest_bytes: int,
) -> Sizes:
    source, values = _source_bytes(shards, plan)
    read = sum(facts.bytes_out for facts in shards)
    decodes_latents = reads_latents(_rows_by_codec(shards))
    decoder = _file_bytes(folder / MODEL, "") if decodes_latents else 0
    return Sizes(
        source=source,
        float32=source - values + values // np.dtype(plan.schema.dtype).itemsize * 4,
        lossless=lossless,
        store=read + manifest_bytes + decoder,
        shards=read,
        latents=_file_bytes(folder, "shard-") if decodes_latents else 0,
        values=_file_bytes(folder, "values-"),
        exact_rows_raw=sum(facts.exact_bytes for facts in shards),
        decoder=decoder,
        manifest=manifest_bytes,
        columns=_file_bytes(folder, "columns-"),
    )


def _extras(folder: Path, sizes: Sizes) -> dict[str, int]:
    """Return the bytes that decoding does not read, by what they hold."""
    shard_files = sum(_file_bytes(folder, kind) for kind in ("shard-", "values-", "columns-"))
    found = {
        "errors and ids": _file_bytes(folder, "rows-"),
        "latents": shard_files - sizes.shards,
        "decoder": _file_bytes(folder / MODEL, "") - sizes.decoder,
        "latents.h5": _file_bytes(folder, "latents.h5"),
    }
    return {name: size for name, size in found.items() if size}


def _source_bytes(shards: Sequence[EncodedShard], plan: StorePlan) -> tuple[int, int]:
    """Return the bytes of the source, and those of its values."""
    rows = shards[-1].stop if shards else 0
    return sum(facts.bytes_in for facts in shards), rows * plan.schema.row_bytes


def _lossless(folder: Path, shards: Sequence[EncodedShard], plan: StorePlan) -> LosslessForm:
    """Return the source without loss; exact columns have no smaller form than their files."""
    _, values = _source_bytes(shards, plan)
    taken = sum(facts.lossless_sample_in for facts in shards)
    packed = sum(facts.lossless_sample_out for facts in shards)
    scaled = round(values * packed / taken) if taken else values
    return LosslessForm(scaled + _file_bytes(folder, "columns-"), taken)


def _loss_figures(shards: Sequence[EncodedShard], loss: Loss, plan: StorePlan) -> LossFigures:
    values = sum(facts.values for facts in shards)
    rmse = span = 0.0
    if values:
        rmse = math.hypot(*(facts.norm for facts in shards)) / math.sqrt(values)
        span = _range(shards)
    largest = max((facts.largest_error for facts in shards), default=0.0)
    p999 = quantile(loss, 0.999)

    def of_range(value: float) -> float | None:
        return min(value / span, LARGEST) if span else None

    return LossFigures(
        rows=values // math.prod(plan.schema.row_shape),
        rmse=rmse,
        largest=largest,
        p999=p999,
        range=span,
        rmse_of_range=of_range(rmse),
        largest_of_range=of_range(largest),
        p999_of_range=of_range(p999),
    )


def _range(shards: Sequence[EncodedShard]) -> float:
    """Return the range of the source's values, at most the largest float64."""
    lows = [facts.low for facts in shards if facts.low is not None]
    highs = [facts.high for facts in shards if facts.high is not None]
    return min(max(highs) - min(lows), LARGEST) if lows else 0.0


def _columns(plan: StorePlan, loss: Loss) -> list[ColumnLoss]:
    """Return RMSE and largest error per column; none if rows are too wide for that."""
    size = int(np.prod(plan.schema.row_shape, dtype=np.int64))
    rows = loss.values // size
    if size > MOST_COLUMNS or not rows:
        return []
    names = plan.schema.columns or tuple(f"feature_{index}" for index in range(size))
    tolerance = plan.bounded.bound.tolerance if plan.bounded else np.full(size, np.inf)
    return [
        ColumnLoss(
            name=name,
            rmse=norm / math.sqrt(rows),
            largest=float(largest),
            bound=float(bound) if np.isfinite(bound) else None,
        )
        for name, norm, largest, bound in zip(
            names[:size], loss.norms, loss.largest, tolerance, strict=True
        )
    ]


def _bound_kept(
    plan: StorePlan, loss: Loss, rmse: float, codecs: Mapping[str, int]
) -> BoundKept | None:
    """Return how the store keeps its bound, measured on all values read back and decoded."""
    if not plan.bounded:
        return None
    bound = plan.bounded.bound
    per_column = len(loss.largest) == len(bound.tolerance)
    tolerance = bound.tolerance if per_column else bound.tolerance.max(keepdims=True)
    used = loss.largest / np.where(tolerance > 0, tolerance, 1.0)
    has_tolerance = np.isfinite(bound.tolerance).any()
    return BoundKept(
        asked=dict(plan.bounded.asked),
        values=loss.values,
        held=bool((loss.largest <= tolerance).all()) and rmse <= bound.rmse,
        largest_of_bound=float(used.max(initial=0.0)) if has_tolerance else None,
        rmse_of_bound=rmse / bound.rmse if math.isfinite(bound.rmse) else None,
        codecs=dict(codecs),
    )


def _contest(plan: StorePlan, source: int) -> list[ContestEntry]:
    """Return the entries of the contest, with sizes estimated from its sample."""
    if not plan.bounded:
        return []
    return [
        ContestEntry(entry.name, entry.store_bytes, size_ratio(source, entry.store_bytes))
        for entry in plan.bounded.entries
    ]


def _break_even(rows: int, sizes: Sizes) -> int | None:
    saved_per_row = (sizes.lossless - (sizes.store - sizes.decoder)) / rows if rows else 0.0
    return math.ceil(sizes.decoder / saved_per_row) if saved_per_row > 0 else None
