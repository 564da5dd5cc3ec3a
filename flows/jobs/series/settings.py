"""The section [series] of a job file: rows in order of time, judged in windows."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NewType

from aemodel.errors import SettingsError
from aemodel.series.settings import AUTO, Baseline, WindowSettings
from flows.errors import UsageError
from storage.sources.series.order import FILE, SeriesOrder
from storage.units import parse_duration

AUTO_ROWS = 128  # of a window that is 'auto', at most
WindowRows = NewType("WindowRows", int)  # 'auto' is AUTO
Pause = NewType("Pause", float)  # seconds; written as '5 min', or as a number in the unit of time


@dataclass(frozen=True, kw_only=True)
class SeriesSettings:
    """[series]: rows are ordered by time, and judged in windows.

    time: column that orders rows of a table; left out for arrays, whose rows are steps.
    entity: column of which each value is a series of its own, or `file`: each file is one; empty
    for one series.
    window [rows]: rows judged together, a multiple of 8 from 16 to 4,096; `auto` is 128, or fewer
    where clean series are short.
    stride [rows]: rows from one window to the next, which must divide an eighth of the window; 0
    for an eighth of it.
    baseline: level and spread by which rows are scaled: `entity`, those of its own clean rows,
    `none`, those of all clean rows, or `warmup 400`, those of its first 400 rows each night.
    gap: a longer pause starts a new segment, which no window crosses; a number is in the unit of
    the time, or counts steps.
    resample: rows are averaged on a grid of such steps, written as `gap` is.
    """

    time: str = ""
    entity: str = ""
    window: WindowRows = WindowRows(AUTO)
    stride: int = AUTO
    baseline: Baseline = field(default_factory=Baseline)
    gap: Pause = Pause(math.inf)
    resample: Pause = Pause(0.0)

    def __post_init__(self) -> None:
        if self.time and self.time == self.entity:
            raise UsageError(
                f"series.time and series.entity must be two columns. Got '{self.time}' for both."
            )
        self._require_warmup()
        try:
            _ = self.windows, self.order
        except ValueError as error:
            raise UsageError(str(error)) from error

    def _require_warmup(self) -> None:
        """Require a warm-up of two windows, so that it shows how clean windows differ."""
        needed = 2 * (self.window or AUTO_ROWS)
        if 0 < self.baseline.rows < needed:
            raise UsageError(
                f"series.baseline must be a warm-up of at least two windows, {needed} rows. Got "
                f"'{self.baseline}' instead; raise it, or lower series.window."
            )

    @property
    def windows(self) -> WindowSettings:
        """How windows are cut and scaled."""
        return WindowSettings(window=self.window, stride=self.stride, baseline=self.baseline)

    @property
    def order(self) -> SeriesOrder:
        """How rows form series."""
        return SeriesOrder(self.time, self.entity, gap=self.gap, resample=self.resample)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that order rows."""
        return tuple(name for name in (self.time, self.entity) if name and name != FILE)


def parse_window(text: str) -> WindowRows:
    """Parse 'auto' or a number of rows. Raises ValueError."""
    if text == "auto":
        return WindowRows(AUTO)
    if not text.isdecimal() or int(text) == AUTO:
        raise ValueError(f"a window must be 'auto' or a number of rows. Got '{text}' instead.")
    return WindowRows(int(text))


def parse_pause(text: str) -> Pause:
    """Parse '5 min' into seconds, or a number, in the unit of the time. Raises ValueError."""
    try:
        return Pause(float(text))
    except ValueError:
        return Pause(parse_duration(text).total_seconds())


def require_series_rule(kind: str, *, series: bool) -> None:
    """Raise SettingsError unless a kind of rule fits a job with, or without, [series]."""
    if series and kind == "fdr":
        raise SettingsError(
            "score.rule must be 'events 1/7d', 'quantile q', 'mad k', 'absolute s', or 'top' with "
            "[series], whose points are not independent. Got 'fdr' instead."
        )
    if kind == "events" and not series:
        raise SettingsError(
            "score.rule 'events' needs a section [series]; without one, choose 'quantile 0.999' "
            "or another rule for rows."
        )
