"""What all shards of a store will share, decided before the first: the decoder's bits, the latents' scale, and the codec that holds a bound."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aemodel.bundle import compact_decoder_files, decoder_files, decoder_from_files
from aemodel.compact import ROUGHNESS, sensitivity
from aemodel.model import Autoencoder, Decoder
from aemodel.splits import row_hashes, sides_of
from flows.errors import UsageError
from flows.grouping import rows_per_chunk
from flows.job import Job
from flows.places import open_rows
from storage.errors import StorageError
from storage.latents import Bound, BoundedPlan, Scale, StorePlan
from storage.latents.columns import Order, pack_columns
from storage.latents.contest import RMSE_SHARE, Sample, hold_contest, rmse
from storage.latents.grid import to_dtype
from storage.latents.shard import latents_as_read
from storage.sources import Shard, Source

SAMPLE_VALUES = 1 << 19
SAMPLE_RUNS = 4  # pieces of the sample, evenly spaced over the source
HELD_OUT_VALUES = 1 << 21
NOTHING_MEASURABLE = 1.0005  # times the RMSE that rounded decoder weights may bring
AUTO = 1.005  # times the RMSE that precision = "auto" may bring
SEARCH_STEPS = 14
MOST_LEVELS = 255
PROBED_ROWS = 512


@dataclass(frozen=True)
class Planned:
    """The plan, and the decoder that the store will carry, as files and ready to use."""

    plan: StorePlan
    files: dict[str, bytes]
    decoder: Decoder


@dataclass(frozen=True)
class _Rows:
    """Rows (n, d) that choices are measured on, with their latents (n, k), unrounded."""

    rows: NDArray[Any]
    latents: NDArray[np.float32]

    def loss(self, decoder: Decoder, latents: NDArray[np.float32]) -> float:
        """Root mean square error where a reader gets these latents."""
        return rmse(self.rows, to_dtype(decoder.decode_exactly(latents).reshape(self.rows.shape), self.rows.dtype.name))


def plan_store(job: Job, model: Autoencoder, source: Source, shards: Sequence[Shard]) -> Planned:
    """Decide; the same job, model and source always give the same plan."""
    settings = job.encode
    held_out = _with_latents(model, held_out_rows(job, model, source, shards))
    files, decoder = stored_decoder(model, held_out, precise=settings.precision == "float32")
    scale = stored_scale(settings.precision, model, decoder, held_out)
    bounded = None
    if settings.bounds:
        sample = _with_latents(model, sample_rows(source, shards))
        if settings.max_rmse and settings.precision == "auto":
            files, decoder, scale = cheapest_latents(model, sample, RMSE_SHARE * settings.max_rmse, source.n_rows) or (
                files,
                decoder,
                scale,
            )
        bounded = bounded_plan(job, model, decoder, scale, sample, source, files)
    plan = StorePlan(format=settings.format, scale=scale, schema=source.schema, latent_dim=model.settings.latent, bounded=bounded)
    return Planned(plan, files, decoder)


def stored_decoder(model: Autoencoder, held_out: _Rows, *, precise: bool) -> tuple[dict[str, bytes], Decoder]:
    """The decoder's files, its weights as coarse as costs nothing measurable on held-out rows."""
    whole = decoder_files(model)
    if precise or not len(held_out.rows):
        return whole, decoder_from_files(whole, device=model.device)
    budget = NOTHING_MEASURABLE * held_out.loss(model.decoder, held_out.latents)
    for roughness in ROUGHNESS:
        files = compact_decoder_files(whole, held_out.latents, roughness)
        decoder = decoder_from_files(files, device=model.device)
        if held_out.loss(decoder, held_out.latents) <= budget:
            return files, decoder
    return whole, decoder_from_files(whole, device=model.device)


def stored_scale(precision: str, model: Autoencoder, decoder: Decoder, held_out: _Rows) -> Scale:
    """The scale of the latents; 'auto' takes the fewest levels that held-out rows bear."""
    low, high = wide_range(model.measured.latent_low, model.measured.latent_high, held_out.latents)
    plain = Scale("int8" if precision == "auto" else precision, low, high)
    if precision != "auto" or not len(held_out.rows):
        return plain
    return coarsest_scale(decoder, held_out, AUTO * held_out.loss(model.decoder, held_out.latents)) or plain


def wide_range(
    low: NDArray[np.float32], high: NDArray[np.float32], latents: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A range (k,) widened to latents (n, k) that lie outside, by a quarter at most: a value kept beside the codes costs more than a step."""
    room = (high - low) / 4
    least, most = latents.min(axis=0, initial=np.inf), latents.max(axis=0, initial=-np.inf)
    return np.clip(least, low - room, low).astype(np.float32), np.clip(most, high, high + room).astype(np.float32)


def coarsest_scale(decoder: Decoder, sample: _Rows, budget: float) -> Scale | None:
    """The scale with the fewest levels whose rounding leaves the RMSE of `sample` within `budget`; None where 255 are too few.

    Steps are inverse to what a change of each latent does to the rows, so that all latents' rounding weighs the same.
    """
    probed = sample.latents[:: max(1, len(sample.latents) // PROBED_ROWS)]
    unit = 1 / np.sqrt(np.maximum(sensitivity(decoder.decode_exactly, probed), 1e-300) * sample.latents.shape[1])
    low, high = sample.latents.min(axis=0), sample.latents.max(axis=0)

    def scale_of(noise: float) -> Scale:
        levels = np.clip(np.ceil((high - low).astype(np.float64) / (noise * unit)) + 1, 1, MOST_LEVELS).astype(np.int64)
        return Scale("int8", low, high, levels)

    def fits(noise: float) -> bool:
        return sample.loss(decoder, latents_as_read(scale_of(noise), sample.latents)) <= budget

    finest, coarsest = budget / 64, budget * 8
    if not fits(finest):
        return None
    for _ in range(SEARCH_STEPS):
        middle = float(np.sqrt(finest * coarsest))
        finest, coarsest = (middle, coarsest) if fits(middle) else (finest, middle)
    return scale_of(finest)


def cheapest_latents(model: Autoencoder, sample: _Rows, budget: float, n_rows: int) -> tuple[dict[str, bytes], Decoder, Scale] | None:
    """Decoder and scale that hold an RMSE with the fewest bytes for decoder and latents together; None where none holds it."""
    whole = decoder_files(model)
    best: tuple[int, dict[str, bytes], Decoder, Scale] | None = None
    for roughness in ROUGHNESS:
        files = compact_decoder_files(whole, sample.latents, roughness)
        decoder = decoder_from_files(files, device=model.device)
        scale = coarsest_scale(decoder, sample, budget) if sample.loss(decoder, sample.latents) <= budget else None
        if scale is None:
            continue
        size = sum(map(len, files.values())) + latent_bytes(scale, sample.latents, n_rows)
        if best is not None and size > best[0]:
            break  # finer weights only cost more from here on
        best = size, files, decoder, scale
    return best[1:] if best else None


def bounded_plan(
    job: Job, model: Autoencoder, decoder: Decoder, scale: Scale, sample: _Rows, source: Source, files: dict[str, bytes]
) -> BoundedPlan:
    """The bound that the job asks for, and the contest of the codecs that hold it."""
    stored = latents_as_read(scale, sample.latents)
    entered = Sample(
        sample.rows,
        decoder.decode_exactly(stored).reshape(sample.rows.shape),
        source.schema.row_shape,
        source.n_rows,
        decoder_bytes=sum(map(len, files.values())),
        latent_bytes=latent_bytes(scale, sample.latents, source.n_rows),
    )
    bound = asked_bound(job, model, sample.rows.shape[1])
    return BoundedPlan(job.encode.bounds, bound, tuple(hold_contest(entered, bound)))


def asked_bound(job: Job, model: Autoencoder, n_features: int) -> Bound:
    """The bound of the job file as a tolerance for each feature, in data units."""
    asked = job.encode
    tolerance = np.full(n_features, asked.max_error or np.inf)
    if asked.max_error_relative:
        tolerance = np.minimum(tolerance, asked.max_error_relative * clean_ranges(job, model, n_features))
    return Bound(tolerance, asked.max_rmse or np.inf)


def clean_ranges(job: Job, model: Autoencoder, n_features: int) -> NDArray[np.float64]:
    """Range (d,) of each feature in the clean data, in data units; 0 for one that is constant or has no values."""
    low, high = np.full(n_features, np.inf), np.full(n_features, -np.inf)
    for rows in clean_chunks(job, model):
        flat = rows.reshape(len(rows), -1).astype(np.float64)
        low, high = np.fmin(low, np.fmin.reduce(flat, axis=0)), np.fmax(high, np.fmax.reduce(flat, axis=0))
    return np.asarray(np.maximum(high - low, 0.0))


def clean_chunks(job: Job, model: Autoencoder) -> Iterator[NDArray[Any]]:
    """The clean rows, chunk by chunk. Raises UsageError where they cannot be read any more."""
    try:
        with open_rows(job, job.path(job.data.clean), model.layout.columns) as source:
            for chunk in source.chunks(max_rows=rows_per_chunk(source, job.memory_bytes)):
                yield chunk.rows
    except StorageError as error:
        raise UsageError(
            f"data.clean is needed for encode.max_error_relative and precision 'auto', and cannot be read: {error}; "
            "bring it back, or set encode.max_error and another precision"
        ) from error


def held_out_rows(job: Job, model: Autoencoder, source: Source, shards: Sequence[Shard]) -> NDArray[Any]:
    """Rows (n, *row_shape) without gaps that choices are measured on: of the clean data those that validation had, else of the source."""
    most = max(1, HELD_OUT_VALUES // model.layout.n_features)
    kept: list[NDArray[Any]] = []
    if model.train_settings.validation and job.path(job.data.clean).exists():
        for rows in clean_chunks(job, model):
            kept.append(_whole(rows[sides_of(row_hashes(rows), model.train_settings).validation]))
            if sum(map(len, kept)) >= most:
                break
    found = np.concatenate(kept)[:most] if kept else np.empty((0, *model.layout.row_shape))
    return found if len(found) else _whole(sample_rows(source, shards))


def sample_rows(source: Source, shards: Sequence[Shard]) -> NDArray[Any]:
    """Rows (n, *row_shape) fixed by the plan of shards: all of them, or a few runs evenly spaced over the source."""
    row_size = max(1, int(np.prod(source.schema.row_shape, dtype=np.int64)))
    most = max(SAMPLE_RUNS, SAMPLE_VALUES // row_size)
    if source.n_rows <= most or not shards:
        runs = [(0, min(most, source.n_rows))]
    else:
        starts = np.linspace(0, source.n_rows - most // SAMPLE_RUNS, SAMPLE_RUNS).astype(int)
        runs = [(int(start), int(start) + most // SAMPLE_RUNS) for start in starts]
    if source.sequential:  # one pass, since each run would be a pass of its own
        chunks = source.chunks(0, runs[-1][1], max_rows=most)
        cuts = ((chunk, max(start - chunk.start, 0), stop - chunk.start) for chunk in chunks for start, stop in runs)
        pieces = [chunk.rows[first:last] for chunk, first, last in cuts if first < min(last, len(chunk.rows))]
    else:
        pieces = [chunk.rows for start, stop in runs for chunk in source.chunks(start, stop, max_rows=most)]
    return np.concatenate(pieces) if pieces else np.empty((0, *source.schema.row_shape), source.schema.dtype)


def latent_bytes(scale: Scale, latents: NDArray[np.float32], n_rows: int) -> int:
    """About what the latents of n_rows rows take, seen on some of them (n, k)."""
    codes = scale.encode(latents)[0]
    if not scale.coded:
        return n_rows * codes[:1].nbytes
    packed = pack_columns(codes.astype(np.int64), [Order()] * codes.shape[1], "zstd")
    return round(sum(map(len, packed)) * n_rows / max(1, len(latents)))


def _with_latents(model: Autoencoder, rows: NDArray[Any]) -> _Rows:
    return _Rows(rows.reshape(len(rows), model.layout.n_features), model.encode(rows))


def _whole(rows: NDArray[Any]) -> NDArray[Any]:
    """The rows without a gap."""
    if rows.dtype.kind != "f":
        return rows
    return np.asarray(rows[np.isfinite(rows.reshape(len(rows), -1)).all(axis=1)])
