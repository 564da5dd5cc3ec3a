"""One shard of a latent store: encoded, written, read back, and measured as a reader sees it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from aemodel.decoder import Decoder
from aemodel.model import Autoencoder
from flows.encoding.compared_rows import ComparedRows, identical
from flows.encoding.waiting_rows import (
    Errors,
    LosslessSample,
    PendingRows,
    Rows,
    finite_mean,
    rows_with_gaps,
    value_range,
)
from flows.engine.disk_space import MOST_EXACT
from flows.engine.shard_job import ShardJob
from flows.engine.shard_tasks import join_chunks, merge_chunks
from storage.codecs.bounded import LATENTS, block_rows, reads_latents
from storage.codecs.deviation import norms
from storage.errors import DamagedError
from storage.files.atomic import sha256_file
from storage.latents import Blocks, EncodedShard, ShardRows, StorePlan
from storage.latents.archive import Files
from storage.latents.exact_columns import entity_keys, same_values, source_bytes
from storage.latents.loss import Loss
from storage.latents.plan import STORE, note_done, shard_done
from storage.latents.shard import rows_as_read
from storage.sources import Chunk, RowsDigest, Shard, Source

SAMPLE_BYTES = 4_000_000  # sampled from all sampled shards together
COMPARED = ("codes", "outside_values", "exact_rows", "exact_values", "gap_rows", "gap_bits")


@dataclass(frozen=True)
class ShardEncoder(ShardJob[EncodedShard]):
    """Encodes groups of shards.

    decoder: the one that the store will contain. keep_exact: rows with errors in this tail of
    the calibration errors are kept exactly. keep_latents: also where decoding does not need them.
    measured: one row in so many is decoded and compared, where no bound is set.
    sampled: indices of the shards with a sample that is also compressed losslessly, for comparison.
    """

    what = "encoding"
    plan: StorePlan
    model: Autoencoder
    decoder: Decoder
    source: Source
    work: Path
    keep_exact: float
    keep_latents: bool
    max_rows: int
    measured: int
    sampled: set[int]

    def finished(self, shard: Shard) -> EncodedShard | None:
        """Return the note of a shard finished by an earlier run."""
        return shard_done(self.plan, self.work, shard)

    def run_shard(self, shard: Shard, chunks: Iterable[Chunk]) -> EncodedShard:
        """Encode one shard: write it, read it back, then write its note."""
        budget = SAMPLE_BYTES // len(self.sampled) if shard.index in self.sampled else 0
        gathered = _Gathered(self, shard, sample_budget=budget)
        for group in join_chunks(chunks, self.max_rows):
            beside = [each.beside for each in group if each.beside is not None]
            gathered.beside += beside
            whole = merge_chunks(group)
            gathered.take(whole, entity_keys(beside, self.plan.columns, len(whole.rows)))
        gathered.pack(everything=True)
        rows = gathered.rows()
        self._write(gathered, rows)
        facts = gathered.facts(rows)
        note_done(self.work, facts)
        return facts

    @property
    def store(self) -> Path:
        """The folder in which the store grows."""
        return self.work / STORE

    @property
    def tail(self) -> float:
        """The error above which a row is kept exactly; infinity if none is."""
        calibration = self.model.calibration
        if not self.keep_exact or not len(calibration):
            return float("inf")
        return float(np.quantile(calibration, 1 - self.keep_exact, method="higher"))

    def _write(self, gathered: _Gathered, rows: ShardRows) -> None:
        """Write the files of a shard, and check that they read back the same."""
        index, blocks = gathered.shard.index, gathered.blocks
        with np.errstate(over="ignore"):  # an error too large for float32 becomes infinite
            errors = np.concatenate(gathered.errors).astype(np.float32)
        if self._needs_latents(blocks):
            self.plan.write(self.store, index, rows)
        self.plan.write_rows(self.store, index, errors, gathered.all_ids())
        if blocks:
            self.plan.write_values(self.store, index, blocks)
        if gathered.columns is not None:
            self.plan.write_columns(self.store, index, gathered.columns)
        if not all(self._checks(gathered, rows, errors)):
            raise DamagedError(
                f"{self.plan.path(self.store, index)}: reads back differently from what was "
                "written; check the disk"
            )

    def _needs_latents(self, blocks: Blocks | None) -> bool:
        """Whether to write the latents of a shard: asked for, or read by decoding."""
        return self.keep_latents or not blocks or reads_latents(blocks.codecs)

    def _checks(
        self, gathered: _Gathered, rows: ShardRows, errors: NDArray[np.float32]
    ) -> Iterator[bool]:
        """Whether each file of a shard gives back what was written."""
        shard, blocks = gathered.shard, gathered.blocks
        n, files = shard.stop - shard.start, Files(self.store)
        yield identical(self.plan.read_rows(files, shard.index, 0, n)[0], errors)
        if self._needs_latents(blocks):
            back = self.plan.read(files, shard.index, 0, n)
            pairs = [(getattr(back, name), getattr(rows, name)) for name in COMPARED]
            yield all(identical(found, expected) for found, expected in pairs)
        yield self._holds(shard.index, blocks)
        if gathered.columns is not None:
            yield same_values(self.plan.read_columns(files, shard.index, n), gathered.columns)

    def _holds(self, index: int, blocks: Blocks | None) -> bool:
        """Whether the values file of a shard gives back these blocks, if it is needed."""
        if not blocks or not blocks.needed:
            return True
        reader = self.plan.open_values(Files(self.store), index)
        try:
            return blocks.blocks == [reader.block(index) for index in range(len(reader.rows))]
        finally:
            reader.close()


class _Gathered:
    """What the chunks of one shard have given so far."""

    def __init__(self, encoder: ShardEncoder, shard: Shard, *, sample_budget: int) -> None:
        self.encoder, self.shard = encoder, shard
        self.row_size = encoder.model.decoded_size
        bounded = encoder.plan.bounded
        self.blocks = Blocks(bounded, self._decode_block) if bounded else None
        self.block_keys = np.empty(0)
        self.block_rows = block_rows(self.row_size)
        self.compared = ComparedRows(
            Loss.of(self.row_size),
            encoder.plan.scale,
            encoder.tail,
            1 if bounded else encoder.measured,
        )
        self.digest = RowsDigest()
        self.parts: list[ShardRows] = []
        self.errors: list[Errors] = []
        self.ids: list[Rows | None] = []
        self.pending = PendingRows()
        self.beside: list[pa.RecordBatch] = []
        self.sample = LosslessSample(sample_budget)
        self.low, self.high = float("inf"), float("-inf")

    def take(self, chunk: Chunk, keys: NDArray[np.float64]) -> None:
        """Encode a chunk with the keys of its entities (n,), and pack complete blocks."""
        scale = self.encoder.plan.scale
        latents, errors = self.encoder.model.encode_and_errors(chunk.rows)
        rows = self.encoder.plan.columns.values_of(chunk.rows)
        part = ShardRows.of(scale, latents, np.empty(0, np.int64), rows[:0])
        self.digest.update(chunk.rows, chunk.ids)
        self.sample.add(rows)
        self.parts.append(part)
        self.errors.append(errors)
        self.ids.append(chunk.ids)
        low, high = value_range(rows)
        self.low, self.high = min(self.low, low), max(self.high, high)
        self.pending.add((rows.reshape(len(latents), -1), part.latents(scale), errors, keys))
        self.pack(everything=not self.blocks)

    def pack(self, *, everything: bool) -> None:
        """Pack pending rows block by block; incomplete blocks only with `everything`."""
        least = 1 if everything else self.block_rows
        while self.pending.count >= least:
            n = self.block_rows if self.blocks else self.pending.count
            rows, latents, errors, self.block_keys = self.pending.take(n)
            self._pack_block(rows, latents, errors)

    def _pack_block(self, rows: Rows, latents: NDArray[np.float32], errors: Errors) -> None:
        """Get back what a reader will, and compare."""
        compared = self.compared
        if self.blocks:
            back = self.blocks.add(rows, latents, unseen=bool(rows_with_gaps(rows).any()))
            if self.blocks.blocks[-1]:
                compared.loss.add(rows, back)
            else:
                compared.note_gaps(rows)
                compared.compare(rows, back, errors, np.arange(len(rows)))
        else:
            compared.note_gaps(rows)
            places = compared.to_decode(latents, errors)
            some = slice(None) if len(places) == len(rows) else places
            keys, schema = self.block_keys[some], self.encoder.plan.schema
            back = rows_as_read(self.encoder.decoder, latents[some], schema, keys)
            compared.compare(rows[some], back, errors[some], places)
        compared.done += len(rows)

    def _decode_block(self, latents: NDArray[np.float32]) -> NDArray[np.float64]:
        return self.encoder.decoder.decode_exactly(latents, self.block_keys)

    def rows(self) -> ShardRows:
        """The shard's rows; of those that may be kept exactly, the ones with the largest errors."""
        schema, n_rows = self.encoder.plan.schema, self.shard.stop - self.shard.start
        most = int(np.ceil(MOST_EXACT * self.encoder.keep_exact * n_rows))
        places, values = self.compared.keep_exactly(most, self.row_size, schema.dtype)
        kept = values.reshape(len(values), *schema.row_shape)
        return self.compared.with_gaps(ShardRows.join(self.parts, places, kept))

    @cached_property
    def columns(self) -> pa.Table | None:
        """The columns that are kept exactly, once all chunks are taken."""
        exact = self.encoder.plan.columns.exact
        return None if exact is None else pa.Table.from_batches(self.beside, exact)

    def all_ids(self) -> Rows | None:
        """The ids of all rows, if they have any."""
        known = [each for each in self.ids if each is not None]
        return np.concatenate(known) if known else None

    def facts(self, rows: ShardRows) -> EncodedShard:
        """The note of the shard, whose files are written."""
        plan, shard = self.encoder.plan, self.shard
        n_rows = shard.stop - shard.start
        files = {path.name: path for path in plan.files(self.encoder.store, shard.index)}
        codecs = self.blocks.codecs if self.blocks else {LATENTS: n_rows}
        loss = self.compared.loss.to_json()
        return EncodedShard(
            index=shard.index,
            start=shard.start,
            stop=shard.stop,
            bytes_in=n_rows * plan.schema.row_bytes + source_bytes(self.columns),
            bytes_out=sum(files[name].stat().st_size for name in self._files_read(codecs)),
            largest_error=max(loss["largest"], default=0.0),
            mean_error=finite_mean(np.concatenate(self.errors)),
            norm=float(norms(np.array(loss["norms"])[:, None])[0]),
            values=self.compared.loss.values,
            low=self.low if math.isfinite(self.low) else None,
            high=self.high if math.isfinite(self.high) else None,
            exact_rows=len(rows.exact_rows),
            exact_bytes=rows.exact_values.nbytes,
            outside_values=len(rows.outside_values),
            lossless_sample_in=self.sample.bytes,
            lossless_sample_out=self.sample.lossless_bytes(),
            codecs=codecs,
            digest=self.digest.hexdigest(),
            files={name: sha256_file(path) for name, path in files.items()},
            loss=loss,
        )

    def _files_read(self, codecs: Iterable[str]) -> list[str]:
        """Names of the files that decoding reads."""
        plan, index = self.encoder.plan, self.shard.index
        names = []
        if reads_latents(codecs):
            names.append(plan.path(Path(), index).name)
        if self.blocks and self.blocks.needed:
            names.append(plan.path(Path(), index, "values").name)
        if self.columns is not None:
            names.append(plan.path(Path(), index, "columns").name)
        return names
