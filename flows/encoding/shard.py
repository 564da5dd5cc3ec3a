"""One shard of a latent store: encoded, written, read back, and measured on what a reader will get."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aemodel.model import Autoencoder, Decoder
from flows.engine.shard_job import ShardJob
from storage.codecs.bounded import LATENTS, block_rows
from storage.codecs.grid import to_dtype
from storage.codecs.lossless import lossless_bytes
from storage.errors import DamagedError
from storage.files.atomic import sha256_file
from storage.latents import Blocks, EncodedShard, ShardRows, StorePlan
from storage.latents.archive import Files
from storage.latents.loss import Loss
from storage.latents.plan import STORE, note_done, shard_done
from storage.sources import Chunk, RowsDigest, Shard, Source

SAMPLE_BYTES = 4_000_000  # of all sampled shards together


@dataclass(frozen=True)
class ShardEncoder(ShardJob[EncodedShard]):
    """Encodes runs of shards.

    Rows whose error lies in the calibration tail `keep_exact` are kept as they are.
    decoder: the one that the store will carry. sampled: indices of the shards of which a piece is
    also compressed without loss, to compare.
    """

    plan: StorePlan
    model: Autoencoder
    decoder: Decoder
    source: Source
    work: Path
    keep_exact: float
    max_rows: int
    sampled: set[int]

    def finished(self, shard: Shard) -> EncodedShard | None:
        """Return the note of a shard that an earlier run finished."""
        return shard_done(self.plan, self.work, shard)

    def run_shard(self, shard: Shard, chunks: Iterable[Chunk]) -> EncodedShard:
        """Encode one shard: write it, read it back, and only then note it as done."""
        budget = SAMPLE_BYTES // len(self.sampled) if shard.index in self.sampled else 0
        gathered = _Gathered(self, shard, sample_budget=budget)
        for chunk in chunks:
            gathered.take(chunk)
        gathered.pack(everything=True)
        with np.errstate(over="ignore"):  # a row beyond what float32 holds is infinitely far out
            errors = np.concatenate(gathered.errors).astype(np.float32)
        rows, ids = gathered.rows(), gathered.all_ids()
        self.plan.write(self.store, shard.index, rows)
        self.plan.write_rows(self.store, shard.index, errors, ids)
        if gathered.blocks:
            self.plan.write_values(self.store, shard.index, gathered.blocks)
        self._require_same(shard, rows, errors, gathered.blocks)
        facts = gathered.facts(rows)
        note_done(self.work, facts)
        return facts

    @property
    def store(self) -> Path:
        """Where the store grows."""
        return self.work / STORE

    @property
    def tail(self) -> float:
        """The error above which a row is kept as it is; infinity where nothing is to be kept."""
        calibration = self.model.calibration
        if not self.keep_exact or not len(calibration):
            return float("inf")
        return float(np.quantile(calibration, 1 - self.keep_exact, method="higher"))

    def _require_same(
        self, shard: Shard, rows: ShardRows, errors: NDArray[np.float32], blocks: Blocks | None
    ) -> None:
        """Raise DamagedError where the disk gives back anything but what was measured."""
        n = shard.stop - shard.start
        files = Files(self.store)
        back = self.plan.read(files, shard.index, 0, n)
        pairs = [
            (getattr(back, name), getattr(rows, name))
            for name in ("codes", "outside_values", "exact_rows", "exact_values")
        ]
        pairs.append((self.plan.read_rows(files, shard.index, 0, n)[0], errors))
        same = all(
            np.array_equal(found, expected, equal_nan=expected.dtype.kind == "f")
            for found, expected in pairs
        )
        if not same or (blocks and blocks.needed and self._values(shard) != blocks.blocks):
            raise DamagedError(
                f"{self.plan.path(self.store, shard.index)}: reads back differently from what was written; check the disk"
            )

    def _values(self, shard: Shard) -> list[bytes]:
        reader = self.plan.open_values(Files(self.store), shard.index)
        try:
            return [reader.block(index) for index in range(len(reader.rows))]
        finally:
            reader.close()


def finite_mean(errors: NDArray[np.float64]) -> float:
    """Mean of the finite errors, 0 where there are none."""
    finite = errors[np.isfinite(errors)]
    return float(finite.mean()) if len(finite) else 0.0


def as_read(decoder: Decoder, latents: NDArray[np.float32], dtype: str) -> NDArray[Any]:
    """Rows (n, d) as a reader gets them, a batch at a time, so that what is exact stays in caches until it is rounded."""
    rows = np.empty((len(latents), decoder.layout.n_features), dtype)
    for start in range(0, len(rows), decoder.size):
        exact = decoder.decode_exactly(latents[start : start + decoder.size])
        rows[start : start + decoder.size] = to_dtype(
            exact.reshape(len(exact), rows.shape[1]), dtype
        )
    return rows


class _Gathered:
    """What the chunks of one shard have given so far."""

    def __init__(self, encoder: ShardEncoder, shard: Shard, *, sample_budget: int) -> None:
        self.encoder, self.shard, self.sample_budget = encoder, shard, sample_budget
        schema = encoder.source.schema
        self.row_size = int(np.prod(schema.row_shape, dtype=np.int64))
        bounded = encoder.plan.bounded
        self.blocks = Blocks(bounded, encoder.decoder.decode_exactly) if bounded else None
        self.block_rows = block_rows(self.row_size)
        self.digest, self.loss, self.tail = RowsDigest(), Loss.of(self.row_size), encoder.tail
        self.parts: list[ShardRows] = []
        self.errors: list[NDArray[np.float64]] = []
        self.ids: list[NDArray[Any] | None] = []
        self.exact: list[_Kept] = []
        self.samples: list[NDArray[Any]] = []
        self.pending = _Pending()
        self.sample_bytes, self.packed_rows = 0, 0
        self.low, self.high = float("inf"), float("-inf")

    def take(self, chunk: Chunk) -> None:
        """Encode a chunk, and pack what is whole."""
        latents, errors = self.encoder.model.encode_and_errors(chunk.rows)
        self.digest.update(chunk.rows, chunk.ids)
        self._sample(chunk.rows)
        self.parts.append(
            ShardRows.of(self.encoder.plan.scale, latents, np.empty(0, np.int64), chunk.rows[:0])
        )
        self.errors.append(errors)
        self.ids.append(chunk.ids)
        self.low = min(self.low, float(np.fmin.reduce(chunk.rows, axis=None)))
        self.high = max(self.high, float(np.fmax.reduce(chunk.rows, axis=None)))
        self.pending.add(
            chunk.rows.reshape(len(latents), -1),
            self.parts[-1].latents(self.encoder.plan.scale),
            errors,
        )
        self.pack(everything=not self.blocks)

    def pack(self, *, everything: bool) -> None:
        """Bring back, as a reader will, what is pending, block by block.

        See what is lost, and what must be kept as it is.
        """
        while self.pending.count >= (1 if everything else self.block_rows):
            rows, latents, errors = self.pending.take(
                self.block_rows if self.blocks else self.pending.count
            )
            missing = rows.dtype.kind == "f" and np.isnan(rows.min(initial=0))
            gaps = np.isnan(rows).any(axis=1) if missing else np.zeros(len(rows), bool)
            unseen, decoder = bool(gaps.any()), self.encoder.decoder
            back = (
                self.blocks.add(rows, latents, unseen=unseen)
                if self.blocks
                else as_read(decoder, latents, rows.dtype.name)
            )
            worst = None
            if not self.blocks or not self.blocks.blocks[-1]:
                worst = (errors > self.tail) | gaps
                self.exact.append(
                    _Kept(
                        np.flatnonzero(worst) + self.packed_rows,
                        rows[worst],
                        back[worst],
                        errors[worst],
                    )
                )
            self.packed_rows += len(rows)
            self.loss.add(rows, back, None if worst is None else ~worst)

    def rows(self) -> ShardRows:
        """The shard; of the rows that might be kept exactly, those with the largest errors are, at most ten times the share asked for."""
        shape = self.encoder.source.schema.row_shape
        kept = _Kept.join(self.exact, self.row_size, self.encoder.source.schema.dtype)
        most = int(np.ceil(10 * self.encoder.keep_exact * (self.shard.stop - self.shard.start)))
        chosen = np.sort(np.lexsort((kept.places, -kept.errors))[:most])
        kept.back[chosen] = kept.values[chosen]
        self.loss.add(kept.values, kept.back)
        values = kept.values[chosen].reshape(len(chosen), *shape)
        return ShardRows.join(self.parts, kept.places[chosen], values)

    def all_ids(self) -> NDArray[Any] | None:
        """The ids of all rows, where they have any."""
        known = [each for each in self.ids if each is not None]
        return np.concatenate(known) if known else None

    def facts(self, rows: ShardRows) -> EncodedShard:
        """What is to be noted of the shard, whose files are written."""
        plan, shard, n = self.encoder.plan, self.shard, self.shard.stop - self.shard.start
        files = {path.name: path for path in plan.files(self.encoder.store, shard.index)}
        codecs = self.blocks.codecs if self.blocks else {LATENTS: n}
        read = [plan.path(Path(), shard.index).name] if {LATENTS, "residual"} & set(codecs) else []
        read += (
            [plan.path(Path(), shard.index, "values").name]
            if self.blocks and self.blocks.needed
            else []
        )
        loss = self.loss.to_json()
        return EncodedShard(
            index=shard.index,
            start=shard.start,
            stop=shard.stop,
            bytes_in=n * self.encoder.source.schema.row_bytes,
            bytes_out=sum(files[name].stat().st_size for name in read),
            largest_error=max(loss["largest"], default=0.0),
            mean_error=finite_mean(np.concatenate(self.errors)),
            squared=float(sum(loss["squared"])),
            values=self.loss.values,
            low=self.low,
            high=self.high,
            exact_rows=len(rows.exact_rows),
            exact_bytes=rows.exact_values.nbytes,
            outside_values=len(rows.outside_values),
            lossless_sample_in=self.sample_bytes,
            lossless_sample_out=lossless_bytes(np.concatenate(self.samples)) if self.samples else 0,
            codecs=codecs,
            digest=self.digest.hexdigest(),
            files={name: sha256_file(path) for name, path in files.items()},
            loss=loss,
        )

    def _sample(self, rows: NDArray[Any]) -> None:
        """Keep as many of `rows` as the budget still allows, to be compressed without loss."""
        taken = rows[: max(0, self.sample_budget - self.sample_bytes) // max(1, rows[:1].nbytes)]
        if len(taken):
            self.samples.append(taken)
            self.sample_bytes += taken.nbytes


@dataclass
class _Pending:
    """Rows (n, d), their latents as stored and their errors, until there are enough for a block."""

    pieces: list[tuple[NDArray[Any], NDArray[np.float32], NDArray[np.float64]]] = field(
        default_factory=list
    )
    count: int = 0

    def add(
        self, rows: NDArray[Any], latents: NDArray[np.float32], errors: NDArray[np.float64]
    ) -> None:
        """Put rows at the end."""
        self.pieces.append((rows, latents, errors))
        self.count += len(rows)

    def take(self, n: int) -> tuple[NDArray[Any], NDArray[np.float32], NDArray[np.float64]]:
        """The first n rows, or all that there are."""
        rows, latents, errors = (
            self.pieces[0]
            if len(self.pieces) == 1
            else map(np.concatenate, zip(*self.pieces, strict=True))
        )
        self.pieces = [(rows[n:], latents[n:], errors[n:])] if len(rows) > n else []
        self.count = max(0, len(rows) - n)
        return rows[:n], latents[:n], errors[:n]


@dataclass(frozen=True)
class _Kept:
    """Rows that may be kept exactly.

    Their places in the shard, values (m, d), what a reader would get, and their errors.
    """

    places: NDArray[np.int64]
    values: NDArray[Any]
    back: NDArray[Any]
    errors: NDArray[np.float64]

    @classmethod
    def join(cls, pieces: Sequence[_Kept], row_size: int, dtype: str) -> _Kept:
        """All pieces as one."""
        none = cls(
            np.empty(0, np.int64),
            np.empty((0, row_size), dtype),
            np.empty((0, row_size), dtype),
            np.empty(0),
        )
        names = ("places", "values", "back", "errors")
        return cls(
            *(np.concatenate([getattr(each, name) for each in (none, *pieces)]) for name in names)
        )
