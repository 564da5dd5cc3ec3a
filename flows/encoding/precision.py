"""How latents and their decoder are stored: in how few bits, measured on rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aemodel.bundle import compact_decoder_files, decoder_files, decoder_from_files
from aemodel.model import Autoencoder, Decoder
from aemodel.weight_rounding import ROUGHNESS, sensitivity
from storage.codecs.bounded import block_rows
from storage.codecs.columns import Order, pack_columns
from storage.codecs.grid import to_dtype
from storage.codecs.selection import rmse
from storage.latents import Scale
from storage.latents.shard import latents_as_read

NOTHING_MEASURABLE = 1.0005  # times the RMSE that rounded decoder weights may bring
AUTO = 1.005  # times the RMSE that precision = "auto" may bring
SEARCH_STEPS = 14
MOST_LEVELS = 255
PROBED_ROWS = 512
FEW_VALUES = 1 << 19
BEYOND = (
    1 / 32
)  # of their range that codes reach beyond the latents seen: a value kept beside the codes costs more than a wider step
SURE = 3.0  # standard errors by which shards may be worse than the rows measured
DEVICE = 1e-4  # of an RMSE's budget, for the rounding of another device


@dataclass(frozen=True)
class Encoded:
    """Rows (n, d) that choices are measured on, with their latents (n, k), unrounded."""

    rows: NDArray[Any]
    latents: NDArray[np.float32]

    @classmethod
    def of(cls, model: Autoencoder, rows: NDArray[Any]) -> Encoded:
        """Rows (n, *row_shape) with the latents that a model gives them."""
        return cls(rows.reshape(len(rows), model.layout.n_features), model.encode(rows))

    def loss(self, decoder: Decoder, latents: NDArray[np.float32]) -> float:
        """Root mean square error where a reader gets these latents.

        The largest at the end of any block, as the store is checked.
        """
        height = block_rows(self.rows.shape[1])
        squares, values = np.zeros((2, -(-len(self.rows) // height)))
        for index in range(len(squares)):
            piece = slice(index * height, (index + 1) * height)
            values[index] = np.isfinite(self.rows[piece]).sum()
            squares[index] = (
                values[index] * rmse(self.rows[piece], self._back(decoder, latents, piece)) ** 2
            )
        return float(
            np.sqrt(np.cumsum(squares) / np.maximum(np.cumsum(values), 1)).max(initial=0.0)
        )

    def safe_share(self, decoder: Decoder, n_rows: int, shard_rows: int) -> float:
        """Share of an RMSE's budget that may be used up on these rows, so that shards of `shard_rows` of all `n_rows` keep it."""
        some = slice(0, block_rows(self.rows.shape[1]))
        apart = self.rows[some].astype(np.float64) - self._back(decoder, self.latents, some)
        errors = np.square(np.where(np.isfinite(apart), apart, 0.0)).mean(axis=1)
        spread = float(errors.std() / errors.mean()) if len(errors) and errors.mean() > 0 else 0.0
        unseen = 1 / max(1, len(self.rows)) + 1 / max(1, shard_rows) - 2 / max(1, n_rows)
        return float((1 - DEVICE) / np.sqrt(1 + SURE * spread * np.sqrt(max(unseen, 0.0))))

    def _back(self, decoder: Decoder, latents: NDArray[np.float32], piece: slice) -> NDArray[Any]:
        return to_dtype(
            decoder.decode_exactly(latents[piece]).reshape(self.rows[piece].shape),
            self.rows.dtype.name,
        )


@dataclass(frozen=True)
class Stored:
    """The decoder as a store carries it, as files and ready to use, and the scale of its latents."""

    files: dict[str, bytes]
    decoder: Decoder
    scale: Scale

    @property
    def decoder_bytes(self) -> int:
        """What the files take."""
        return sum(map(len, self.files.values()))


def fewest_bits(model: Autoencoder, held_out: Encoded, precision: str) -> Stored:
    """Decoder weights as coarse as costs nothing measurable on held-out rows, and latents in the `precision` asked for."""
    files, decoder = _coarse_decoder(model, held_out, precise=precision == "float32")
    low, high = wide_range(model.measured.latent_low, model.measured.latent_high, held_out.latents)
    scale = Scale("int8" if precision == "auto" else precision, low, high)
    if precision == "auto" and len(held_out.rows):
        scale = (
            coarsest_scale(decoder, held_out, AUTO * held_out.loss(model.decoder, held_out.latents))
            or scale
        )
    return Stored(files, decoder, scale)


def _coarse_decoder(
    model: Autoencoder, held_out: Encoded, *, precise: bool
) -> tuple[dict[str, bytes], Decoder]:
    whole = decoder_files(model)
    budget = NOTHING_MEASURABLE * held_out.loss(model.decoder, held_out.latents)
    for roughness in ROUGHNESS if not precise and len(held_out.rows) else ():
        files = compact_decoder_files(whole, held_out.latents, roughness)
        decoder = decoder_from_files(files, device=model.device)
        if held_out.loss(decoder, held_out.latents) <= budget:
            return files, decoder
    return whole, decoder_from_files(whole, device=model.device)


def wide_range(
    low: NDArray[np.float32], high: NDArray[np.float32], latents: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A range (k,) widened to latents (n, k) that lie outside, by a quarter at most, and a little beyond."""
    room = (high - low) / 4
    least, most = latents.min(axis=0, initial=np.inf), latents.max(axis=0, initial=-np.inf)
    return _beyond(np.clip(least, low - room, low), np.clip(most, high, high + room))


def _beyond(
    low: NDArray[np.float32], high: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    room = (high - low) * BEYOND
    return (low - room).astype(np.float32), (high + room).astype(np.float32)


def coarsest_scale(decoder: Decoder, sample: Encoded, budget: float) -> Scale | None:
    """The scale with the fewest levels whose rounding leaves the RMSE of `sample` within `budget`; None where 255 are too few.

    Steps are inverse to what a change of each latent does to the rows, so that all latents' rounding weighs the same.
    """
    probed = sample.latents[:: max(1, len(sample.latents) // PROBED_ROWS)]
    unit = 1 / np.sqrt(
        np.maximum(sensitivity(decoder.decode_exactly, probed), 1e-300) * sample.latents.shape[1]
    )
    low, high = _beyond(sample.latents.min(axis=0), sample.latents.max(axis=0))

    def scale_of(noise: float) -> Scale:
        levels = np.clip(
            np.ceil((high - low).astype(np.float64) / (noise * unit)) + 1, 1, MOST_LEVELS
        ).astype(np.int64)
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


def as_few_bytes(
    model: Autoencoder, measured: Encoded, budget: float, n_rows: int
) -> Stored | None:
    """Decoder and scale that hold an RMSE on the rows `measured` in about the fewest bytes; None where none does.

    The decoder's coarseness is chosen on a few of them, whose own RMSE may be larger or smaller.
    """
    whole, best = decoder_files(model), None
    step = max(1, measured.rows.size // FEW_VALUES)
    few = Encoded(measured.rows[::step], measured.latents[::step])
    likewise = (
        budget
        * few.loss(model.decoder, few.latents)
        / (measured.loss(model.decoder, measured.latents) or 1.0)
    )
    for roughness in ROUGHNESS:
        files = compact_decoder_files(whole, few.latents, roughness)
        decoder = decoder_from_files(files, device=model.device)
        scale = (
            coarsest_scale(decoder, few, likewise)
            if few.loss(decoder, few.latents) <= likewise
            else None
        )
        if scale is None:
            continue
        found = Stored(files, decoder, scale)
        size = found.decoder_bytes + latent_bytes(scale, few.latents, n_rows)
        if best is not None and size > best[0]:
            break  # finer weights only cost more from here on
        best = size, found
    if best is None:
        return None
    scale = coarsest_scale(best[1].decoder, measured, budget)
    return replace(best[1], scale=scale) if scale else None


def latent_bytes(scale: Scale, latents: NDArray[np.float32], n_rows: int) -> int:
    """About what the latents of n_rows rows take, seen on some of them (n, k)."""
    codes = scale.encode(latents)[0]
    if not scale.coded:
        return n_rows * codes[:1].nbytes
    packed = pack_columns(codes.astype(np.int64), [Order()] * codes.shape[1], "zstd")
    return round(sum(map(len, packed)) * n_rows / max(1, len(latents)))
