"""Models that `nightglass init` proposes for tables with categories and times."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from proposed import parse_job, propose_for_file

from aemodel.model import Autoencoder
from aemodel.training.loop import CleanRows, train_autoencoder
from flows.jobs.inputs import kinds_of_columns, layout_of
from flows.training.rows.blocks import find_blocks
from flows.training.rows.clean_rows import DigestedPasses
from storage.sources import open_source, open_surveyed

Rows = NDArray[np.float64]
CHUNK_ROWS = 100_000


@dataclass(frozen=True)
class Fitted:
    """A model as proposed for clean rows, and a way to read other rows as it does."""

    model: Autoencoder

    def read(self, table: pa.Table) -> Rows:
        """Return a table as rows (n, d) of the model's columns."""
        kinds = kinds_of_columns(self.model.layout)
        with (
            saved(table) as path,
            open_source(path, missing="impute", columns=[*kinds], kinds=kinds) as source,
        ):
            return np.concatenate([chunk.rows for chunk in source.chunks(max_rows=CHUNK_ROWS)])

    def scores(self, table: pa.Table) -> dict[str, Rows]:
        """Return error and novelty (n,) of a table."""
        errors, novelties, _ = self.model.scores(self.read(table))
        return {"error": errors, "novelty": novelties}


@contextmanager
def saved(table: pa.Table) -> Iterator[Path]:
    """Save a table in a temporary Parquet file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.parquet"
        pq.write_table(table, path)
        yield path


def fit(table: pa.Table, seed: int) -> Fitted:
    """Train on clean rows as `nightglass init` proposes, on their days if it finds any."""
    with saved(table) as path:
        job = parse_job(propose_for_file(path))
        with open_surveyed(path, missing=job.data.missing, id=job.data.id) as source:
            layout = layout_of(job, source.schema)
            blocks = find_blocks(source, job.train)
            passes = DigestedPasses(source, CHUNK_ROWS, blocks)
            clean = CleanRows(passes, layout, job.score.memory, blocks=passes.blocks)
            train = replace(job.train, seed=seed, blocks=blocks.by if blocks else "")
            return Fitted(train_autoencoder(clean, model=job.model, train=train).model)
