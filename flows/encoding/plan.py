"""What all shards of a store will share, decided before the first.

How latents and decoder are stored, and the codec that holds a bound.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aemodel.model import Autoencoder, Decoder
from aemodel.rows.splits import row_hashes, sides_of
from flows.encoding.precision import Encoded, Stored, as_few_bytes, fewest_bits, latent_bytes
from flows.encoding.rate_distortion import Point, error_curve
from flows.engine.shard_tasks import rows_per_chunk
from flows.errors import UsageError
from flows.jobs.inputs import open_rows
from flows.jobs.settings import Job
from storage.codecs.selection import Sample, hold_contest
from storage.errors import StorageError
from storage.latents import Bound, BoundedPlan, StorePlan
from storage.latents.shard import latents_as_read
from storage.sources import Shard, Source

SAMPLE_VALUES = 1 << 19  # of the contest
BUDGET_BYTES = (
    64_000_000  # of the source that an RMSE is measured on, so that its budget can be used up
)
SAMPLE_RUNS = 4  # pieces of the sample, evenly spaced over the source
HELD_OUT_VALUES = 1 << 21


@dataclass(frozen=True)
class Planned:
    """The plan, the decoder that the store will carry, as files and ready to use, and error against size as measured on the way."""

    plan: StorePlan
    files: dict[str, bytes]
    decoder: Decoder
    curve: list[Point]


def plan_store(job: Job, model: Autoencoder, source: Source, shards: Sequence[Shard]) -> Planned:
    """Decide; the same job, model and source always give the same plan."""
    settings = job.encode
    measured = None
    if settings.max_rmse:
        measured = Encoded.of(
            model,
            sample_rows(source, shards, BUDGET_BYTES // np.dtype(source.schema.dtype).itemsize),
        )
    stored = (
        within_rmse(job, model, measured, source, shards)
        if measured and settings.precision == "auto"
        else None
    )
    if stored is None:
        stored = fewest_bits(
            model, Encoded.of(model, held_out_rows(job, model, source, shards)), settings.precision
        )
    reached = (
        measured.loss(stored.decoder, latents_as_read(stored.scale, measured.latents))
        if measured
        else float("inf")
    )
    bounded = None
    sample = Encoded.of(model, sample_rows(source, shards, SAMPLE_VALUES))
    bound = asked_bound(job, model, model.layout.n_features)
    if settings.bounds:
        bounded = bounded_plan(job, stored, sample, bound, source, latents_rmse=reached)
    plan = StorePlan(
        format=settings.format,
        scale=stored.scale,
        schema=source.schema,
        latent_dim=model.settings.latent,
        bounded=bounded,
    )
    return Planned(
        plan, stored.files, stored.decoder, error_curve(stored, sample, bound, source.n_rows)
    )


def within_rmse(
    job: Job, model: Autoencoder, measured: Encoded, source: Source, shards: Sequence[Shard]
) -> Stored | None:
    """Latents and decoder that hold `max_rmse` in as few bytes as it allows;

    None where none do, or there are no rows.
    """
    if not len(measured.rows):
        return None
    share = measured.safe_share(
        model.decoder, source.n_rows, max((shard.stop - shard.start for shard in shards), default=0)
    )
    return as_few_bytes(model, measured, share * job.encode.max_rmse, source.n_rows)


def bounded_plan(
    job: Job, stored: Stored, sample: Encoded, bound: Bound, source: Source, *, latents_rmse: float
) -> BoundedPlan:
    """The bound that the job asks for, and the contest of the codecs that hold it."""
    entered = Sample(
        sample.rows,
        stored.decoder.decode_exactly(latents_as_read(stored.scale, sample.latents)).reshape(
            sample.rows.shape
        ),
        source.schema.row_shape,
        source.n_rows,
        decoder_bytes=stored.decoder_bytes,
        latent_bytes=latent_bytes(stored.scale, sample.latents, source.n_rows),
        latents_rmse=latents_rmse,
    )
    return BoundedPlan(job.encode.bounds, bound, tuple(hold_contest(entered, bound)))


def asked_bound(job: Job, model: Autoencoder, n_features: int) -> Bound:
    """The bound of the job file as a tolerance for each feature, in data units."""
    asked = job.encode
    tolerance = np.full(n_features, asked.max_error or np.inf)
    if asked.max_error_relative:
        tolerance = np.minimum(
            tolerance, asked.max_error_relative * clean_ranges(job, model, n_features)
        )
    return Bound(tolerance, asked.max_rmse or np.inf)


def clean_ranges(job: Job, model: Autoencoder, n_features: int) -> NDArray[np.float64]:
    """Range (d,) of each feature in the clean data, in data units.

    0 for one that is constant or has no values.
    """
    low, high = np.full(n_features, np.inf), np.full(n_features, -np.inf)
    for rows in clean_chunks(job, model):
        flat = rows.reshape(len(rows), -1).astype(np.float64)
        low, high = (
            np.fmin(low, np.fmin.reduce(flat, axis=0)),
            np.fmax(high, np.fmax.reduce(flat, axis=0)),
        )
    return np.asarray(np.maximum(high - low, 0.0))


def clean_chunks(job: Job, model: Autoencoder) -> Iterator[NDArray[Any]]:
    """The clean rows, chunk by chunk. Raises UsageError where they cannot be read any more."""
    try:
        with open_rows(job, job.path(job.data.clean), model.layout.columns) as source:
            for chunk in source.chunks(max_rows=rows_per_chunk(source, job.memory_bytes)):
                yield chunk.rows
    except StorageError as error:
        raise UsageError(
            f"data.clean, on which encode measures ranges and makes its choices, cannot be read: {error}; "
            "bring it back, or name the clean rows of this model with data.clean"
        ) from error


def held_out_rows(
    job: Job, model: Autoencoder, source: Source, shards: Sequence[Shard]
) -> NDArray[Any]:
    """Rows (n, *row_shape) without gaps that choices are measured on.

    Of the clean data those that validation had, else of the source.
    """
    most = max(1, HELD_OUT_VALUES // model.layout.n_features)
    kept: list[NDArray[Any]] = []
    if model.train_settings.validation and job.path(job.data.clean).exists():
        for rows in clean_chunks(job, model):
            kept.append(_whole(rows[sides_of(row_hashes(rows), model.train_settings).validation]))
            if sum(map(len, kept)) >= most:
                break
    found = np.concatenate(kept)[:most] if kept else np.empty((0, *model.layout.row_shape))
    return found if len(found) else _whole(sample_rows(source, shards, SAMPLE_VALUES))


def sample_rows(source: Source, shards: Sequence[Shard], values: int) -> NDArray[Any]:
    """Rows (n, *row_shape) of about so many values, fixed by the plan of shards.

    All, or a few runs evenly spaced over the source.
    """
    row_size = max(1, int(np.prod(source.schema.row_shape, dtype=np.int64)))
    most = max(SAMPLE_RUNS, values // row_size)
    if source.n_rows <= most or not shards:
        runs = [(0, min(most, source.n_rows))]
    else:
        starts = np.linspace(0, source.n_rows - most // SAMPLE_RUNS, SAMPLE_RUNS).astype(int)
        runs = [(int(start), int(start) + most // SAMPLE_RUNS) for start in starts]
    if source.sequential:  # one pass, since each run would be a pass of its own
        chunks = source.chunks(0, runs[-1][1], max_rows=most)
        cuts = (
            (chunk, max(start - chunk.start, 0), stop - chunk.start)
            for chunk in chunks
            for start, stop in runs
        )
        pieces = [
            chunk.rows[first:last]
            for chunk, first, last in cuts
            if first < min(last, len(chunk.rows))
        ]
    else:
        pieces = [
            chunk.rows
            for start, stop in runs
            for chunk in source.chunks(start, stop, max_rows=most)
        ]
    return (
        np.concatenate(pieces)
        if pieces
        else np.empty((0, *source.schema.row_shape), source.schema.dtype)
    )


def _whole(rows: NDArray[Any]) -> NDArray[Any]:
    """The rows without a gap."""
    if rows.dtype.kind != "f":
        return rows
    return np.asarray(rows[np.isfinite(rows.reshape(len(rows), -1)).all(axis=1)])
