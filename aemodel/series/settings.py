"""[series]: how rows in order of time are judged."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Self

from aemodel.errors import SettingsError
from aemodel.series.windows.pyramid import PARTS

SMALLEST, LARGEST = 16, 4096
AUTO = 0


@dataclass(frozen=True)
class Baseline:
    """How rows are scaled: by the pool, each entity's clean rows, or its first rows of a night.

    rows: of the warm-up; 0 for the others.
    """

    kind: str = "entity"
    rows: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse 'none', 'entity', or 'warmup N'. Raises SettingsError."""
        match = re.fullmatch(r"(none|entity)|warmup ([1-9]\d{0,8})", text.strip())
        if not match:
            raise SettingsError(
                "series.baseline must be 'none', 'entity', or 'warmup N' with a number of rows. "
                f"Got '{text}' instead."
            )
        return cls(match[1]) if match[1] else cls("warmup", int(match[2]))

    def __str__(self) -> str:
        return f"warmup {self.rows}" if self.rows else self.kind


@dataclass(frozen=True, kw_only=True)
class WindowSettings:
    """How windows are cut and scaled.

    window: rows of a window; AUTO is 128, or less where the clean data is short. stride: rows
    between windows; AUTO is an eighth of a window. baseline: by which rows are scaled.
    """

    window: int = AUTO
    stride: int = AUTO
    baseline: Baseline = field(default_factory=Baseline)

    def __post_init__(self) -> None:
        """Check every setting. Raises SettingsError, which names the key."""
        if self.window != AUTO:
            self._check_window()
        if self.stride != AUTO and self.window == AUTO:
            raise SettingsError(
                "series.stride needs a number for series.window. Got window = 'auto' instead."
            )
        if self.stride != AUTO and (self.stride < 1 or self.window // PARTS % self.stride):
            raise SettingsError(
                f"series.stride must divide an eighth of the window, {self.window // PARTS} rows. "
                f"Got {self.stride} instead."
            )

    def _check_window(self) -> None:
        if SMALLEST <= self.window <= LARGEST and self.window % PARTS == 0:
            return
        near = round(min(max(self.window, SMALLEST), LARGEST) / PARTS) * PARTS
        raise SettingsError(
            f"series.window must be 'auto' or a multiple of {PARTS} from {SMALLEST} to {LARGEST}. "
            f"Got {self.window} instead; the nearest is {near}."
        )
