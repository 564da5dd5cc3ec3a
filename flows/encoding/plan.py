"""Plan a store: decisions that all its shards share, made before the first shard is written.

How latents and decoder are stored, and which codecs hold a requested bound.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aemodel.decoder import Decoder
from aemodel.model import Autoencoder
from aemodel.rows.splits import hasher_for, sides_of
from aemodel.training.promotion_gate import block_split_of
from flows.encoding.latent_bytes import latent_bytes
from flows.encoding.precision import Encoded, Stored, fewest_bits, fewest_bytes
from flows.encoding.rate_distortion import Point, error_curve
from flows.encoding.waiting_rows import rows_with_gaps
from flows.engine.shard_tasks import rows_per_chunk
from flows.errors import UsageError
from flows.jobs.inputs import open_rows
from flows.jobs.settings import Job
from flows.training.rows.blocks import find_blocks
from flows.training.rows.clean_rows import DigestedPasses
from storage.codecs.candidates import Sample
from storage.codecs.columns import squeeze
from storage.codecs.deviation import differences
from storage.codecs.selection import hold_contest
from storage.errors import StorageError
from storage.files.reads import read_refusals
from storage.latents import Bound, BoundedPlan, StorePlan
from storage.latents.shard import latents_as_read
from storage.sources import Shard, Source, StoredColumns

SAMPLE_VALUES = 1 << 19  # values that the contest of codecs is held on
BUDGET_BYTES = 64_000_000  # bytes of the source on which an RMSE is measured, to use its budget up
SAMPLE_RUNS = 4  # pieces of a sample, evenly spaced over the source
PRICED_ROWS = 256  # on which the bytes of a row kept exactly are measured
HELD_OUT_VALUES = 1 << 21
WIDEST = 1e300  # tolerance of a column, so that a step of twice that is a float64

Rows = NDArray[np.generic]


@dataclass(frozen=True)
class Planned:
    """The plan of a store, its decoder (as files and ready to use), and its error curve."""

    plan: StorePlan
    files: dict[str, bytes]
    decoder: Decoder
    curve: list[Point]


@dataclass(frozen=True)
class StoreInputs:
    """Everything that a plan depends on."""

    job: Job
    model: Autoencoder
    source: Source
    shards: Sequence[Shard]

    @property
    def columns(self) -> StoredColumns:
        """What the store keeps as values."""
        return self.source.stored_columns

    def sample(self, values: int) -> Encoded:
        """A sample of the source of about `values` values, with latents."""
        rows = evenly_spaced_rows(self.source, self.shards, values)
        picked = self.columns.values_of(rows)
        return Encoded.of(self.model, rows, picked, self.columns.values.types)


def plan_store(job: Job, model: Autoencoder, source: Source, shards: Sequence[Shard]) -> Planned:
    """Plan a store; the same job, model and source always give the same plan."""
    inputs = StoreInputs(job, model, source, shards)
    measured = _rmse_sample(inputs)
    stored = _choose_storage(inputs, measured)
    rmse = _rmse_as_read(stored, measured)
    sample = inputs.sample(SAMPLE_VALUES)
    bound = requested_bound(job, model, inputs.columns)
    plan = StorePlan(
        format=job.encode.format,
        scale=stored.scale,
        columns=inputs.columns,
        latent_dim=model.settings.latent,
        bounded=_bounded_plan(inputs, stored, sample, bound, rmse) if job.encode.bounds else None,
    )
    curve = error_curve(stored, sample, bound, source.n_rows)
    return Planned(plan, stored.files, stored.decoder, curve)


def _rmse_sample(inputs: StoreInputs) -> Encoded | None:
    """The sample on which a requested max_rmse is measured; None without one."""
    if not inputs.job.encode.max_rmse:
        return None
    itemsize = np.dtype(inputs.columns.values.dtype).itemsize
    return inputs.sample(BUDGET_BYTES // itemsize).measurable()


def _choose_storage(inputs: StoreInputs, measured: Encoded | None) -> Stored:
    precision = inputs.job.encode.precision
    if measured and precision == "auto":
        stored = within_rmse(inputs, measured)
        if stored is not None:
            return stored
    rows = held_out_rows(inputs)
    held_out = Encoded.of(inputs.model, rows, inputs.columns.pick(rows)).measurable()
    return fewest_bits(inputs.model, held_out, precision)


def _rmse_as_read(stored: Stored, measured: Encoded | None) -> float:
    """RMSE of latents alone on the rows `measured`; infinity if nothing is measured."""
    if measured is None:
        return float("inf")
    return measured.loss(stored.decoder, latents_as_read(stored.scale, measured.latents))


def within_rmse(inputs: StoreInputs, measured: Encoded) -> Stored | None:
    """Latents and decoder that hold `max_rmse` in the fewest bytes; None if none do or no rows."""
    if not len(measured.rows):
        return None
    source, model = inputs.source, inputs.model
    shard_rows = max((shard.stop - shard.start for shard in inputs.shards), default=0)
    share = measured.safe_share(model.decoder, source.n_rows, shard_rows)
    budget = share * inputs.job.encode.max_rmse
    return fewest_bytes(model, measured, budget, source.n_rows)


def _bounded_plan(
    inputs: StoreInputs, stored: Stored, sample: Encoded, bound: Bound, rmse: float
) -> BoundedPlan:
    """The requested bound, and the contest of the codecs that hold it.

    rmse: that of latents alone, infinity if unknown.
    """
    source = inputs.source
    exact = stored.decoder.decode_exactly(
        latents_as_read(stored.scale, sample.latents), sample.keys
    )
    entered = Sample(
        sample.rows,
        exact.reshape(sample.rows.shape),
        inputs.columns.values.row_shape,
        source.n_rows,
        decoder_bytes=stored.decoder_bytes,
        latent_bytes=latent_bytes(stored.scale, sample.latents, source.n_rows),
        exact_bytes=exact_bytes(sample.rows, inputs.job.encode.keep_exact, source.n_rows),
        latents_rmse=rmse,
    )
    fast = inputs.job.encode.speed == "fast"
    return BoundedPlan(
        inputs.job.encode.bounds, bound, tuple(hold_contest(entered, bound, fast=fast))
    )


def exact_bytes(rows: Rows, keep_exact: float, n_rows: int) -> int:
    """Estimated bytes of what a store of `n_rows` rows keeps beside latents, from some rows (n, d).

    The rows with the `keep_exact` largest errors, and a bit for each value of a row with gaps.
    """
    if not len(rows):
        return 0
    some = np.ascontiguousarray(rows[:: max(1, len(rows) // PRICED_ROWS)])
    exact: float = keep_exact * len(squeeze(some.tobytes(), "zstd")) / len(some)
    gaps: float = float(rows_with_gaps(rows).mean()) * -(-rows.shape[1] // 8)
    return round(n_rows * (exact + gaps))


def requested_bound(job: Job, model: Autoencoder, columns: StoredColumns) -> Bound:
    """The job's bound as a tolerance for each value, in data units; infinity without one.

    A column of whole numbers has a whole tolerance.
    """
    asked, types = job.encode, columns.values.types
    tolerance = np.full(model.decoded_size, asked.max_error or np.inf)
    if asked.max_error_relative:
        relative = asked.max_error_relative * clean_ranges(job, model, columns)
        tolerance = np.minimum(tolerance, relative)
    whole = np.array([np.dtype(name).kind != "f" for name in types] or [False])
    tolerance = np.where(whole, np.floor(tolerance), tolerance)
    tolerance[np.isfinite(tolerance)] = np.minimum(tolerance[np.isfinite(tolerance)], WIDEST)
    return Bound(tolerance, asked.max_rmse or np.inf, types)


def clean_ranges(job: Job, model: Autoencoder, columns: StoredColumns) -> NDArray[np.float64]:
    """Range (d,) of each value in the clean data, in data units.

    0 for one that is constant or has no values.
    """
    extremes = np.empty((0, model.decoded_size))
    for rows in clean_chunks(job, model):
        flat = columns.pick(rows).reshape(len(rows), model.decoded_size)
        flat = np.concatenate([extremes.astype(rows.dtype), flat])
        extremes = np.stack([np.fmin.reduce(flat, axis=0), np.fmax.reduce(flat, axis=0)])
    if not len(extremes):
        return np.zeros(model.decoded_size)
    return np.asarray(differences(extremes[1:], extremes[:1])[0])


def clean_chunks(job: Job, model: Autoencoder) -> Iterator[Rows]:
    """Yield the clean rows in chunks. Raises UsageError if they cannot be read anymore."""
    with _open_clean(job, model) as source:
        yield from DigestedPasses(source, rows_per_chunk(source, job.score.memory))()


@contextmanager
def _open_clean(job: Job, model: Autoencoder) -> Iterator[Source]:
    try:
        with open_rows(job, job.clean, model.layout) as source:
            yield source
    except StorageError as error:
        raise UsageError(
            f"data.clean cannot be read, but encode measures ranges on it: {error}; "
            "restore it, or set data.clean to the clean rows of this model"
        ) from error


def held_out_rows(inputs: StoreInputs) -> Rows:
    """Rows (n, *row_shape) without gaps for measurements: the model's validation rows.

    Rows of the source if there are no validation rows, or the clean data is missing.
    """
    kept = list(_validation_rows(inputs))
    layout = inputs.model.layout
    found = np.concatenate(kept) if kept else np.empty((0, *layout.row_shape))
    if len(found):
        return found[: _most_held_out(inputs.model)]
    rows = evenly_spaced_rows(inputs.source, inputs.shards, SAMPLE_VALUES)
    return rows[_without_gaps(inputs.columns.pick(rows))]


def _validation_rows(inputs: StoreInputs) -> Iterator[Rows]:
    """Yield the validation rows among the clean rows, until there are enough."""
    job, model = inputs.job, inputs.model
    settings = model.train_settings
    with read_refusals(job.clean):
        if not settings.validation or not job.clean.exists():
            return
    count = 0
    with _open_clean(job, model) as source:
        blocks = find_blocks(source, settings) if settings.split == "blocks" else None
        passes = DigestedPasses(source, rows_per_chunk(source, job.score.memory), blocks)
        split = block_split_of(model, passes.blocks)
        if settings.split == "blocks" and split is None:
            return  # other blocks now: nobody can tell which of their rows are validation rows
        hasher = hasher_for(settings, split)
        for rows in passes():
            found = rows[sides_of(hasher(rows), settings).validation]
            found = found[_without_gaps(inputs.columns.pick(found))]
            count += len(found)
            yield found
            if count >= _most_held_out(model):
                return


def _most_held_out(model: Autoencoder) -> int:
    return max(1, HELD_OUT_VALUES // model.layout.n_features)


def evenly_spaced_rows(source: Source, shards: Sequence[Shard], values: int) -> Rows:
    """Rows (n, *row_shape) of about `values` values: all, or a few runs evenly spaced."""
    schema = source.schema
    most = max(SAMPLE_RUNS, values // max(1, int(np.prod(schema.row_shape, dtype=np.int64))))
    if source.n_rows <= most or not shards:
        runs = [(0, min(most, source.n_rows))]
    else:
        starts = np.linspace(0, source.n_rows - most // SAMPLE_RUNS, SAMPLE_RUNS).astype(int)
        runs = [(int(start), int(start) + most // SAMPLE_RUNS) for start in starts]
    read = _read_in_one_pass if source.sequential else _read_runs
    pieces = list(read(source, runs, most))
    return np.concatenate(pieces) if pieces else np.empty((0, *schema.row_shape), schema.dtype)


def _read_runs(source: Source, runs: Sequence[tuple[int, int]], max_rows: int) -> Iterator[Rows]:
    for start, stop in runs:
        for chunk in source.chunks(start, stop, max_rows=max_rows):
            yield chunk.rows


def _read_in_one_pass(
    source: Source, runs: Sequence[tuple[int, int]], max_rows: int
) -> Iterator[Rows]:
    """Yield the rows of all runs from one pass; a sequential source needs a pass for each read."""
    for chunk in source.chunks(0, runs[-1][1], max_rows=max_rows):
        for start, stop in runs:
            first, last = max(start - chunk.start, 0), stop - chunk.start
            if first < min(last, len(chunk.rows)):
                yield chunk.rows[first:last]


def _without_gaps(rows: Rows) -> NDArray[np.bool_]:
    """Which rows (n,) have only finite values."""
    if rows.dtype.kind != "f":
        return np.ones(len(rows), np.bool_)
    return np.asarray(np.isfinite(rows).all(axis=tuple(range(1, rows.ndim))))
