"""init: sample the clean rows and propose a job file, with the reasons as comments."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from flows.errors import UsageError
from flows.jobs.proposal.column_checks import warnings_of
from flows.jobs.proposal.contaminated import contaminated_comment
from flows.jobs.proposal.held_out_blocks import KnownBlocks, known_blocks
from flows.jobs.proposal.proposed_settings import (
    key_line,
    model_section,
    quoted,
    train_and_score_sections,
)
from flows.jobs.proposal.query_input import clean_query, incoming_query, rows_in_file
from flows.jobs.proposal.sample import (
    FEWEST_ROWS,
    SAMPLE_ROWS,
    SampleSummary,
    read_sample,
    summarize_sample,
)
from flows.jobs.proposal.series_job import (
    ProposedSeries,
    propose_series,
    series_model_sections,
    series_section,
    unseen_reasons,
)
from flows.results import CommandResult
from storage.sources import (
    DISTINCT,
    NUMBER,
    Feature,
    Source,
    is_image,
    list_unread,
    named_features,
    open_surveyed,
    relative_names,
)
from storage.text import list_first, printable

COMMENT_WIDTH = 98
MOST_NAME = 100  # letters of a job's name


@dataclass(frozen=True)
class Input:
    """The keys of [data] that say which rows to read; `file` holds the result of a query."""

    path: str
    file: Path
    field: str = ""
    connection: str = ""
    id: str = ""
    ignore: str = ""

    def open(self) -> Source:
        """Open the rows; gaps are read as NaN."""
        return open_surveyed(
            self.file, field=self.field, id=self.id, missing="impute", keep=SAMPLE_ROWS
        )


def propose_job(source: str, *, field: str, connection: str = "") -> CommandResult:
    """The facts and the text of a job file for the rows at `source`, a path or query.

    connection: the environment variable that holds the URI of the query's database.
    """
    _require_utf8(source)
    with rows_in_file(source, connection) as file:
        return _propose(Input(source, file, field, connection))


def _propose(rows: Input) -> CommandResult:
    with rows.open() as opened:
        if series := propose_series(opened):
            return _propose_series(opened, rows, series)
        found, columns = read_sample(opened), list(named_features(opened.schema))
        sample = summarize_sample(found, opened.n_rows, columns)
        name = _running_id(sample) or _text_id(opened)
        blocks = known_blocks(opened, sample)
        rows = replace(rows, id=name, ignore=blocks.category if blocks else "")
        if unread := {rows.id, rows.ignore} & {*opened.schema.columns}:
            kept = [place for place, column in enumerate(columns) if column.name not in unread]
            columns = [columns[place] for place in kept]
            sample = summarize_sample(found[:, kept], opened.n_rows, columns)
        text = write_job(opened, rows, sample, blocks)
    facts = {"path": rows.path, "rows": sample.rows, "features": sample.features, "job": text}
    return CommandResult(facts, text)


def _propose_series(source: Source, rows: Input, series: ProposedSeries) -> CommandResult:
    names = [feature.name for feature in named_features(source.schema)]
    kept = [place for place, name in enumerate(names) if name in series.sensors]
    numbers = [Feature(names[place], NUMBER) for place in kept]
    found = summarize_sample(read_sample(source)[:, kept], source.n_rows, numbers)
    sample = replace(found, findings=replace(found.findings, repeated=0.0))  # windows do not care
    text = write_series_job(source, rows, sample, series)
    facts = {"path": rows.path, "rows": sample.rows, "features": sample.features, "job": text}
    return CommandResult(facts, text)


def write_series_job(
    source: Source, rows: Input, sample: SampleSummary, series: ProposedSeries
) -> str:
    """The job file as text, for rows that form series."""
    unread = {name: why for name, why in source.unread.items() if name not in series.columns}
    lines = [
        *_first_lines(source, rows, sample),
        "",
        "[data]",
        *_data_keys(source, rows, sample),
        *_comment("columns not read", [list_unread(unread)] if unread else []),
        *(line for why, names in unseen_reasons(series) for line in _comment(why, names)),
        *_warnings(sample),
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
        *_data_section(source, rows, sample),
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


def _data_section(source: Source, rows: Input, sample: SampleSummary) -> list[str]:
    return [
        "[data]",
        *_data_keys(source, rows, sample),
        *_kinds(sample),
        *_entities(sample),
        *(line for what, names in source.not_read.items() for line in _comment(what, [names])),
        *_warnings(sample),
    ]


def _data_keys(source: Source, rows: Input, sample: SampleSummary) -> Iterator[str]:
    yield key_line("clean", quoted(rows.path), "rows assumed to contain no outliers")
    if rows.connection:
        yield from _query_keys(rows)
    else:
        incoming = _incoming(source, rows.path)
        why = "the input of a night; change it to your own path"
        if incoming.startswith(f"{rows.path.rstrip('/')}/"):
            why = "the input of a night; training knows the days in clean, so score later ones"
        yield key_line("incoming", quoted(incoming), why)
    if rows.field:
        yield key_line("field", quoted(rows.field), "the part of the file to read")
    if rows.id:
        why = "distinct in all rows sampled: it names rows, and is no feature"
        yield key_line("id", quoted(rows.id), why)
    if rows.ignore:
        why = "nights bring new levels; if they bring the same, set entity to it, and no split"
        yield key_line("ignore", f"[{quoted(rows.ignore)}]", why)
    if sample.has_gaps:
        why = "NaN found: the network sees the median, the error counts observed features only"
        yield key_line("missing", '"impute"', why)


def _query_keys(rows: Input) -> Iterator[str]:
    query = clean_query(rows.path)
    incoming = quoted(incoming_query(query, rows.id))
    yield key_line("incoming", incoming, "the rows of a night; change it to your own query")
    why = "the environment variable that holds the URI of the database"
    yield key_line("connection", quoted(rows.connection), why)
    if not rows.id and not query.is_ordered:
        yield "# no column identifies rows: add ORDER BY to both queries, or set id"


def _incoming(source: Source, path: str) -> str:
    """The path of a night: beside the clean days, if folders such as dt=2026-11-20 name these.

    A folder if the clean rows are in one.
    """
    first = relative_names(source.path, [source.files[0]])[0].partition("/")[0]
    day = re.fullmatch(r"(.+)=\d{4}-\d\d-\d\d", first)
    if day and source.path.is_dir():
        return f"{path.rstrip('/')}/{day[1]}={{date}}"
    if is_image(source.files[0]):
        return "nights/{date}"
    suffix = "".join(Path(path).suffixes[-2:])
    return f"nights/{{date}}{suffix or ('' if source.path.is_dir() else '.parquet')}"


def _kinds(sample: SampleSummary) -> Iterator[str]:
    """Comments that list the columns of a table by kind, if not all are numbers."""
    names: dict[tuple[str, ...], list[str]] = {}
    for name, kinds in sample.kinds.items():
        names.setdefault(kinds, []).append(repr(name))
    for kinds, found in names.items():
        yield from _comment(f"read as {' and '.join(kinds)}", found)
    yield from _comment(
        "one level in all rows sampled, any other is reported; if it names a day or batch, list it "
        "in data.ignore",
        [repr(name) for name in sample.constant_levels],
    )
    if sample.kinds:
        yield from _comment("change that with", ["data.categories, times, ignore, or columns"])


def _entities(sample: SampleSummary) -> list[str]:
    """A comment on categories that may name entities."""
    return _comment(
        "numbers differ more between the levels of these than within them; if levels are machines, "
        "meters, or the like, data.entity scales rows by their own level and spread",
        [repr(name) for name in sample.entities],
    )


def _warnings(sample: SampleSummary) -> Iterator[str]:
    """Comments on columns and rows that would spoil the scores."""
    remedy = "list them in data.ignore" if sample.names else "remove them"
    names = [_column_name(sample, index) for index in range(len(sample.names) or sample.features)]
    for what, suspects in warnings_of(sample.findings, names, remedy):
        yield from _comment(what, suspects)
    yield from _comment(
        f"distinct and ascending in all rows sampled, so later nights fall outside; {remedy}",
        [names[index] for index in sample.running],
    )
    yield from _comment(
        f"look like missing-value codes (in {sample.sampled:,} rows); replace them with NaN",
        [
            f"{each.value:g} in {_column_name(sample, each.column)} ({each.count:,} times)"
            for each in sample.sentinels
        ],
    )


def _column_name(sample: SampleSummary, index: int | None) -> str:
    if index is None:
        return "all columns"
    return repr(sample.names[index]) if sample.names else f"column {index}"


def _comment(what: str, names: Sequence[str]) -> list[str]:
    """Comment lines that list the first names; none without names."""
    if not names:
        return []
    text = f"{what}: {printable(list_first(names))}"
    return [
        f"# {line}"
        for line in textwrap.wrap(
            text, COMMENT_WIDTH, break_long_words=False, break_on_hyphens=False
        )
    ]
