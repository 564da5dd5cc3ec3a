"""Fit a model of series on the clean rows of a source."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from aemodel.model import Autoencoder
from aemodel.series.fitting.clean import CleanPiece, CleanSeries
from aemodel.series.fitting.fit import fit_series
from aemodel.series.model import SeriesModel
from aemodel.training.promotion_gate import GateVerdict
from flows.engine.series_rows import join_range
from flows.engine.shard_tasks import rows_per_chunk
from flows.errors import UsageError
from flows.jobs.settings import Job
from storage.sources import Source
from storage.sources.series.source import SeriesSource

PIECE_ROWS = 65_536  # of one segment, fitted at once


def fit_series_of(job: Job, source: Source) -> SeriesModel | None:
    """Fit on the clean rows as [series] says; None without that section. Raises DataError."""
    if job.series is None:
        return None
    assert isinstance(source, SeriesSource), "clean rows of a job with [series]"
    clean = clean_series(source, rows_per_chunk(source, job.score.memory))
    return fit_series(clean, job.series.windows, seed=job.train.seed)


def gate_of_series(verdict: GateVerdict) -> GateVerdict:
    """Promote a first model whose network knows no more than the column means.

    Windows judge; the network for rows serves `encode` alone.
    """
    if verdict.promote or verdict.checks or "column_mean_error" not in verdict.figures:
        return verdict
    what = "the first model; windows judge, and the network, which only encodes rows, is"
    return replace(verdict, promote=True, reasons=(f"{what} {verdict.reasons[0]}",))


def require_same_judge(job: Job, model: Autoencoder, model_id: str) -> None:
    """Raise UsageError unless a model judges series exactly if the job has [series]."""
    if (job.series is None) == (model.series is None):
        return
    has, was = ("has", "without") if job.series else ("has no", "with")
    raise UsageError(
        f"the job {has} section [series], but model {model_id} was trained {was} it; run "
        "'nightglass train', or name another model"
    )


def clean_series(source: SeriesSource, max_rows: int) -> CleanSeries:
    """Return the rows of a source as pieces of one segment each."""
    step = source.series.typical_step or 1.0
    names = source.schema.columns or tuple(f"column {k}" for k in range(_width(source)))
    return CleanSeries(
        lambda: iter_pieces(source, max_rows),
        tuple(names),
        source.entities,
        step=step,
        at_once=source.at_once,
        in_seconds=source.has_timestamps,  # nobody knows the unit of numbers
    )


def _width(source: SeriesSource) -> int:
    return int(np.prod(source.schema.row_shape))


def iter_pieces(source: SeriesSource, max_rows: int) -> Iterator[CleanPiece]:
    """Yield the rows of each segment, in pieces of at most PIECE_ROWS, or a chunk more."""
    pending: list[CleanPiece] = []
    for chunk in source.chunks(max_rows=max_rows, pass_broken=True):
        found = join_range([chunk])
        for first, stop in found.spans():
            if pending and (found.series.starts[first] or _rows(pending) >= PIECE_ROWS):
                yield _joined(pending)
                pending = []
            entity = int(found.series.entities[first])
            pending.append(CleanPiece(entity, found.rows[first:stop]))
    if pending:
        yield _joined(pending)


def _rows(pending: list[CleanPiece]) -> int:
    return sum(len(each.rows) for each in pending)


def _joined(pending: list[CleanPiece]) -> CleanPiece:
    return CleanPiece(pending[0].entity, np.concatenate([each.rows for each in pending]))
