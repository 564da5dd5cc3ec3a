"""The timeline: a lane per entity, those with events first; the others folded into strips."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from storage.pages import number
from storage.pages.events.clock import Clock
from storage.pages.events.report import EventView, Floats, Timeline
from storage.pages.events.ticks import Tick, time_ticks
from storage.visible_text import visible, visible_name

MOST_LANES = 30  # entities with a lane of their own
MOST_STRIPS = 40  # rows into which the other entities are folded
MOST_BINS = 300
MOST_NUMBERED = 25  # events with a numbered mark, worst first
LONGEST = 20  # characters of a label
LEVELS = (0.5, 0.8, 1.0)  # multiples of the cut at which cells become darker
WIDTH = 1000  # units of a lane's paths


@dataclass(frozen=True)
class Mark:
    """An event on its lane. Places are percent of the width."""

    rank: int
    middle: float
    text: str


@dataclass(frozen=True)
class Lane:
    """One entity, or neighbors that share a strip.

    label: the name, shortened in the middle if it is long.
    cells: for each level from 0, the path of the bins at that level; gaps have none.
    text: what the lane shows, in words.
    """

    names: Sequence[str]
    label: str
    cells: Sequence[str]
    marks: Sequence[Mark]
    text: str


@dataclass(frozen=True)
class Lanes:
    """The drawn timeline. folded: the number of entities in strips."""

    lanes: Sequence[Lane]
    strips: Sequence[Lane]
    folded: int
    per_strip: int
    ticks: Sequence[Tick]
    closest: str

    @property
    def long_labels(self) -> bool:
        """Whether labels need a line of their own on a phone."""
        return any(len(lane.label) > LONGEST // 2 for lane in self.lanes)


def draw_lanes(timeline: Timeline, events: Sequence[EventView], clock: Clock) -> Lanes:
    """Draw a timeline with the events on it, which are worst first."""
    span = int(timeline.edges[0]), int(timeline.edges[-1])
    starts, highest = merge_bins(timeline)
    of_entity = _events_by_entity(events)
    own, others = _chosen(timeline.entities, of_entity)
    per_strip = max(1, -(-len(others) // MOST_STRIPS))
    groups = [others[first : first + per_strip] for first in range(0, len(others), per_strip)]

    def lane(rows: Sequence[int]) -> Lane:
        names = [timeline.entities[row] for row in rows]
        found = of_entity.get(names[0], []) if len(rows) == 1 else []
        values = _highest_of(highest[rows])
        return Lane(
            names=names,
            label=_label(names[0]),
            cells=_cells(starts, values),
            marks=[_mark(*each, span, clock) for each in found if each[0] <= MOST_NUMBERED],
            text=_lane_text(values, len(found)),
        )

    return Lanes(
        lanes=[lane([row]) for row in own],
        strips=[lane(rows) for rows in groups],
        folded=len(others),
        per_strip=per_strip,
        ticks=time_ticks(clock, *span, most=12),
        closest=_closest(timeline, clock),
    )


def _label(name: str) -> str:
    """Return a name of at most LONGEST characters; both ends tell entities apart."""
    shown = visible(name)
    half = LONGEST // 2
    return shown if len(shown) <= LONGEST else f"{shown[:half]}…{shown[-half:]}"


def merge_bins(timeline: Timeline) -> tuple[Floats, Floats]:
    """Return edges (k + 1,) in units of the width, and the highest scores (e, k) between them."""
    n = timeline.highest.shape[1]
    firsts = np.unique(np.linspace(0, n, min(n, MOST_BINS), endpoint=False).astype(np.intp))
    highest = np.fmax.reduceat(timeline.highest, firsts, axis=1)
    edges = timeline.edges[np.append(firsts, n)]
    return (edges - edges[0]) / (edges[-1] - edges[0]) * WIDTH, highest


def _events_by_entity(events: Sequence[EventView]) -> Mapping[str, list[tuple[int, EventView]]]:
    found: dict[str, list[tuple[int, EventView]]] = {}
    for rank, event in enumerate(events, 1):
        found.setdefault(event.entity, []).append((rank, event))
    return found


def _chosen(
    entities: Sequence[str], with_events: Mapping[str, object]
) -> tuple[list[int], list[int]]:
    """Return the entities with a lane of their own, worst first, and the others in order."""
    rank = {name: place for place, name in enumerate(with_events)}
    rows = range(len(entities))
    wanted = sorted((row for row in rows if entities[row] in rank), key=lambda r: rank[entities[r]])
    wanted += [row for row in rows if entities[row] not in rank]
    fits = len(entities) <= MOST_LANES
    n_own = len(entities) if fits else min(MOST_LANES, len(rank))
    return wanted[:n_own], sorted(wanted[n_own:])


def _highest_of(highest: Floats) -> Floats:
    """Return the highest (k,) over rows (r, k); NaN where all are NaN."""
    best: Floats = np.fmax.reduce(highest, axis=0)
    return best


def _cells(edges: Floats, values: Floats) -> list[str]:
    """Return the path of each level's cells; neighbors of one level are one rectangle."""
    levels = np.where(np.isnan(values), -1, np.searchsorted(LEVELS, values, side="right"))
    paths = [""] * (len(LEVELS) + 1)
    for level, first, last in _level_runs(levels):
        left, right = round(edges[first]), round(edges[last])
        if level >= 0:
            paths[level] += f"M{left} 0h{max(1, right - left)}v10h{-max(1, right - left)}z"
    return paths


def _level_runs(levels: NDArray[np.int64]) -> Iterator[tuple[int, int, int]]:
    """Yield level, first bin, and the bin after the last, of each run of one level."""
    borders = np.flatnonzero(np.diff(levels)) + 1
    edges = [0, *borders.tolist(), len(levels)]
    for first, last in pairwise(edges):
        yield int(levels[first]), first, last


def _mark(rank: int, event: EventView, span: tuple[int, int], clock: Clock) -> Mark:
    place = ((event.start - span[0]) + (event.end - span[0])) / 2 / (span[1] - span[0])
    when = clock.period(event.start, event.end)
    return Mark(rank=rank, middle=100 * min(1.0, max(0.0, place)), text=f"event {rank}, {when}")


def _lane_text(values: Floats, n_events: int) -> str:
    finite = values[np.isfinite(values)]
    if not len(finite):
        return "no rows"
    events = f"{n_events} event{'' if n_events == 1 else 's'}, " if n_events else ""
    return f"{events}highest score {number(float(finite.max()))} times the cut"


def _closest(timeline: Timeline, clock: Clock) -> str:
    """Return the highest score and where it is, for nights without events; '' without rows."""
    values = np.where(np.isfinite(timeline.highest), timeline.highest, -np.inf)
    row, column = np.unravel_index(int(values.argmax()), values.shape)
    if not np.isfinite(values[row, column]):
        return ""
    at = clock.moment(int(timeline.edges[column]))
    name = timeline.entities[int(row)]
    where = f"{visible_name(name)}, {at}" if name else at
    return f"{number(float(values[row, column]))} of the cut ({where})"
