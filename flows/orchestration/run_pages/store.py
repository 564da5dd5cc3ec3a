"""The artifact of an encoding run: size, reconstruction error, bound, codecs and worst shards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from flows.encoding.encode import EncodeResult
from flows.orchestration.run_pages.markdown import (
    JsonObject,
    MarkdownArtifact,
    escape,
    facts_table,
    format_number,
    markdown_table,
)
from storage.files.manifest import read_manifest
from storage.pages.figures import error_plot
from storage.units import format_bytes

MAX_SHARDS = 5  # in the text; the table artifact holds more


def store_markdown(result: EncodeResult) -> MarkdownArtifact:
    """Describe a latent store, its compression ratio first."""
    description = _description(result.report)
    if not result.written:
        description = f"Up to date: {description}"
    return MarkdownArtifact(description, "\n\n".join(_store_parts(result)))


def _description(report: JsonObject) -> str:
    size, ratio, loss = report["bytes"], report["ratio"], report["loss"]
    parts = [
        f"{report['rows']:,} rows in {format_bytes(size['store'])}",
        f"{ratio['source']:.3g} times smaller than the source",
        f"RMSE {format_number(loss['rmse'])}",
        f"largest error {format_number(loss['largest'])}",
        *(f"{name} {value:.4g} {_held(report)}" for name, value in _requested(report).items()),
    ]
    return ", ".join(parts)


def _store_parts(result: EncodeResult) -> Iterator[str]:
    report = result.report
    yield f"# {report['ratio']['source']:.3g} times smaller"
    if not result.written:
        yield "Up to date: store already exists."
    yield _size_table(report)
    yield "## Reconstruction error"
    yield facts_table(_error_rows(report))
    yield from _rate_distortion_plot(report)
    yield "## Contents"
    yield facts_table(_content_rows(report))
    yield from _codec_selection(report)
    yield from _worst_shards(result)
    yield f"Size report: `{result.path / 'size_report.html'}`"


def _size_table(report: JsonObject) -> str:
    """Compare the store with its source in several forms."""
    size, ratio = report["bytes"], report["ratio"]
    compared = [
        ("source as it is", size["source"], ratio["source"]),
        ("source as float32", size["float32"], ratio["float32"]),
        ("source, lossless (zstd)", size["lossless"], ratio["lossless"]),
        ("source, decoder not counted", size["source"], ratio["source_without_model"]),
    ]
    store = ("**this store, everything counted**", f"**{format_bytes(size['store'])}**", "")
    rows = [(name, format_bytes(bytes_), f"{factor:.3g} ×") for name, bytes_, factor in compared]
    return markdown_table(("", "bytes", "compression ratio"), [store, *rows], "lrr")


def _requested(report: JsonObject) -> Mapping[str, float]:
    """Return the error bounds that the job asked for, by name."""
    bound = report["bound"]
    requested: Mapping[str, float] = bound["asked"] if bound else {}
    return requested


def _held(report: JsonObject) -> str:
    return "held" if report["bound"]["held"] else "NOT HELD"


def _error_rows(report: JsonObject) -> Iterator[tuple[str, str]]:
    """Yield RMSE, largest error and bounds, each with its share of the range or of the bound."""
    loss, bound = report["loss"], report["bound"]
    measured = [
        ("root mean square error", loss["rmse"], loss["rmse_of_range"]),
        ("largest error", loss["largest"], loss["largest_of_range"]),
        ("99.9 % of values within", loss["p999"], loss["p999_of_range"]),
    ]
    for name, value, of_range in measured:
        yield name, f"{format_number(value)}{_share(of_range, 'the range')}"
    if not bound:
        yield "error bound", "none requested"
    for name, value in _requested(report).items():
        used = bound["rmse_of_bound"] if name == "max_rmse" else bound["largest_of_bound"]
        text = f"{format_number(value)}, **{_held(report)}**{_share(used, 'the bound used')}"
        yield escape(name), text


def _share(value: float | None, whole: str) -> str:
    return "" if value is None else f" ({100 * value:.3g} % of {whole})"


def _rate_distortion_plot(report: JsonObject) -> Iterator[str]:
    """Plot RMSE against compression ratio, if it was measured on a sample of the rows."""
    curve = report["error_against_ratio"]
    if curve:
        plot = error_plot(curve, report["loss"]["rmse"], report["ratio"]["source"])
        yield f"![RMSE against ratio]({plot})"


def _content_rows(report: JsonObject) -> Iterator[tuple[str, str]]:
    """Yield the sizes of what decoding reads, of the rest, and the break-even point in rows."""
    for name in ("latents", "values", "decoder", "manifest"):
        if report["bytes"][name]:
            yield name, format_bytes(report["bytes"][name])
    for name, size in report["extras"].items():
        yield f"{name}, not needed for decoding", format_bytes(size)
    rows = report["break_even_rows"]
    yield "break-even with lossless compression", "never" if rows is None else f"{rows:,} rows"


def _codec_selection(report: JsonObject) -> Iterator[str]:
    """Yield the codecs that held the bound on the sample, smallest store first."""
    if not report["contest"]:
        return
    yield "## Codec selection"
    rows = [
        (escape(entry["codec"]), format_bytes(entry["bytes"]), f"{entry['ratio']:.3g} ×")
        for entry in report["contest"]
    ]
    yield markdown_table(("codec", "estimated store size", "compression ratio"), rows, "lrr")


def shards_by_error(result: EncodeResult) -> list[JsonObject]:
    """Return the shard entries of the store's manifest, largest error first."""
    shards: list[JsonObject] = read_manifest(result.path, "latents")["shards"]
    return sorted(shards, key=lambda shard: -shard["largest_error"])


def shard_rows(shard: JsonObject) -> str:
    """Format the row range of a shard."""
    return f"{shard['start']:,} to {shard['stop']:,}"


def _worst_shards(result: EncodeResult) -> Iterator[str]:
    """Yield the shards with the largest errors, if there are several shards."""
    shards = shards_by_error(result)
    if len(shards) < 2:
        return
    yield f"## Largest errors among {len(shards):,} shards"
    rows = [
        (shard["index"], shard_rows(shard), format_number(shard["largest_error"]))
        for shard in shards[:MAX_SHARDS]
    ]
    yield markdown_table(("shard", "rows", "largest error"), rows, "rrr")
