"""What finds most in tables, measured in docs/detection.md.

The detector's defaults, and what `init` writes into a job file.
"""

from __future__ import annotations

HIDDEN = (64,)
PROTOTYPES = 512
MEMBERS = 4
NOISE = 0.025  # of each column's range
STEPS, BATCH = 800, 256
FEWEST_EPOCHS, MOST_EPOCHS = 3, 800
MOST_LATENTS = 32


def table_latents(n_features: int) -> int:
    """No bottleneck where there are few features: the prototypes keep the network from copying."""
    return min(MOST_LATENTS, n_features)


def table_epochs(fit_rows: float) -> int:
    """Passes over so many fit rows that come to about STEPS batches."""
    return min(MOST_EPOCHS, max(FEWEST_EPOCHS, round(STEPS * BATCH / max(BATCH, fit_rows))))
