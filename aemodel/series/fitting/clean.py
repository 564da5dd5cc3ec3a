"""Clean series as they are read for training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class CleanPiece:
    """Consecutive rows (n, d) of one segment of an entity, in data units; NaN is a gap."""

    entity: int
    rows: NDArray[np.generic]


@dataclass(frozen=True)
class CleanSeries:
    """Clean series that can be read again.

    read: starts a pass over the pieces, always the same. sensors: names of the columns.
    names: of the entities. step: seconds between rows, or 1 if there are no times; in_seconds:
    which of both. at_once: how many series run at the
    same time, on average.
    """

    read: Callable[[], Iterator[CleanPiece]]
    sensors: tuple[str, ...]
    names: tuple[str, ...]
    step: float = 1.0
    at_once: float = 1.0
    in_seconds: bool = False


NIGHT = 4  # times as many rows as the warm-up, where clean series are shorter than two days
DAY = 86_400  # seconds


def iter_nights(series: CleanSeries, warmup: int) -> Iterator[CleanPiece]:
    """Cut clean series as nights are judged, each with a warm-up of its own; short ones go.

    A night is a day, or NIGHT times the rows of the warm-up.
    """
    day = round(DAY / series.step)
    for piece in series.read():
        n = len(piece.rows)
        length = max(NIGHT * warmup, day if n >= 2 * day else 0)
        for start in range(0, max(n - length // 2, 1), length):
            night = piece.rows[start : start + length]
            if len(night) >= 2 * warmup:
                yield CleanPiece(piece.entity, night)
