"""One shard of a latent store: encoded, written, read back, and measured on what a reader will get."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aemodel.model import Autoencoder
from flows.grouping import read_shards
from storage.atomic import sha256_file
from storage.errors import DamagedError
from storage.latents import ShardFacts, ShardRows, StorePlan
from storage.latents.lossless import lossless_bytes
from storage.latents.store import note_done, shard_done
from storage.sources import Chunk, RowsDigest, Shard, Source

SAMPLE_BYTES = 8_000_000  # of all sampled shards together


@dataclass(frozen=True)
class ShardEncoder:
    """Encodes runs of shards. Rows whose error lies in the calibration tail `keep_exact` are kept as they are.

    sampled: indices of the shards of which a piece is also compressed without loss, to compare with.
    """

    plan: StorePlan
    model: Autoencoder
    source: Source
    work: Path
    keep_exact: float
    max_rows: int
    sampled: set[int]

    def encode_group(self, shards: Sequence[Shard]) -> list[ShardFacts]:
        """Encode consecutive shards, but for those that an earlier run finished."""
        done = {shard.index: facts for shard in shards if (facts := shard_done(self.plan, self.work, shard))}
        missing = [shard for shard in shards if shard.index not in done]
        for shard, chunks in read_shards(self.source, missing, self.max_rows):
            done[shard.index] = self.encode_shard(shard, chunks)
        return [done[shard.index] for shard in shards]

    def encode_shard(self, shard: Shard, chunks: Iterable[Chunk]) -> ShardFacts:
        """Encode one shard: write it, read it back, and only then note it as done."""
        gathered = _Gathered(sample_budget=SAMPLE_BYTES // len(self.sampled) if shard.index in self.sampled else 0)
        for chunk in chunks:
            self._take(gathered, chunk, chunk.start - shard.start)
        rows = gathered.rows(self.plan, most_exact=int(np.ceil(10 * self.keep_exact * (shard.stop - shard.start))))
        self.plan.write(self.work, shard.index, rows)
        self._require_same(shard, rows)
        facts = self._facts(shard, rows, gathered)
        note_done(self.work, facts)
        return facts

    @property
    def tail(self) -> float:
        """The error above which a row is kept as it is; infinity where nothing is to be kept."""
        calibration = self.model.calibration
        if not self.keep_exact or not len(calibration):
            return float("inf")
        return float(np.quantile(calibration, 1 - self.keep_exact, method="higher"))

    def _take(self, gathered: _Gathered, chunk: Chunk, offset: int) -> None:
        """Encode a chunk, and decode it as a reader will, to see what is lost."""
        latents, errors = self.model.encode_and_errors(chunk.rows)
        stored = ShardRows.of(self.plan.scale, latents, errors, None, np.empty(0, np.int64), chunk.rows[:0]).latents(self.plan.scale)
        actual = chunk.rows.reshape(len(latents), -1).astype(np.float64)
        differences = np.nan_to_num(self.model.decoder.decode(stored).reshape(actual.shape).astype(np.float64) - actual)
        worst = np.flatnonzero((errors > self.tail) | np.isnan(actual).any(axis=1))
        gathered.digest.update(chunk.rows, chunk.ids)
        gathered.sample(chunk.rows)
        gathered.latents.append(latents)
        gathered.errors.append(errors)
        gathered.ids.append(chunk.ids)
        gathered.squared.append(np.square(differences).sum(axis=1))
        gathered.largest.append(np.abs(differences).max(axis=1, initial=0.0))
        gathered.exact_rows.append(worst + offset)
        gathered.exact_values.append(chunk.rows[worst])
        gathered.low = min(gathered.low, float(np.nanmin(actual)))
        gathered.high = max(gathered.high, float(np.nanmax(actual)))

    def _require_same(self, shard: Shard, rows: ShardRows) -> None:
        """Raise DamagedError where the disk gives back anything but what was measured."""
        back = self.plan.read(self.work, shard.index, 0, shard.stop - shard.start)
        pairs = ((getattr(back, name), getattr(rows, name)) for name in ("codes", "errors", "outside_values", "exact_rows", "exact_values"))
        if not all(np.array_equal(found, expected, equal_nan=expected.dtype.kind == "f") for found, expected in pairs):
            raise DamagedError(f"{self.plan.path(self.work, shard.index)}: reads back differently from what was written; check the disk")

    def _facts(self, shard: Shard, rows: ShardRows, gathered: _Gathered) -> ShardFacts:
        path = self.plan.path(self.work, shard.index)
        squared, largest = np.concatenate(gathered.squared), np.concatenate(gathered.largest)
        squared[rows.exact_rows] = largest[rows.exact_rows] = 0.0
        n = shard.stop - shard.start
        return ShardFacts(
            index=shard.index,
            start=shard.start,
            stop=shard.stop,
            bytes_in=n * self.source.schema.row_bytes,
            bytes_out=path.stat().st_size,
            largest_error=float(largest.max(initial=0.0)),
            mean_error=finite_mean(np.concatenate(gathered.errors)),
            squared=float(squared.sum()),
            values=n * int(np.prod(self.source.schema.row_shape, dtype=np.int64)),
            low=gathered.low,
            high=gathered.high,
            exact_rows=len(rows.exact_rows),
            exact_bytes=rows.exact_values.nbytes,
            outside_values=len(rows.outside_values),
            lossless_sample_in=gathered.sample_bytes,
            lossless_sample_out=gathered.compressed_sample(),
            digest=gathered.digest.hexdigest(),
            sha256=sha256_file(path),
        )


def finite_mean(errors: NDArray[np.float64]) -> float:
    """Mean of the finite errors, 0 where there are none."""
    finite = errors[np.isfinite(errors)]
    return float(finite.mean()) if len(finite) else 0.0


@dataclass
class _Gathered:
    """What the chunks of one shard have given so far."""

    sample_budget: int
    digest: RowsDigest = field(default_factory=RowsDigest)
    latents: list[NDArray[np.float32]] = field(default_factory=list)
    errors: list[NDArray[np.float64]] = field(default_factory=list)
    ids: list[NDArray[Any] | None] = field(default_factory=list)
    squared: list[NDArray[np.float64]] = field(default_factory=list)
    largest: list[NDArray[np.float64]] = field(default_factory=list)
    exact_rows: list[NDArray[np.int64]] = field(default_factory=list)
    exact_values: list[NDArray[Any]] = field(default_factory=list)
    samples: list[NDArray[Any]] = field(default_factory=list)
    sample_bytes: int = 0
    low: float = float("inf")
    high: float = float("-inf")

    def rows(self, plan: StorePlan, *, most_exact: int) -> ShardRows:
        """The shard; of the rows that might be kept exactly, the `most_exact` with the largest errors are."""
        errors = np.concatenate(self.errors)
        places, values = np.concatenate(self.exact_rows), np.concatenate(self.exact_values)
        chosen = np.sort(np.lexsort((places, -errors[places]))[:most_exact])
        ids = [each for each in self.ids if each is not None]
        known = np.concatenate(ids) if ids else None
        return ShardRows.of(plan.scale, np.concatenate(self.latents), errors, known, places[chosen], values[chosen])

    def sample(self, rows: NDArray[Any]) -> None:
        """Keep as many of `rows` as the budget still allows, to be compressed without loss."""
        taken = rows[: max(0, self.sample_budget - self.sample_bytes) // max(1, rows[:1].nbytes)]
        if len(taken):
            self.samples.append(taken)
            self.sample_bytes += taken.nbytes

    def compressed_sample(self) -> int:
        """Bytes of the sample in its lossless form."""
        return lossless_bytes(np.concatenate(self.samples)) if self.samples else 0
