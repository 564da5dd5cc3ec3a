"""What a night's decision and report need from the scored rows of a shard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np

from aemodel.series.events.runs import Run
from flows.scoring.series.gaps import Gaps
from flows.scoring.series.timeline import Highest

WHOLE = [field.name for field in fields(Run) if field.name != "score"]


@dataclass(frozen=True)
class SeriesSummary:
    """rows: judged. uncovered: rows that no window covers. runs: in order of rows.

    highest: scores for the timeline. gaps: of the judged rows.
    """

    rows: int
    uncovered: int
    runs: tuple[Run, ...]
    highest: Highest
    gaps: Gaps

    @classmethod
    def none(cls) -> SeriesSummary:
        """No rows."""
        return cls(0, 0, (), Highest.none(), Gaps.none())

    def merge(self, later: SeriesSummary) -> SeriesSummary:
        """Return the summary of the rows of both."""
        return SeriesSummary(
            self.rows + later.rows,
            self.uncovered + later.uncovered,
            self.runs + later.runs,
            self.highest.merge(later.highest),
            self.gaps.merge(later.gaps),
        )

    def save(self, path: Path) -> None:
        """Write an .npz file without pickles."""
        values = [astuple(run) for run in self.runs]
        whole = np.array([each[:-1] for each in values], np.int64).reshape(-1, len(WHOLE))
        with path.open("wb") as file:
            np.savez(
                file,
                allow_pickle=False,
                counts=np.array([self.rows, self.uncovered]),
                runs=whole,
                scores=np.array([each[-1] for each in values]),
                entities=self.highest.entities,
                bins=self.highest.bins,
                highest=self.highest.scores,
                gap_entities=self.gaps.entities,
                gap_rows=self.gaps.rows,
                gap_missing=self.gaps.missing,
            )

    @classmethod
    def load(cls, path: Path) -> SeriesSummary:
        """Read a file written by `save`."""
        with np.load(path, allow_pickle=False) as file:
            rows, uncovered = file["counts"].tolist()
            runs = _runs(file["runs"].tolist(), file["scores"].tolist())
            highest = Highest(file["entities"], file["bins"], file["highest"])
            gaps = Gaps(*(file[name] for name in ("gap_entities", "gap_rows", "gap_missing")))
            return cls(rows, uncovered, runs, highest, gaps)


def _runs(whole: Sequence[Sequence[int]], scores: Sequence[float]) -> tuple[Run, ...]:
    named = (dict(zip(WHOLE, each, strict=True)) for each in whole)
    return tuple(Run(**values, score=score) for values, score in zip(named, scores, strict=True))
