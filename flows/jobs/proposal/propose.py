"""init: sample the clean rows and propose a job file, with the reasons as comments."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from flows.errors import UsageError
from flows.jobs.proposal.contaminated import contaminated_comment
from flows.jobs.proposal.data_section import (
    Input,
    comment_lines,
    data_keys,
    data_section,
    open_in_usual_size,
    warning_lines,
)
from flows.jobs.proposal.held_out_blocks import KnownBlocks, known_blocks
from flows.jobs.proposal.proposed_settings import (
    model_section,
    train_and_score_sections,
)
from flows.jobs.proposal.query_input import rows_in_file
from flows.jobs.proposal.sample import (
    FEWEST_ROWS,
    SampleSummary,
    read_sample,
    summarize_sample,
)
from flows.jobs.proposal.series_job import (
    ProposedSeries,
    propose_series,
    series_model_sections,
    series_section,
    unread_columns,
)
from flows.results import CommandResult
from storage.sources import (
    DISTINCT,
    NUMBER,
    Feature,
    Source,
    named_features,
)
from storage.text import printable

NEW_LEVELS = "nights bring new levels; if they bring the same, set entity to it, and no split"
MOST_NAME = 100  # letters of a job's name


def propose_job(source: str, *, field: str, connection: str = "") -> CommandResult:
    """The facts and the text of a job file for the rows at `source`, a path or query.

    connection: the environment variable that holds the URI of the query's database.
    """
    _require_utf8(source)
    with rows_in_file(source, connection) as file:
        return _propose(Input(source, file, field, connection))


def _propose(rows: Input) -> CommandResult:
    opened, rows = open_in_usual_size(rows)
    with opened:
        if series := propose_series(opened, rows):
            return _propose_series(series)
        found, columns = read_sample(opened), list(named_features(opened.schema))
        sample = summarize_sample(found, opened.n_rows, columns)
        name = _running_id(sample) or _text_id(opened)
        blocks = known_blocks(opened, sample)
        rows = replace(rows, id=name)
        if blocks and blocks.category:
            rows = replace(rows, ignore=(blocks.category,), why_ignored=NEW_LEVELS)
        if unread := {rows.id, *rows.ignore} & {*opened.schema.columns}:
            kept = [place for place, column in enumerate(columns) if column.name not in unread]
            columns = [columns[place] for place in kept]
            days = sample.days  # an id of days could order a series instead
            sample = replace(summarize_sample(found[:, kept], opened.n_rows, columns), days=days)
        text = write_job(opened, rows, sample, blocks)
    facts = {"path": rows.path, "rows": sample.rows, "features": sample.features, "job": text}
    return CommandResult(facts, text)


def _propose_series(series: ProposedSeries) -> CommandResult:
    rows = series.rows
    with series.source as source:
        numbers = [Feature(name, NUMBER) for name in series.sensors]
        found = summarize_sample(read_sample(source), source.n_rows, numbers)
        findings = replace(found.findings, repeated=0.0)  # windows do not care
        sample = replace(found, findings=findings)
        text = write_series_job(rows, sample, series)
    facts = {"path": rows.path, "rows": sample.rows, "features": sample.features, "job": text}
    return CommandResult(facts, text)


def write_series_job(rows: Input, sample: SampleSummary, series: ProposedSeries) -> str:
    """The job file as text, for rows that form series."""
    lines = [
        *_first_lines(series.source, rows, sample),
        "",
        "[data]",
        *data_keys(series.source, rows, sample),
        *(line for what, names in unread_columns(series) for line in comment_lines(what, names)),
        *warning_lines(sample),
        "",
        *series_section(series),
        "",
        *series_model_sections(series),
    ]
    return "\n".join(lines) + "\n"


def _require_utf8(path: str) -> None:
    if path != path.encode(errors="replace").decode():
        raise UsageError(
            f"{printable(path)}: a job file is UTF-8 and cannot hold this path; rename the file"
        )


def _running_id(sample: SampleSummary) -> str:
    """The first named column of whole numbers that ascend, if other columns are left; else ''."""
    names = sample.names
    if len(names) < 2:
        return ""
    return next((names[index] for index in sample.running_ids if names[index]), "")


def _text_id(source: Source) -> str:
    """The first column of text that is distinct in all rows; '' if there is none."""
    return next((name for name, why in source.unread.items() if why == DISTINCT), "")


def write_job(
    source: Source, rows: Input, sample: SampleSummary, blocks: KnownBlocks | None
) -> str:
    """The job file as text."""
    lines = [
        *_first_lines(source, rows, sample),
        "",
        *data_section(source, rows, sample),
        "",
        "[model]",
        *model_section(sample),
        "",
        *contaminated_comment(source),
        *train_and_score_sections(sample, blocks),
    ]
    return "\n".join(lines) + "\n"


def _first_lines(source: Source, rows: Input, sample: SampleSummary) -> Iterator[str]:
    facts = ", ".join(f"{name} {value}" for name, value in source.facts.items())
    facts = "a query's result" if rows.connection else facts
    size = f"{sample.rows:,} rows of {sample.features:,} features"
    yield printable(f"# {rows.path}: {size}, {source.schema.dtype}; {facts}")
    yield from _few_rows(sample)
    yield f'name = "{job_name(str(rows.file) if rows.connection else rows.path)}"'


def _few_rows(sample: SampleSummary) -> Iterator[str]:
    if sample.rows < FEWEST_ROWS:
        yield f"# {sample.rows} rows do not show what is usual: collect at least {FEWEST_ROWS}"


def job_name(path: str) -> str:
    """A job name derived from the source's name; 'rows' if nothing is left of it."""
    stem = Path(path).name.lower().split(".")[0].replace("*", "")
    return re.sub(r"[^a-z0-9]+", "-", stem)[:MOST_NAME].strip("-") or "rows"
