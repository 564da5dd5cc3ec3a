"""How rows form series, and what is known of series once all of them were read."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FILE = "file"  # as the entity: each file is a series of its own
TICKS_A_SECOND = 1_000_000_000  # times are nanoseconds


@dataclass(frozen=True)
class SeriesOrder:
    """How rows form series.

    time: column that orders rows; "" for arrays, whose row numbers are the times.
    entity: column of which each value is a series of its own; FILE: each file is one; "": all rows
        are one.
    gap: a longer pause starts a new segment; seconds, or of a column of numbers its unit, or steps
        of an array.
    resample: rows are averaged on a grid of such steps, in the unit of `gap`; 0: rows as they are.
        A row of an empty step repeats the row before it, its number included.
    """

    time: str = ""
    entity: str = ""
    gap: float = math.inf
    resample: float = 0.0

    def __post_init__(self) -> None:
        if not self.gap > 0:
            raise ValueError(f"series.gap must be longer than 0. Got {self.gap} instead.")
        if not 0 <= self.resample < math.inf:
            raise ValueError(f"series.resample must be at least 0. Got {self.resample} instead.")

    @property
    def entity_column(self) -> str:
        """The column that names the entity; "" without one."""
        return "" if self.entity == FILE else self.entity

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that order rows, each once."""
        return tuple(dict.fromkeys(filter(None, (self.time, self.entity_column))))


@dataclass(frozen=True)
class SortSpace:
    """Where rows are sorted that are not in series order: a folder, and bytes of memory.

    The snapshot stays in the folder, and is found there again. Until it is written, the folder
    holds its rows twice. require: raises if the disk has no room for so many bytes.
    """

    folder: Path
    memory: int = 256_000_000
    require: Callable[[int], None] = lambda needed: None  # noqa: ARG005 (any number is fine)


@dataclass(frozen=True)
class NightBefore:
    """The input of the night before, and how many of its last rows each entity has read along."""

    path: Path
    rows: int


@dataclass(frozen=True)
class SeriesRows:
    """Where n rows lie in their series.

    times: (n,) int64, nanoseconds since 1970 UTC; of a time column of numbers float64, in its own
        unit; of an array int64, the row numbers. Only to be read where `entities` is not -1.
    entities: (n,) int32, the place of the entity in `SeriesSource.entities`, ascending by name; -1
        for a row without a time or an entity, which is never usable.
    starts: (n,) bool, rows that begin a segment: another entity, or a pause longer than the gap.
    context: (n,) bool, rows of the night before, which are read along but not judged.
    files: (n,) int32, the place of the row's file in the source's `files`.
    """

    times: NDArray[np.int64] | NDArray[np.float64]
    entities: NDArray[np.int32]
    starts: NDArray[np.bool_]
    context: NDArray[np.bool_]
    files: NDArray[np.int32]

    def pick(self, which: slice | NDArray[np.bool_] | NDArray[np.intp]) -> SeriesRows:
        """Return some of the rows."""
        return SeriesRows(
            self.times[which],
            self.entities[which],
            self.starts[which],
            self.context[which],
            self.files[which],
        )

    @staticmethod
    def join(parts: Sequence[SeriesRows]) -> SeriesRows:
        """Return the rows of several parts, one after another."""
        return SeriesRows(
            np.concatenate([part.times for part in parts]),
            np.concatenate([part.entities for part in parts]),
            np.concatenate([part.starts for part in parts]),
            np.concatenate([part.context for part in parts]),
            np.concatenate([part.files for part in parts]),
        )


@dataclass(frozen=True)
class SeriesFacts:
    """What all rows say of their series.

    entities, segments: their numbers. typical_step: median time from a row to the next later one of
    its entity, in the unit of `SeriesOrder.gap`; 0 if there is none. irregular: share of such steps
    that differ from it by more than 1 %. back: rows whose time lies before that of the row before
    them; they were sorted. repeated: rows of the time of the row before them; they stay in their
    order. unplaced: rows without a time or an entity. held: rows of a grid that repeat the row
    before them.
    """

    entities: int
    segments: int
    typical_step: float
    irregular: float
    back: int = 0
    repeated: int = 0
    unplaced: int = 0
    held: int = 0

    def to_json(self) -> dict[str, object]:
        """Return the values by name."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> SeriesFacts:
        """Rebuild the facts from `to_json`."""
        return cls(**content)

    def shown(self, *, in_seconds: bool) -> dict[str, str]:
        """Return what a user is told, by name; what does not occur is left out."""
        step = show_step(self.typical_step, in_seconds=in_seconds)
        irregular = f"; {self.irregular:.1%} of the steps differ" if self.irregular else ""
        segments = _counted(self.segments, "segments")
        counts = {
            "rows out of order": (self.back, "before the row before them; sorted"),
            "rows of one time": (self.repeated, "at the time of the row before; kept in order"),
            "rows without time or entity": (self.unplaced, "not judged"),
            "rows held": (self.held, "of empty steps, which repeat the row before"),
        }
        return {
            "series": f"{_counted(self.entities, 'entities')}, {segments}",
            "typical step": f"{step}{irregular}" if self.typical_step else "none",
            **{what: f"{count:,} ({why})" for what, (count, why) in counts.items() if count},
        }


@dataclass(frozen=True)
class SeriesIndex:
    """Where the rows of each entity lie in series order; rows of no entity come last.

    names: of the entities, sorted. order_of: (k,) the places in `names` of the entities that have
    rows, as these follow each other. counts: (k,) their rows. firsts: (k,) their first times.
    numbers: whether times are numbers, not nanoseconds. facts: what all rows say.
    """

    names: tuple[str, ...]
    order_of: NDArray[np.int32]
    counts: NDArray[np.int64]
    firsts: NDArray[np.int64] | NDArray[np.float64]
    numbers: bool
    facts: SeriesFacts

    @property
    def ticks(self) -> int:
        """Ticks in the unit of `SeriesOrder.gap`."""
        return 1 if self.numbers else TICKS_A_SECOND

    def to_json(self) -> dict[str, object]:
        """Return the values by name."""
        return {
            "numbers": self.numbers,
            "facts": self.facts.to_json(),
            "entities": list(self.names),
            "order": self.order_of.tolist(),
            "counts": self.counts.tolist(),
            "firsts": self.firsts.tolist(),
            "float_times": self.firsts.dtype.kind == "f",
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> SeriesIndex:
        """Rebuild the index from `to_json`."""
        return cls(
            tuple(content["entities"]),
            np.array(content["order"], np.int32),
            np.array(content["counts"], np.int64),
            _ticks(content["firsts"], whole=not content["float_times"]),
            content["numbers"],
            SeriesFacts.from_json(content["facts"]),
        )


def _counted(count: int, what: str) -> str:
    """Return '2 entities' or '1 entity'."""
    singular = {"entities": "entity", "segments": "segment"}
    return f"{count:,} {what if count != 1 else singular[what]}"


def _ticks(values: list[float], *, whole: bool) -> NDArray[np.int64] | NDArray[np.float64]:
    return np.array(values, np.int64) if whole else np.array(values, np.float64)


def show_step(step: float, *, in_seconds: bool) -> str:
    """Show a step as `storage.units.parse_duration` reads durations, or as a number.

    >>> show_step(300.0, in_seconds=True)
    '5 min'
    """
    if not in_seconds:
        return f"{step:g}"
    units = {"d": 86_400, "h": 3_600, "min": 60}
    for unit, seconds in units.items():
        if step >= seconds and step % seconds == 0:
            return f"{step / seconds:g} {unit}"
    return f"{step:g} s"
