"""The share of supposedly clean rows that form a group standing apart, before any training."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aemodel.decisions.contamination import count_suspects
from aemodel.rows.layout import Layout
from aemodel.rows.training_rows import prepare_rows
from aemodel.settings import ModelSettings, TrainSettings
from aemodel.training.trimming import MOST_COMPARED, find_trimming

UNITS = ModelSettings(scaling="minmax", output="identity", loss="mse")
# a group that could vouch for itself is larger than any that `count_suspects` reports
PASS = TrainSettings(calibration=0.0, validation=0.0, trim=0.05)


def share_apart(rows: NDArray[np.generic]) -> float:
    """Return the share of rows (n, d) that lie beyond a wide gap from the bulk; 0 if none do.

    At most MOST_COMPARED rows are looked at, evenly spaced. See `aemodel.training.trimming`. Where
    most rows have copies, gaps between scores mean nothing, and the share is 0.
    """
    rows = rows[:: -(-len(rows) // MOST_COMPARED)]
    layout = Layout(row_shape=rows.shape[1:], dtype=rows.dtype.name, columns=())
    prepared = prepare_rows(
        lambda: [rows], layout=layout, model=UNITS, train=PASS, memory_bytes=8 * rows.nbytes
    )
    found = find_trimming(prepared, rows, scaling=UNITS.scaling)
    if np.median(found.distances(rows)[:, 0]) == 0:
        return 0.0
    return count_suspects(np.sort(np.exp(found.apart(rows)))) / len(rows)
