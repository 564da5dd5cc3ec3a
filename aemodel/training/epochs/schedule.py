"""The learning rate over a training: it rises, stays, and falls to 0.

It reaches the loss of a constant rate in a fraction of the steps. A trapezoidal schedule
(Xing et al. 2018, "A Walk with SGD"; Hägele et al., NeurIPS 2024).
"""

from __future__ import annotations

from dataclasses import dataclass

RISE, FALL = 0.1, 0.4  # shares of the training


@dataclass(frozen=True)
class Schedule:
    """The learning rate of each step.

    rows: those of all epochs together.
    """

    learning_rate: float
    rows: int

    def rate(self, before: int, batch: int) -> float:
        """Return the rate of a step on `batch` rows, after `before` rows. It is never 0."""
        progress = (before + batch / 2) / self.rows
        return self.learning_rate * min(1.0, progress / RISE, (1 - progress) / FALL)
