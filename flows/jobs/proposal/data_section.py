"""The section [data] of a proposed job file: which rows to read, and remarks on columns."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from flows.jobs.proposal.column_checks import warnings_of
from flows.jobs.proposal.proposed_settings import key_line, quoted
from flows.jobs.proposal.query_input import clean_query, incoming_query
from flows.jobs.proposal.sample import SAMPLE_ROWS, SampleSummary
from storage.errors import SourceError
from storage.sources import Reading, Source, is_image, open_surveyed, relative_names
from storage.sources.series.opening import open_numbers
from storage.sources.series.order import SeriesOrder
from storage.text import list_first, printable

COMMENT_WIDTH = 98
MOST_SIDE = 64  # pixels of images of several sizes: the network has a weight for each


@dataclass(frozen=True)
class Input:
    """The keys of [data] that say which rows to read; `file` holds the result of a query.

    ignore: columns, all for one reason.
    """

    path: str
    file: Path
    field: str = ""
    connection: str = ""
    id: str = ""
    ignore: tuple[str, ...] = ()
    why_ignored: str = ""
    resize: tuple[int, ...] = ()

    def open(self) -> Source:
        """Open the rows; gaps are read as NaN."""
        how: Reading = {**self._reading, "id": self.id, "resize": self.resize}
        return open_surveyed(self.file, **how)

    def open_numbers(self, order: SeriesOrder) -> Source:
        """Open rows that form series with the columns that windows see, as `train` does."""
        ignored: Mapping[str, tuple[str, ...]] = dict.fromkeys(self.ignore, ())
        return open_numbers(self.file, order, {**self._reading, "kinds": ignored})

    @property
    def _reading(self) -> Reading:
        return {"field": self.field, "missing": "impute", "keep": SAMPLE_ROWS}


def open_in_usual_size(rows: Input) -> tuple[Source, Input]:
    """Open the rows, images of several sizes as if they had one; return how they were read too."""
    try:
        return rows.open(), rows
    except SourceError:
        from storage.sources.arrays.images import typical_size  # late: Pillow is slow to import

        typical = typical_size(rows.file)
        if not typical:
            raise
    shrink = max(1.0, max(typical) / MOST_SIDE)
    resized = replace(rows, resize=tuple(max(1, round(side / shrink)) for side in typical))
    return resized.open(), resized


def data_section(source: Source, rows: Input, sample: SampleSummary) -> list[str]:
    """The section of rows that are no series, with remarks on columns as comments."""
    return [
        "[data]",
        *data_keys(source, rows, sample),
        *_kinds(sample),
        *_entities(sample),
        *(line for what, names in source.not_read.items() for line in comment_lines(what, [names])),
        *warning_lines(sample),
    ]


def data_keys(source: Source, rows: Input, sample: SampleSummary) -> Iterator[str]:
    """The keys, each with its reason."""
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
    if rows.resize:
        why = "height and width: the images have several sizes; more pixels show finer details"
        yield key_line("resize", str([*rows.resize]), why)
    yield from _csv_keys(source)
    if rows.id:
        why = "distinct in all rows sampled: it names rows, and is no feature"
        yield key_line("id", quoted(rows.id), why)
    if rows.ignore:
        names = ", ".join(quoted(name) for name in rows.ignore)
        yield key_line("ignore", f"[{names}]", rows.why_ignored)
    if sample.has_gaps or source.has_gaps:
        why = "NaN found: networks see what similar rows have there, the error skips it"
        yield key_line("missing", '"impute"', why)


def _csv_keys(source: Source) -> Iterator[str]:
    """How to read what not every file shows."""
    if days := source.facts.get("days"):
        why = "how to read 1/2/2026; the days of a night may not show it"
        yield key_line("csv.days", quoted(days), why)
    if source.facts.get("encoding") == "Latin-1":
        why = "of text that is not UTF-8; change it if letters look wrong"
        yield key_line("csv.encoding", '"latin-1"', why)


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
        yield from comment_lines(f"read as {' and '.join(kinds)}", found)
    yield from comment_lines(
        "one level in all rows sampled, any other is reported; if it names a day or batch, list it "
        "in data.ignore",
        [repr(name) for name in sample.constant_levels],
    )
    if sample.kinds:
        yield from comment_lines("change that with", ["data.categories, times, ignore, or columns"])


def _entities(sample: SampleSummary) -> list[str]:
    """A comment on categories that may name entities."""
    return comment_lines(
        "numbers differ more between the levels of these than within them; if levels are machines, "
        "meters, or the like, data.entity scales rows by their own level and spread",
        [repr(name) for name in sample.entities],
    )


def warning_lines(sample: SampleSummary) -> Iterator[str]:
    """Comments on columns and rows that would spoil the scores."""
    remedy = "list them in data.ignore" if sample.names else "remove them"
    names = [_column_name(sample, index) for index in range(len(sample.names) or sample.features)]
    for what, suspects in warnings_of(sample.findings, names, remedy):
        yield from comment_lines(what, suspects)
    yield from comment_lines(
        f"distinct and ascending in all rows sampled, so later nights fall outside; {remedy}",
        [names[index] for index in sample.running],
    )
    yield from comment_lines(
        f"long whole numbers that hardly repeat: of cards, accounts, or phones? If so, {remedy}",
        [names[index] for index in _numbered(sample)],
    )
    yield from comment_lines(
        "dates stored as numbers; write them as 2026-01-31 so that they are read as times, can "
        "define days, and can order a series",
        [repr(name) for name in sample.days],
    )
    yield from comment_lines(
        "look like times since 1970, so later nights fall outside; write them as timestamps, or "
        "list them in data.ignore",
        sample.since_1970,
    )
    yield from comment_lines(
        f"look like missing-value codes (in {sample.sampled:,} rows); replace them with NaN",
        [
            f"{each.value:g} in {_column_name(sample, each.column)} ({each.count:,} times)"
            for each in sample.sentinels
        ],
    )


def _numbered(sample: SampleSummary) -> Iterator[int]:
    """Columns that may number something, but those of which another remark tells more."""
    times = tuple(sample.since_1970)
    for index in sample.findings.numbered:
        is_time = any(each.startswith(_column_name(sample, index)) for each in times)
        if index not in sample.running and not is_time:
            yield index


def _column_name(sample: SampleSummary, index: int | None) -> str:
    if index is None:
        return "all columns"
    return repr(sample.names[index]) if sample.names else f"column {index}"


def comment_lines(what: str, names: Sequence[str]) -> list[str]:
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
