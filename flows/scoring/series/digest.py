"""A digest of all that the scores of a night of series rest on."""

from __future__ import annotations

import hashlib

import numpy as np

from flows.engine.series_rows import RowRange
from storage.sources import RowsDigest
from storage.sources.digests import sha256_text
from storage.sources.series.source import SeriesSource


class SeriesDigest:
    """Digest of rows, ids, times, and entities, independent of the ranges that rows are read in.

    Rows of the night before count, since windows reach into them; rows that are not judged do not.
    """

    def __init__(self, source: SeriesSource) -> None:
        self._rows = RowsDigest()
        self._places = [hashlib.sha256() for _ in range(3)]  # times, entities, context
        self._names = sha256_text("\0".join(source.entities))

    def update(self, rows: RowRange) -> None:
        """Add the next rows."""
        used = rows.usable
        self._rows.update(rows.rows[used], None if rows.ids is None else rows.ids[used])
        series = rows.series.pick(used)
        places = (series.times, series.entities, series.context.astype(np.int8))
        for digest, values in zip(self._places, places, strict=True):
            little = values.astype(values.dtype.newbyteorder("<"))
            digest.update(np.ascontiguousarray(little).data)

    def hexdigest(self) -> str:
        """Return the digest of all rows added so far."""
        places = [digest.hexdigest() for digest in self._places]
        return sha256_text(" ".join([self._rows.hexdigest(), *places, self._names]))
