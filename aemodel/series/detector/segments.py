"""Rows of several series, in any order, as segments without long pauses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

LONG = 10.0  # steps between rows, from which a pause starts a new segment
Rows = NDArray[np.intp]


class Segment(NamedTuple):
    """Row numbers (m,) in order of time; entity: its place among the names."""

    entity: int
    rows: Rows


@dataclass(frozen=True)
class Arranged:
    """Segments of every entity, in order of first rows and of time.

    names: of the entities. times (n,): as they were given, or row numbers. seconds (n,): the same
    as numbers. step: seconds between rows, 1 without times. at_once: series at the same time.
    """

    segments: tuple[Segment, ...]
    names: tuple[str, ...]
    times: NDArray[np.generic]
    timed: bool
    step: float
    at_once: float


def arrange(
    n: int,
    *,
    times: ArrayLike | Sequence[datetime] | None,
    entities: ArrayLike | None,
    gap: float | None,
) -> Arranged:
    """Arrange n rows by entity and time. Without times, rows are in order and without pauses.

    gap: seconds of a pause that starts a new segment; None for LONG steps.

    Raises ValueError for times or entities of another length, or a missing time.
    """
    given = np.arange(n) if times is None else _column(times, n, "times")
    seconds = given.astype(np.float64) if times is None else _seconds(given)
    labels = _column([""] * n if entities is None else entities, n, "entities").astype(str)
    names, first, codes = np.unique(labels, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.argsort(order)
    codes = rank[codes]
    rows = np.lexsort((seconds, codes))
    pauses = np.where(np.diff(codes[rows]) == 0, np.diff(seconds[rows]), np.inf)
    moving = pauses[(pauses > 0) & np.isfinite(pauses)]
    step = float(np.median(moving)) if times is not None and len(moving) else 1.0
    longest = np.inf if times is None else gap if gap is not None else LONG * step
    cuts = np.flatnonzero((pauses > longest) | np.isinf(pauses)) + 1
    parts = np.split(rows, cuts) if n else []
    return Arranged(
        segments=tuple(Segment(int(codes[part[0]]), part) for part in parts),
        names=tuple(names[order].tolist()),
        times=given,
        timed=times is not None,
        step=step,
        at_once=_at_once(seconds, step) if times is not None else 1.0,
    )


def _column(values: object, n: int, name: str) -> NDArray[np.generic]:
    found = np.asarray(values)
    if found.shape != (n,):
        raise ValueError(f"{name} must have shape ({n},), one for each row. Got {found.shape}.")
    return found


def _seconds(times: NDArray[np.generic]) -> NDArray[np.float64]:
    """Return times as seconds (n,): numbers are seconds."""
    if times.dtype.kind == "O" and len(times) and isinstance(times[0], datetime):
        found = np.array([each.timestamp() for each in times.tolist()])
    elif times.dtype.kind in "OUS":
        found = _from_dates(times.astype("datetime64[ns]"))
    else:
        found = _from_dates(times) if times.dtype.kind == "M" else times.astype(np.float64)
    if not np.isfinite(found).all():
        row = int(np.flatnonzero(~np.isfinite(found))[0])
        raise ValueError(f"times must not be missing. Got {times[row]} in row {row}.")
    return found


def _from_dates(times: NDArray[np.generic]) -> NDArray[np.float64]:
    exact = times.astype("datetime64[ns]")
    found = exact.astype(np.int64) / 1e9
    return np.where(np.isnat(exact), np.nan, found)


def _at_once(seconds: NDArray[np.float64], step: float) -> float:
    """Return how many series run at the same time, on average."""
    moments = len(np.unique(np.floor((seconds - seconds.min()) / step + 0.5)))
    return max(1.0, len(seconds) / moments)
