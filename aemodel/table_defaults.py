"""Default settings for tables, measured in docs/detection.md.

They are the detector's defaults and what `init` writes into a job file.
"""

from __future__ import annotations

HIDDEN = (64,)
PROTOTYPES = 512
MEMBERS = 4
NOISE = 0.025  # share of each column's range
STEPS, BATCH = 800, 256
FEWEST_EPOCHS, MOST_EPOCHS = 3, 800
MOST_LATENTS = 32


def table_latents(n_features: int) -> int:
    """Return the number of latents: one per feature, at most MOST_LATENTS.

    No bottleneck is needed: the prototypes keep the network from copying its input.
    """
    return min(MOST_LATENTS, n_features)


def table_epochs(fit_rows: float) -> int:
    """Return the number of epochs that amounts to about STEPS batches."""
    epochs = round(STEPS * BATCH / max(BATCH, fit_rows))
    return min(MOST_EPOCHS, max(FEWEST_EPOCHS, epochs))
