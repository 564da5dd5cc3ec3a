"""What init says if the clean rows look contaminated."""

from __future__ import annotations

import math

import numpy as np

from aemodel.training.trimming import share_apart
from storage.sources import NUMBER, Source

SAMPLE_ROWS = 20_000
SAMPLE_BYTES = 64_000_000
FEWEST_ROWS = 100  # fewer do not show what stands apart


def contaminated_comment(source: Source) -> list[str]:
    """Comment lines if a group of the first rows of a table stands apart from the others."""
    most = max(1, min(SAMPLE_ROWS, SAMPLE_BYTES // source.schema.row_bytes))
    rows = next(source.chunks(0, most, max_rows=most)).rows
    if source.schema.kinds:
        rows = rows[:, [kind == NUMBER for kind in source.schema.kinds]]
    if rows.ndim != 2 or len(rows) < FEWEST_ROWS or not rows.shape[1]:
        return []
    if not np.isfinite(rows).any(axis=0).all():
        return []
    share = share_apart(rows)
    if not share:
        return []
    trim = math.ceil(100 * share) / 100
    return [
        f"# about {100 * share:.2g} % of the rows sampled stand apart from the others; if they may "
        "be outliers,",
        f"# set trim = {trim:g} below, or list them with 'nightglass score JOB --in-sample'",
    ]
