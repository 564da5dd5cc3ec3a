"""What a scored shard tells of its rows: small facts whose merge is exact, whatever the shards or their order.

The sums over features are exact but for rounding; nothing is decided by them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aemodel.decisions.drift import FeatureTally
from aemodel.decisions.ranking import Tally
from aemodel.model import Autoencoder
from flows.scoring.candidates import Candidates
from storage.sources import Chunk

MOST_STRANGE = 50  # rows kept for their novelty where rows are ranked by their error


@dataclass(frozen=True)
class ShardSummary:
    """Counts against the calibration scores, the highest rows, the most novel ones among the others, and how the features lie.

    A row whose score is above all calibration scores shows in the ranking anyway, and takes no place among the strange ones.
    """

    tally: Tally
    best: Candidates
    strange: Candidates
    features: FeatureTally

    @classmethod
    def of_chunk(
        cls,
        model: Autoencoder,
        chunk: Chunk,
        scores: NDArray[np.float64],
        novelties: NDArray[np.float64],
        *,
        calibration: NDArray[np.float64],
        threshold: float,
        keep: int,
    ) -> ShardSummary:
        """Of one chunk with its scores and novelties (n,);

        `calibration` ascending, of the same kind as `scores`.
        """
        highest = calibration[-1] if len(calibration) else np.inf
        return cls(
            Tally.of(calibration, scores, threshold=threshold),
            Candidates.of_chunk(keep, chunk, scores),
            Candidates.of_chunk(
                MOST_STRANGE, chunk, np.where(scores > highest, -np.inf, novelties)
            ),
            FeatureTally.of(
                model.scale(chunk.rows),
                model.measured.feature_mean,
                model.measured.feature_deviation,
            ),
        )

    def merge(self, other: ShardSummary) -> ShardSummary:
        """Of both."""
        return ShardSummary(
            self.tally.merge(other.tally),
            self.best.merge(other.best),
            self.strange.merge(other.strange),
            self.features.merge(other.features),
        )

    def save(self, path: Path) -> None:
        """Write to an .npz file; nothing in it is pickled."""
        counts = {
            "by_rank": self.tally.by_rank,
            "picture": self.tally.picture,
            "above": np.array(self.tally.above),
            "n": np.array(self.tally.rows),
        }
        features = {f"features.{name}": value for name, value in vars(self.features).items()}
        with path.open("wb") as file:
            np.savez(
                file,
                allow_pickle=False,
                **counts,
                **self.best.arrays("best"),
                **self.strange.arrays("strange"),
                **features,
            )

    @classmethod
    def load(cls, path: Path, keep: int) -> ShardSummary:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as file:
            return cls(
                Tally(file["by_rank"], file["picture"], int(file["above"]), int(file["n"])),
                Candidates.of_arrays(keep, "best", file),
                Candidates.of_arrays(MOST_STRANGE, "strange", file),
                FeatureTally(*(file[f"features.{name}"] for name in ("count", "total", "squares"))),
            )
