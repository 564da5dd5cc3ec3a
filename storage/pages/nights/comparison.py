"""Tonight's figures beside those of the night before and of the usual night, as a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median

from storage.nights.summary import NightLine
from storage.pages import count, number, percent
from storage.pages.nights.history import FEWEST_USUAL, MOST_USUAL, last_whole

NONE = "–"  # in place of a figure
FEWEST_TO_MARK = 7  # nights, to call a figure unusual
FAR = 2  # times as far from the median as any of these nights
MANY = 100  # medians above are shown as whole numbers
LEAST_REACH = 0.05  # of the median, which a figure may be away from it as a rule


@dataclass(frozen=True)
class ComparedFigure:
    """One figure of a night. mark: '↑' or '↓' where it is far from all usual nights, else ''."""

    name: str
    tonight: str
    before: str
    usual: str
    mark: str

    @property
    def known(self) -> bool:
        """Whether any night has this figure."""
        return {self.tonight, self.before, self.usual} != {NONE}


@dataclass(frozen=True)
class Comparison:
    """The figures of a night. nights: whose medians are the usual ones, 0 of too few.

    one_model: whether scores of all these nights compare, as they are of one model.
    """

    figures: Sequence[ComparedFigure]
    nights: int
    one_model: bool

    @property
    def marked(self) -> bool:
        """Whether any figure is unusual."""
        return any(figure.mark for figure in self.figures)


@dataclass(frozen=True)
class _Quantity:
    """What is compared. text: of its value.

    scores: whether it compares within one model alone. unread: whether it is of what was not read,
    so that nights read in part count, and files whose rows are unknown are named.
    """

    name: str
    value: Callable[[NightLine], float | None]
    text: Callable[[float], str]
    scores: bool = False
    unread: bool = False


def compare_figures(
    tonight: NightLine, earlier: Sequence[NightLine], *, flagged: str
) -> Comparison:
    """Compare a night with `earlier` ones, oldest first. flagged: what the rule flags, in words."""
    whole = last_whole(earlier)
    comparable = partial(_same_scores, tonight)
    figures = [_compared(each, tonight, earlier) for each in _quantities(flagged)]
    return Comparison(
        [each for each in figures if each.known],
        len(whole) if len(whole) >= FEWEST_USUAL else 0,
        all(map(comparable, [*whole, *earlier[-1:]])),
    )


def _quantities(flagged: str) -> list[_Quantity]:
    return [
        _Quantity("scored", lambda night: night.rows, _count),
        _Quantity("not scored", lambda night: night.unscored, _count, unread=True),
        _Quantity("missing values", lambda night: night.missing, percent),
        _Quantity(flagged, lambda night: night.flagged if night.rows else None, _count),
        _Quantity("score, median", lambda night: night.p50, number, scores=True),
        _Quantity("score, top 1 %", lambda night: night.p99, number, scores=True),
    ]


def _compared(
    quantity: _Quantity, tonight: NightLine, earlier: Sequence[NightLine]
) -> ComparedFigure:
    compared = [night for night in earlier if not quantity.scores or _same_scores(tonight, night)]
    before = [night for night in compared if night is earlier[-1]]
    among = compared[-MOST_USUAL:] if quantity.unread else last_whole(compared)
    usual = [each for each in map(quantity.value, among) if each is not None]
    return ComparedFigure(
        quantity.name,
        _cell(quantity, tonight),
        _cell(quantity, before[0]) if before else NONE,
        quantity.text(median(usual)) if len(usual) >= FEWEST_USUAL else NONE,
        _mark(quantity.value(tonight), usual),
    )


def _cell(quantity: _Quantity, night: NightLine) -> str:
    value = quantity.value(night)
    text = NONE if value is None else quantity.text(value)
    if not quantity.unread or not night.broken_files:
        return text
    files = f"{count(night.broken_files)} {'file' if night.broken_files == 1 else 'files'}"
    return f"{text} + {files}" if value else files


def _mark(value: float | None, usual: Sequence[float]) -> str:
    if value is None or len(usual) < FEWEST_TO_MARK:
        return ""
    middle = median(usual)
    reach = max(LEAST_REACH * abs(middle), *(abs(each - middle) for each in usual))
    if abs(value - middle) <= FAR * reach:
        return ""
    return "↑" if value > middle else "↓"


def _same_scores(tonight: NightLine, night: NightLine) -> bool:
    return (night.model_id, night.score) == (tonight.model_id, tonight.score)


def _count(value: float) -> str:
    return f"{round(value) if value >= MANY else value:,.10g}"
