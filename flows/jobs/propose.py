"""init: sample the clean rows and propose a job file, with the reasons as comments."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np

from aemodel.table_defaults import (
    BATCH,
    HIDDEN,
    MEMBERS,
    NOISE,
    PROTOTYPES,
    STEPS,
    table_epochs,
    table_latents,
)
from flows.results import CommandResult
from storage.errors import SourceError
from storage.sources import Source, open_source

SAMPLE_ROWS = 20_000
QUANTILES = ("0.999", "0.99", "0.95", "0.9")
FEWEST_PIXELS = 64  # flat uint8 rows with fewer values are a table: counts, grades, playing cards
FEW_LEVELS = 64  # bytes that use less than a quarter of their range are not gray levels
WIDTH = 512  # most units in a hidden layer for images
WANTED_ALARMS = 3  # calibration scores above the cut: with fewer, one or two rows decide the cut
MANY_ROWS = 30_000  # with this many rows, a tenth is enough for calibration


@dataclass(frozen=True)
class SampleSummary:
    """Properties of a sample of the clean rows that decide the proposal."""

    rows: int
    features: int
    is_image: bool
    low: float
    high: float
    has_gaps: bool  # NaN
    is_bytes: bool  # uint8

    @property
    def shares_a_scale(self) -> bool:
        """Whether all values share one scale, as gray levels do."""
        return self.is_image or (self.is_bytes and self.features >= FEWEST_PIXELS)


def propose_job(source: str, *, field: str) -> CommandResult:
    """The facts and the text of a job file for the rows at `source`."""
    with open_source(Path(source), field=field, missing="impute") as opened:
        sample = summarize_sample(opened)
        text = write_job(opened, source, field, sample)
    facts = {"path": source, "rows": sample.rows, "features": sample.features, "job": text}
    return CommandResult(facts, text)


def summarize_sample(source: Source) -> SampleSummary:
    """Summarize the first rows of a source. Raises SourceError if it has none."""
    if not source.n_rows:
        raise SourceError(f"{source.path}: holds no rows; init needs clean rows")
    rows = next(source.chunks(0, SAMPLE_ROWS, max_rows=SAMPLE_ROWS)).rows
    flat = rows.reshape(len(rows), -1).astype(np.float64)
    finite = flat[np.isfinite(flat)]
    return SampleSummary(
        rows=source.n_rows,
        features=flat.shape[1],
        is_image=rows.ndim in (3, 4),
        low=float(finite.min(initial=0.0)) if len(finite) else 0.0,
        high=float(finite.max()) if len(finite) else 0.0,
        has_gaps=bool(np.isnan(flat).any()),
        is_bytes=rows.dtype == np.uint8,
    )


def write_job(source: Source, path: str, field: str, sample: SampleSummary) -> str:
    """The job file as text."""
    facts = ", ".join(f"{name} {value}" for name, value in source.facts.items())
    size = f"{sample.rows:,} rows of {sample.features:,} features"
    lines = [
        f"# {path}: {size}, {source.schema.dtype}; {facts}",
        f'name = "{job_name(path)}"',
        "",
        *_data_section(source, path, field, sample),
        "",
        "[model]",
        *(_image_model(sample) if sample.shares_a_scale else _table_model(sample)),
        "",
        *_train_and_score_sections(sample),
    ]
    return "\n".join(lines) + "\n"


def job_name(path: str) -> str:
    """A job name derived from the source's name; 'rows' if nothing is left of it."""
    stem = Path(path).name.lower().split(".")[0].replace("*", "")
    return re.sub(r"[^a-z0-9]+", "-", stem).strip("-") or "rows"


def _data_section(source: Source, path: str, field: str, sample: SampleSummary) -> list[str]:
    suffix = "".join(Path(path).suffixes[-2:]) or ".parquet"
    incoming = _quoted(f"nights/{{date}}{suffix}")
    lines = [
        "[data]",
        _key("clean", _quoted(path), "rows assumed to contain no outliers"),
        _key("incoming", incoming, "the input of a night; change it to your own path"),
    ]
    if field:
        lines.append(_key("field", _quoted(field), "the part of the file to read"))
    if sample.has_gaps:
        why = "NaN found: the network sees the median, the error counts observed features only"
        lines.append(_key("missing", '"impute"', why))
    lines += [f"# {what}: {_one_line(names)}" for what, names in source.not_read.items()]
    return lines


def _image_model(sample: SampleSummary) -> list[str]:
    hidden = min(WIDTH, sample.features)
    latent = max(1, min(64, sample.features // 8))
    why_latent = f"an eighth of {sample.features} features that share one scale fits most images"
    return [
        _key("hidden", f"[{hidden}]", "one wide layer on each side captures nonlinear structure"),
        _key("latent", str(latent), why_latent),
        _key("activation", '"silu"', "smooth, without dead units"),
        _scaling(sample),
        _key("output", '"sigmoid"', "scaled values lie in [0, 1]"),
        _key("loss", '"mse"', "the error that ranks rows"),
    ]


def _table_model(sample: SampleSummary) -> list[str]:
    latent = str(table_latents(sample.features))
    why_prototypes = "a row is rebuilt as a mean of prototypes, so far-out rows cannot be rebuilt"
    why_members = "0 prototypes and 1 member reconstruct more closely, for smaller stores"
    return [
        _key("hidden", str(list(HIDDEN)), "columns of a table depend on each other nonlinearly"),
        _key("latent", latent, "no bottleneck: the prototypes prevent copying"),
        _key("prototypes", str(PROTOTYPES), why_prototypes),
        _key("members", str(MEMBERS), why_members),
        _key("activation", '"silu"', "smooth, without dead units"),
        _key("scaling", '"minmax"', "each column has its own scale; ranked best in benchmarks"),
        _key("output", '"identity"', "a mean of rows needs no squashing"),
        _key("loss", '"mse"', "cross-entropy requires values in [0, 1]"),
        _key("noise", str(NOISE), "denoising: share of each column's range"),
    ]


def _scaling(sample: SampleSummary) -> str:
    span = f"values range from {sample.low:g} to {sample.high:g}"
    if sample.is_bytes and sample.high < FEW_LEVELS:
        return _key("scaling", '"minmax"', f"{span}; 'range' would divide bytes by 255")
    return _key("scaling", '"range"', f"{span}: one scale for the whole row")


def _train_and_score_sections(sample: SampleSummary) -> list[str]:
    share = "0.1" if sample.rows >= MANY_ROWS else "0.2"
    calibration = int(sample.rows * float(share))
    return [
        "[train]",
        *_epochs_and_batch(sample, float(share)),
        _key("calibration", share, f"about {calibration:,} rows, used for p-values only"),
        "",
        "[score]",
        _ranking(sample),
        _rule(calibration),
        _key("top_n", "100", "rows always listed in the report"),
    ]


def _epochs_and_batch(sample: SampleSummary, calibration: float) -> list[str]:
    if not sample.shares_a_scale:
        epochs = table_epochs(sample.rows * (0.9 - calibration))
        return [
            _key("epochs", str(epochs), f"about {STEPS} steps"),
            _key("batch_size", str(BATCH), "rows per step"),
        ]
    if sample.rows < SAMPLE_ROWS:
        epochs_key = _key("epochs", "100", "few rows need more epochs")
    else:
        epochs_key = _key("epochs", "24", "enough for this many rows")
    batch = "128" if sample.rows >= 5_000 else "64"
    return [epochs_key, _key("batch_size", batch, "rows per step")]


def _ranking(sample: SampleSummary) -> str:
    if sample.shares_a_scale:
        why = "the error relative to clean rows with as much content: best for images"
        return _key("by", '"relative"', why)
    return _key("by", '"novelty"', "the error and the distance to clean rows: best for tables")


def _rule(calibration: int) -> str:
    quantile = achievable_quantile(calibration)
    if not quantile:
        why = f"{calibration:,} calibration rows are too few for a promise: rows are only ranked"
        return _key("rule", '"top"', why)
    percent = float((Decimal(1) - Decimal(quantile)) * 100)
    why = f"flags at most {percent:g} % of clean rows; {calibration:,} rows can promise that"
    return _key("rule", f'"quantile {quantile}"', why)


def achievable_quantile(calibration_rows: int) -> str:
    """The strictest of QUANTILES with WANTED_ALARMS calibration scores above it; '' if none."""
    for quantile in QUANTILES:
        if int((calibration_rows + 1) * (1 - Decimal(quantile))) >= WANTED_ALARMS:
            return quantile
    return ""


def _one_line(text: str) -> str:
    """Text for a comment, which ends with its line."""
    return " ".join(text.split())


def _quoted(text: str) -> str:
    """Quote text as TOML does, which is as JSON does."""
    return json.dumps(text, ensure_ascii=False)


def _key(name: str, value: str, why: str) -> str:
    return f"{f'{name:<11} = {value}':<42} # {why}"
