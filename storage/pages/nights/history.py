"""The strip of the last nights: flagged rows on a logarithmic axis, each night a link.

Positions are percentages, so that text keeps its size on a phone and on a desktop.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from statistics import median

from storage.nights.summary import NightLine
from storage.pages import count

MOST_NIGHTS = 60  # in the strip
MOST_USUAL = 28  # nights whose median is the usual night
FEWEST_USUAL = 3
THOUSAND = 1_000
LINE = 12.0  # pixels that a label needs
TOP, BOTTOM = 14.0, 84.0  # pixels of the largest count and of zero
LEGEND = {
    "ok": "OK",
    "review": "REVIEW",
    "flood": "FLOOD",
    "drift": "DRIFT",
    "partial": "PARTIAL",
    "none": "NO DATA, FAILED",
}
KINDS = {"OK": "ok", "REVIEW": "review", "FLOOD": "flood", "DRIFT": "drift", "PARTIAL": "partial"}


@dataclass(frozen=True)
class Mark:
    """One night in the strip; x, left and right in percent of the width, y and limit in pixels.

    kind: a key of LEGEND. limit: the top of the band of clean data, None if it is unknown.
    gap: whether nights are missing before it. new_model: whether an earlier one had another model.
    """

    x: float
    y: float
    left: float
    right: float
    limit: float | None
    kind: str
    link: str
    words: str
    gap: bool
    new_model: bool


@dataclass(frozen=True)
class Strip:
    """The marks of the last nights, oldest first, and the lines (pixels, label) of the axis."""

    marks: Sequence[Mark]
    axis: Sequence[tuple[float, str]]
    first: str
    last: str

    @property
    def kinds(self) -> set[str]:
        """The kinds that occur, of LEGEND."""
        return {mark.kind for mark in self.marks}


def usual_rows(earlier: Sequence[NightLine]) -> float | None:
    """Return the median rows of the last `earlier` nights that were read whole; None of too few."""
    whole = last_whole(earlier)
    return median(each.rows for each in whole) if len(whole) >= FEWEST_USUAL else None


def last_whole(earlier: Sequence[NightLine]) -> list[NightLine]:
    """Return the last of `earlier` nights that were read whole, at most MOST_USUAL."""
    return [night for night in earlier if read_whole(night)][-MOST_USUAL:]


def usual_night(earlier: Sequence[NightLine]) -> str:
    """Say what the median of `earlier` nights, oldest first, had flagged: 'Usual night: 3.'.

    Nights without scores, and those scored in part, do not count. Empty if there are too few.
    """
    whole = last_whole(earlier)
    if not earlier:
        return "First night: no earlier one to compare with."
    if len(whole) < FEWEST_USUAL:
        return ""
    return f"Usual night: {median(each.flagged for each in whole):,.10g}."


def read_whole(night: NightLine) -> bool:
    """Return whether a night was scored, and not only in part."""
    return bool(night.rows) and not night.verdict.startswith("PARTIAL")


@dataclass(frozen=True)
class _Scale:
    """How nights become marks. most: largest count. step: percent of the width for a night.

    usual_days: days from one night to the next as a rule.
    """

    most: int
    step: float
    usual_days: int

    def height(self, flagged: int) -> float:
        """Return the pixels of a count on the logarithmic axis."""
        share = math.log10(1 + flagged) / math.log10(1 + self.most)
        return round(BOTTOM - share * (BOTTOM - TOP), 1)

    def axis(self) -> list[tuple[float, str]]:
        """Return zero and the powers of ten as lines (pixels, label)."""
        lines = [(self.height(0), "0")]
        for power in range(math.floor(math.log10(self.most)) + 1):
            height = self.height(10**power)
            if lines[-1][0] - height >= LINE:
                lines.append((height, brief_count(10**power)))
        return lines


def draw_strip(tonight: NightLine, earlier: Sequence[NightLine]) -> Strip:
    """Place the last of the `earlier` nights, one per date and oldest first, and then tonight."""
    shown = [*earlier, tonight][-MOST_NIGHTS:]
    scale = _Scale(
        most=max(10, *(max(night.flagged, night.limit or 0) for night in shown)),
        step=100 / len(shown),
        usual_days=_usual_days(shown),
    )
    marks = [_mark(shown, index, scale) for index in range(len(shown))]
    first, last = shown[0].date, shown[-1].date
    return Strip(marks, scale.axis(), first, last)


def _mark(shown: Sequence[NightLine], index: int, scale: _Scale) -> Mark:
    night, before = shown[index], shown[index - 1] if index else None
    left = index * scale.step
    return Mark(
        x=round(left + scale.step / 2, 2),
        left=round(left, 2),
        right=round(left + scale.step, 2),
        y=scale.height(night.flagged),
        limit=None if night.limit is None else scale.height(night.limit),
        kind=KINDS.get(night.verdict.split()[0], "none"),
        link=f"../../{night.date}/rev={night.revision}/report.html",
        words=night_words(night),
        gap=before is not None and _days(before, night) > scale.usual_days,
        new_model=before is not None and before.model_id != night.model_id,
    )


def brief_count(value: int) -> str:
    """Return a count in at most four characters: 32, 4k, 12k, 1M."""
    if value < THOUSAND:
        return str(value)
    return f"{value // THOUSAND}k" if value < THOUSAND**2 else f"{value // THOUSAND**2}M"


def night_words(night: NightLine) -> str:
    """Return what a pointer over a night shows, and a screen reader says."""
    counts = f", {count(night.flagged)} of {count(night.rows)} flagged" if night.rows else ""
    clean = "" if night.limit is None else f", clean data rarely above {count(night.limit)}"
    revision = f", revision {night.revision}" if night.revision > 1 else ""
    return f"{night.date}: {night.verdict}{counts}{clean}{revision}"


def _usual_days(nights: Sequence[NightLine]) -> int:
    return round(median([_days(*pair) for pair in pairwise(nights)] or [1]))


def _days(before: NightLine, night: NightLine) -> int:
    return (date.fromisoformat(night.date) - date.fromisoformat(before.date)).days
