"""Choose how latents and their decoder are stored: the fewest bits, measured on rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from aemodel.decoder import Decoder
from aemodel.decoder_files import (
    decoder_files,
    decoder_from_files,
    packed_decoder_files,
    rounded_decoder_files,
)
from aemodel.model import Autoencoder
from aemodel.weight_rounding import ROUGHNESS, sensitivity
from flows.encoding.latent_bytes import latent_bytes
from storage.codecs.bounded import block_rows
from storage.codecs.candidates import rmse
from storage.codecs.deviation import differences, unit_of
from storage.codecs.grid import to_types
from storage.latents import Scale
from storage.latents.shard import latents_as_read

NOTHING_MEASURABLE = 1.0005  # largest RMSE ratio that rounded decoder weights may cause
AUTO = 1.005  # largest RMSE ratio that precision = "auto" may cause
SEARCH_STEPS = 14
MOST_LEVELS = 255
PROBED_ROWS = 512
FEW_VALUES = 1 << 19
# share of their range by which codes reach beyond the latents seen: a value stored beside the
# codes costs more than a wider step
BEYOND = 1 / 32
SURE = 3.0  # standard errors by which shards may be worse than the measured rows
DEVICE = 1e-4  # share of an RMSE budget reserved for rounding on another device

Range = tuple[NDArray[np.float32], NDArray[np.float32]]


@dataclass(frozen=True)
class Encoded:
    """Rows (n, d) for measurements, with their unrounded latents (n, k).

    types: of the values, see `restore_types`. keys: (n,) of the rows' entities, if they have any.
    """

    rows: NDArray[np.generic]
    latents: NDArray[np.float32]
    types: Sequence[str] = ()
    keys: NDArray[np.float64] | None = None

    @classmethod
    def of(
        cls,
        model: Autoencoder,
        rows: NDArray[np.generic],
        values: NDArray[np.generic],
        types: Sequence[str] = (),
    ) -> Encoded:
        """Encode rows (n, *row_shape) with a model, and keep their values, see `StoredColumns`."""
        entity, size = model.layout.entity, model.decoded_size
        keys = None if entity is None else rows[:, entity].astype(np.float64)
        return cls(values.reshape(len(rows), size), model.encode(rows), types, keys)

    def every(self, step: int) -> Encoded:
        """Every step-th row."""
        return self._only(slice(None, None, step))

    def measurable(self) -> Encoded:
        """The rows with finite latents; values far beyond the clean ones, as sentinels, have none.

        Such rows are kept exactly, so they must not widen the range of the latents.
        """
        finite = np.asarray(np.isfinite(self.latents).all(axis=1))
        return self if finite.all() else self._only(finite)

    def _only(self, which: slice | NDArray[np.bool_]) -> Encoded:
        rows, keys = np.ascontiguousarray(self.rows[which]), self.keys_at(which)
        return replace(self, rows=rows, latents=self.latents[which], keys=keys)

    def keys_at(self, which: slice | NDArray[np.bool_]) -> NDArray[np.float64] | None:
        """Return the keys of some rows."""
        return None if self.keys is None else self.keys[which]

    def loss(self, decoder: Decoder, latents: NDArray[np.float32]) -> float:
        """Root mean square error of the rows that a reader decodes from `latents` (n, k).

        The largest of the running values at the end of each block, as the store is checked.
        """
        height = block_rows(self.rows.shape[1])
        errors, values = np.zeros((2, -(-len(self.rows) // height)))
        for index in range(len(errors)):
            piece = slice(index * height, (index + 1) * height)
            rows, back = self.rows[piece], self._read_back(decoder, latents, piece)
            values[index] = np.isfinite(rows).sum()
            errors[index] = rmse(rows, back)
        unit = unit_of(float(errors.max(initial=0.0)))
        running = np.cumsum(values * (errors / unit) ** 2) / np.maximum(np.cumsum(values), 1)
        return float(np.sqrt(running).max(initial=0.0) * unit)

    def safe_share(self, decoder: Decoder, n_rows: int, shard_rows: int) -> float:
        """Share of an RMSE budget that these rows may use, so that every shard keeps the budget.

        n_rows: rows of the source. shard_rows: rows of its largest shard.
        """
        some = slice(0, block_rows(self.rows.shape[1]))
        spread = _relative_spread(self.rows[some], self._read_back(decoder, self.latents, some))
        unseen = 1 / max(1, len(self.rows)) + 1 / max(1, shard_rows) - 2 / max(1, n_rows)
        return float((1 - DEVICE) / np.sqrt(1 + SURE * spread * np.sqrt(max(unseen, 0.0))))

    def _read_back(
        self, decoder: Decoder, latents: NDArray[np.float32], piece: slice
    ) -> NDArray[np.generic]:
        exact = decoder.decode_exactly(latents[piece], self.keys_at(piece))
        shape, dtype = self.rows[piece].shape, self.rows.dtype.name
        return to_types(exact.reshape(shape), dtype, self.types)


def _relative_spread(rows: NDArray[np.generic], back: NDArray[np.generic]) -> float:
    """Standard deviation over mean of the rows' mean squared errors; 0 without any error."""
    apart = differences(rows, back)
    unit = unit_of(float(apart.max(initial=0.0)))
    errors = np.square(apart / unit).mean(axis=1)
    if not len(errors) or not errors.mean() > 0:
        return 0.0
    return float(errors.std() / errors.mean())


@dataclass(frozen=True)
class Stored:
    """The decoder of a store (as files and ready to use), and the scale of its latents."""

    files: dict[str, bytes]
    decoder: Decoder
    scale: Scale

    @property
    def decoder_bytes(self) -> int:
        """Total bytes of the files."""
        return sum(map(len, self.files.values()))


def fewest_bits(model: Autoencoder, held_out: Encoded, precision: str) -> Stored:
    """Latents in the given precision, and decoder weights rounded as far as costs nothing.

    precision: as encode.precision. Costs are measured on the held-out rows.
    """
    files, decoder = _coarse_decoder(model, held_out, precise=precision == "float32")
    low, high = wide_range(model.measured.latent_low, model.measured.latent_high, held_out.latents)
    if precision != "auto":
        return Stored(files, decoder, Scale(precision, low, high))
    scale = None
    if len(held_out.rows):
        budget = AUTO * held_out.loss(model.decoder, held_out.latents)
        scale = coarsest_scale(decoder, held_out, budget)
    return Stored(files, decoder, scale or Scale("int8", low, high))


def _coarse_decoder(
    model: Autoencoder, held_out: Encoded, *, precise: bool
) -> tuple[dict[str, bytes], Decoder]:
    whole = decoder_files(model)
    budget = NOTHING_MEASURABLE * held_out.loss(model.decoder, held_out.latents)
    for roughness in ROUGHNESS if not precise and len(held_out.rows) else ():
        files = rounded_decoder_files(whole, held_out.latents, roughness)
        decoder = decoder_from_files(files, device=model.device)
        if held_out.loss(decoder, held_out.latents) <= budget:
            return packed_decoder_files(files), decoder
    return whole, decoder_from_files(whole, device=model.device)


def wide_range(
    low: NDArray[np.float32], high: NDArray[np.float32], latents: NDArray[np.float32]
) -> Range:
    """Widen a range (k,) to latents (n, k) outside it, by at most a quarter, plus a margin."""
    room = (high - low) / 4
    least = latents.min(axis=0, initial=np.inf)
    most = latents.max(axis=0, initial=-np.inf)
    return _beyond(np.clip(least, low - room, low), np.clip(most, high, high + room))


def _beyond(low: NDArray[np.float32], high: NDArray[np.float32]) -> Range:
    room = (high - low) * BEYOND
    return (low - room).astype(np.float32), (high + room).astype(np.float32)


def coarsest_scale(decoder: Decoder, sample: Encoded, budget: float) -> Scale | None:
    """The scale with the fewest levels that keeps the RMSE of `sample` within `budget`.

    None if even 255 levels are too few. Each latent's step is inverse to its effect on the rows,
    so that rounding of every latent costs the same.
    """
    unit = _unit_steps(decoder, sample)
    low, high = _beyond(sample.latents.min(axis=0), sample.latents.max(axis=0))

    def scale_of(noise: float) -> Scale:
        with np.errstate(over="ignore", divide="ignore"):
            levels = np.ceil((high - low).astype(np.float64) / (noise * unit)) + 1
        return Scale("int8", low, high, np.clip(levels, 1, MOST_LEVELS).astype(np.int64))

    def fits(noise: float) -> bool:
        return sample.loss(decoder, latents_as_read(scale_of(noise), sample.latents)) <= budget

    noise = _largest_noise(fits, budget / 64, budget * 8)
    return None if noise is None else scale_of(noise)


def _unit_steps(decoder: Decoder, sample: Encoded) -> NDArray[np.float64]:
    """Relative steps (k,) with which rounding of every latent costs the same."""
    probed = sample.every(max(1, len(sample.latents) // PROBED_ROWS))

    def decode(latents: NDArray[np.float32]) -> NDArray[np.float64]:
        return decoder.decode_exactly(latents, probed.keys)

    effects = np.maximum(sensitivity(decode, probed.latents), 1e-300)
    return np.asarray(1 / np.sqrt(effects * sample.latents.shape[1]))


def _largest_noise(fits: Callable[[float], bool], finest: float, coarsest: float) -> float | None:
    """The largest noise that fits, by geometric bisection; None if the finest does not fit."""
    if not fits(finest):
        return None
    for _ in range(SEARCH_STEPS):
        middle = float(np.sqrt(finest * coarsest))
        if fits(middle):
            finest = middle
        else:
            coarsest = middle
    return finest


def fewest_bytes(
    model: Autoencoder, measured: Encoded, budget: float, n_rows: int
) -> Stored | None:
    """Decoder and scale that hold an RMSE on `measured` in about the fewest bytes; None if none.

    The decoder is chosen on a few of the rows, with their share of the budget. n_rows: rows of
    the source.
    """
    step = max(1, measured.rows.size // FEW_VALUES)
    few = measured.every(step)
    loss = measured.loss(model.decoder, measured.latents) or 1.0
    few_budget = budget * few.loss(model.decoder, few.latents) / loss
    best = _smallest(_roundings(model, few, few_budget), few, n_rows)
    scale = coarsest_scale(best.decoder, measured, budget) if best else None
    return replace(best, scale=scale) if best and scale else None


def _roundings(model: Autoencoder, few: Encoded, budget: float) -> Iterator[Stored]:
    """Yield decoders that hold the budget, coarsest first, each with its coarsest scale."""
    whole = decoder_files(model)
    for roughness in ROUGHNESS:
        files = rounded_decoder_files(whole, few.latents, roughness)
        decoder = decoder_from_files(files, device=model.device)
        holds = few.loss(decoder, few.latents) <= budget
        scale = coarsest_scale(decoder, few, budget) if holds else None
        if scale is not None:
            yield Stored(packed_decoder_files(files), decoder, scale)


def _smallest(candidates: Iterator[Stored], few: Encoded, n_rows: int) -> Stored | None:
    """The smallest candidate; the search ends at a larger one, since finer weights cost more."""
    best, smallest = None, float("inf")
    for found in candidates:
        size = found.decoder_bytes + latent_bytes(found.scale, few.latents, n_rows)
        if size > smallest:
            break
        best, smallest = found, size
    return best
