"""Default settings for tables, measured in docs/detection.md.

They are the detector's defaults and what `init` writes into a job file, except that `init` proposes
fewer members for tables of numbers, and for large ones of other columns: it ranks by novelty, which
needs no more.
"""

from __future__ import annotations

HIDDEN = (64,)
PROTOTYPES = 512
MEMBERS = 4
NIGHTLY_MEMBERS = 2
NOISE = 0.025  # share of each column's range
MIXED_NOISE = 0.1  # standard deviations, where some columns are categories or times
STEPS, BATCH, LEARNING_RATE = 200, 128, 8e-3
FEWEST_EPOCHS = 2
MOST_LATENTS = 32
MANY_COLUMNS, FEWEST_WIDE = 2_000, 100  # a table is wide from so many columns on; see is_wide
MOST_WIDE_LATENTS = 128
WIDE_EPOCHS, WIDE_LEARNING_RATE = 3, 1e-5  # the start is the optimum of the rows in memory


def table_latents(n_features: int) -> int:
    """Return the number of latents: one per feature, at most MOST_LATENTS.

    No bottleneck is needed: the prototypes keep the network from copying its input.
    """
    return min(MOST_LATENTS, n_features)


def table_epochs(fit_rows: float) -> int:
    """Return the number of epochs that amounts to about STEPS batches, or more for many rows."""
    return max(FEWEST_EPOCHS, round(STEPS * BATCH / max(BATCH, fit_rows)))


def is_wide(n_features: int, fit_rows: float) -> bool:
    """Return whether a linear network suits a table better: too few rows, or too many columns.

    A network with prototypes then costs minutes and ranks worse.
    """
    return n_features >= MANY_COLUMNS or n_features >= max(FEWEST_WIDE, fit_rows)


def wide_latents(n_features: int, fit_rows: float) -> int:
    """Return the number of latents for a wide table: a third of the rows that they are fitted to.

    In many columns, components that only describe noise cost nothing; missing ones cost much.
    """
    return max(1, min(MOST_WIDE_LATENTS, n_features // 2, int(fit_rows / 3)))
