"""summary.json of a revision, and its line in the list of its year."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

FORMAT_VERSION = 1
WINDOWS = "windows"  # as the score: rows of series, whose events are counted as flagged
MOST_IDS = 10  # shown in notebooks


@dataclass(frozen=True)
class NightLine:
    """One revision in the list of a year and in the page of all nights.

    expected, limit: flagged rows that clean data gives on average, and at most; None if unknown.
    score: the score that ranks. For the others, see NightFigures.
    """

    date: str
    revision: int
    verdict: str
    rows: int
    flagged: int
    model_id: str
    rule: str
    expected: float | None = None
    limit: int | None = None
    score: str = ""
    unscored: int | None = None
    broken_files: int = 0
    missing: float | None = None
    p50: float | None = None
    p99: float | None = None

    def to_json(self) -> dict[str, object]:
        """Return the JSON object of one line."""
        return _values(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Rebuild a line from its JSON object."""
        return cls(*[content[name] for name in cls.__dataclass_fields__])


@dataclass(frozen=True, kw_only=True)
class NightFigures:
    """What the report and the summary of a revision have in common.

    promise: what the rule promises, or why nothing was scored; promises: whether it holds.
    expected, limit: flagged rows that clean data gives on average, and at most.
    known_normal: flagged rows that the verdict does not count, by the label of an analyst.
    unscored: rows of the input without a score; None if the input could not be opened.
    broken_files: files that could not be opened, whose rows are not counted.
    missing: share of the values of scored rows that are missing; None if it is unknown.
    p50, p99: median and 99 % quantile of the score that ranks; None without
        scores, or where it is infinite.
    """

    job: str
    date: str
    revision: int
    verdict: str
    rows: int
    flagged: int
    expected: float | None
    limit: int | None
    rule: str
    promise: str
    promises: bool
    calibration_rows: int
    model_id: str
    input_digest: str
    settings_digest: str
    alert_budget: int
    shards_done: int
    shards_total: int
    known_normal: int = 0
    unscored: int | None = None
    broken_files: int = 0
    missing: float | None = None
    p50: float | None = None
    p99: float | None = None

    def figures(self) -> dict[str, Any]:
        """Return these fields by name, without those of subclasses."""
        return {field.name: getattr(self, field.name) for field in fields(NightFigures)}


@dataclass(frozen=True, kw_only=True)
class NightSummary(NightFigures):
    """The figures of a report, and what later runs compare with.

    threshold: None if there is no finite one.
    histogram: bin edges (b + 1,), and counts (b + 2,) of tonight's and of calibration scores.
    drift: None if there were too few rows to compare.
    novel_rows: the first of the `novel_rows_total` novel rows, highest novelty first; None if they
        were not sought.
    strange_by_chance: novel rows expected among as many clean rows.
    groups: like flagged rows: `id`, what they share, and `rows`.
    flagged_ids: ids of the highest flagged rows, at most `alert_budget`.
    """

    notes: Sequence[str]
    complete: bool
    threshold: float | None
    failed_shards: Sequence[Mapping[str, str]]
    checks: Mapping[str, str]
    histogram: Mapping[str, Sequence[float]]
    score: str
    drift: Mapping[str, object] | None
    novel_rows: Sequence[Mapping[str, object]]
    novel_rows_total: int | None
    strange_by_chance: float
    flagged_ids: Sequence[str]
    changes: Mapping[str, object] | None
    groups: Sequence[Mapping[str, object]]

    @property
    def line(self) -> NightLine:
        """The line of this revision in the list of its year."""
        figures = {**self.figures(), "score": self.score}
        if not self.promises:  # what clean data would give is not known
            figures |= {"expected": None, "limit": None}
        return NightLine.from_json(figures)

    def _repr_html_(self) -> str:
        """Return the night as notebooks show it."""
        from storage.pages.nights.night_card import night_card  # late: jinja2 is slow to import

        return night_card(f"{self.job}, {self.date}: {self.verdict}", self._facts())

    def _facts(self) -> dict[str, str]:
        usual, ids = self.line, ", ".join(self.flagged_ids[:MOST_IDS])
        facts = {"flagged": f"{self.flagged:,} of {self.rows:,} rows"}
        if usual.expected is not None and usual.limit is not None:
            facts["clean data gives"] = f"{usual.expected:.4g} (rarely above {usual.limit:,})"
        facts |= {"rule": self.rule, "guarantee": self.promise, "model": self.model_id}
        if ids:
            facts["flagged ids, worst first"] = ids + ("" if self.flagged <= MOST_IDS else ", …")
        return facts | ({"notes": "; ".join(self.notes)} if self.notes else {})

    def to_json(self) -> dict[str, object]:
        """Return the content of summary.json."""
        return {"format_version": FORMAT_VERSION, **_values(self)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Rebuild a summary from the content of summary.json."""
        return cls(
            **{each.name: content[each.name] for each in fields(cls) if each.name in content}
        )


def _values(record: NightLine | NightSummary) -> dict[str, object]:
    """Return the fields by name, in order."""
    return {field.name: getattr(record, field.name) for field in fields(record)}
