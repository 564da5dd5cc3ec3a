"""init: sample the clean rows and propose a job file, with the reasons as comments."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

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
from flows.errors import UsageError
from flows.jobs.contaminated import contaminated_comment
from flows.jobs.sample import SAMPLE_ROWS, SampleSummary, summarize_sample
from flows.results import CommandResult
from storage.sources import Source, open_source
from storage.text import printable

QUANTILES = ("0.999", "0.99", "0.95", "0.9")
FEW_LEVELS = 64  # bytes that use less than a quarter of their range are not gray levels
WIDTH = 512  # most units in a hidden layer for images
WANTED_ALARMS = 3  # calibration scores above the cut: with fewer, one or two rows decide the cut
MANY_ROWS = 30_000  # with this many rows, a tenth is enough for calibration
COMMENT_WIDTH = 98
MOST_NAME = 100  # letters of a job's name


@dataclass(frozen=True)
class Input:
    """The keys of [data] that say which rows to read."""

    path: str
    field: str = ""
    id: str = ""

    def open(self) -> Source:
        """Open the rows; gaps are read as NaN."""
        return open_source(Path(self.path), field=self.field, id=self.id, missing="impute")


def propose_job(source: str, *, field: str) -> CommandResult:
    """The facts and the text of a job file for the rows at `source`."""
    _require_utf8(source)
    rows = Input(source, field)
    with rows.open() as opened:
        sample = summarize_sample(opened)
        rows = Input(source, field, _running_id(opened, sample))
    with rows.open() as opened:
        if rows.id:
            sample = summarize_sample(opened)
        text = write_job(opened, rows, sample)
    facts = {"path": source, "rows": sample.rows, "features": sample.features, "job": text}
    return CommandResult(facts, text)


def _require_utf8(path: str) -> None:
    if path != path.encode(errors="replace").decode():
        raise UsageError(
            f"{printable(path)}: a job file is UTF-8 and cannot hold this path; rename the file"
        )


def _running_id(source: Source, sample: SampleSummary) -> str:
    """The first named column of whole numbers that ascend, if other columns are left; else ''."""
    names = source.schema.columns
    if len(names) < 2:
        return ""
    return next((names[index] for index in sample.running_ids if names[index]), "")


def write_job(source: Source, rows: Input, sample: SampleSummary) -> str:
    """The job file as text."""
    facts = ", ".join(f"{name} {value}" for name, value in source.facts.items())
    size = f"{sample.rows:,} rows of {sample.features:,} features"
    lines = [
        printable(f"# {rows.path}: {size}, {source.schema.dtype}; {facts}"),
        f'name = "{job_name(rows.path)}"',
        "",
        *_data_section(source, rows, sample),
        "",
        "[model]",
        *(_image_model(sample) if sample.shares_a_scale else _table_model(sample)),
        "",
        *contaminated_comment(source),
        *_train_and_score_sections(sample),
    ]
    return "\n".join(lines) + "\n"


def job_name(path: str) -> str:
    """A job name derived from the source's name; 'rows' if nothing is left of it."""
    stem = Path(path).name.lower().split(".")[0].replace("*", "")
    return re.sub(r"[^a-z0-9]+", "-", stem)[:MOST_NAME].strip("-") or "rows"


def _data_section(source: Source, rows: Input, sample: SampleSummary) -> list[str]:
    return [
        "[data]",
        *_data_keys(rows, sample),
        *(line for what, names in source.not_read.items() for line in _comment(what, [names])),
        *_warnings(source, sample),
    ]


def _data_keys(rows: Input, sample: SampleSummary) -> Iterator[str]:
    suffix = "".join(Path(rows.path).suffixes[-2:]) or ".parquet"
    incoming = _quoted(f"nights/{{date}}{suffix}")
    yield _key("clean", _quoted(rows.path), "rows assumed to contain no outliers")
    yield _key("incoming", incoming, "the input of a night; change it to your own path")
    if rows.field:
        yield _key("field", _quoted(rows.field), "the part of the file to read")
    if rows.id:
        why = "distinct and ascending: a row number, not a feature"
        yield _key("id", _quoted(rows.id), why)
    if sample.has_gaps:
        why = "NaN found: the network sees the median, the error counts observed features only"
        yield _key("missing", '"impute"', why)


def _warnings(source: Source, sample: SampleSummary) -> Iterator[str]:
    """Comments on columns that would spoil the scores."""
    remedy = "list the others in data.columns" if source.schema.columns else "remove them"
    yield from _comment(
        f"distinct and ascending in all rows sampled, so later nights fall outside; {remedy}",
        [_column_name(source, index) for index in sample.running],
    )
    yield from _comment(
        f"look like missing-value codes (in {sample.sampled:,} rows); replace them with NaN",
        [
            f"{each.value:g} in {_column_name(source, each.column)} ({each.count:,} times)"
            for each in sample.sentinels
        ],
    )


def _column_name(source: Source, index: int | None) -> str:
    if index is None:
        return "all columns"
    return repr(source.schema.columns[index]) if source.schema.columns else f"column {index}"


def _comment(what: str, names: Sequence[str]) -> list[str]:
    """Comment lines that list all names; none without names."""
    if not names:
        return []
    text = f"{what}: {', '.join(map(printable, names))}"
    return [
        f"# {line}"
        for line in textwrap.wrap(
            text, COMMENT_WIDTH, break_long_words=False, break_on_hyphens=False
        )
    ]


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
    why_prototypes = "rows are rebuilt as means of prototypes, so distant rows cannot be"
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
        why = f"{calibration:,} calibration rows are too few for a guarantee: rows are only ranked"
        return _key("rule", '"top"', why)
    percent = float((Decimal(1) - Decimal(quantile)) * 100)
    why = f"flags at most {percent:g} % of clean rows; {calibration:,} rows suffice for that"
    return _key("rule", f'"quantile {quantile}"', why)


def achievable_quantile(calibration_rows: int) -> str:
    """The strictest of QUANTILES with WANTED_ALARMS calibration scores above it; '' if none."""
    for quantile in QUANTILES:
        if int((calibration_rows + 1) * (1 - Decimal(quantile))) >= WANTED_ALARMS:
            return quantile
    return ""


def _quoted(text: str) -> str:
    """Quote text as TOML does, which is as JSON does, but for the control character DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(name: str, value: str, why: str) -> str:
    return f"{f'{name:<11} = {value}':<42} # {why}"
