"""An external sort of rows by entity, time, and row number, in bounded memory.

Rows are spooled in sorted runs. Splitters, drawn from a sample of all keys, cut each run into
parts; part k of all runs together fits into memory, and is sorted there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from io import BufferedRandom
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from storage.files.atomic import refusals
from storage.sources.series.key_values import Ticks

UNUSABLE, BROKEN, HELD = 1, 2, 4  # bits of a row's state


class Rows(NamedTuple):
    """Rows of any order: values (n, bytes of a row) uint8, and their keys (n,).

    states: uint8, a sum of UNUSABLE, BROKEN, HELD. ids: int64, or an Arrow array of text, or None.
    """

    entities: NDArray[np.int32]
    times: Ticks
    numbers: NDArray[np.int64]
    states: NDArray[np.uint8]
    values: NDArray[np.uint8]
    ids: NDArray[np.int64] | pa.LargeStringArray | None = None

    def take(self, which: NDArray[np.intp] | slice) -> Rows:
        """Return some rows."""
        ids = self.ids
        if isinstance(ids, pa.LargeStringArray):
            ids = ids[which] if isinstance(which, slice) else ids.take(pa.array(which))
        elif ids is not None:
            ids = ids[which]
        return Rows(
            self.entities[which],
            self.times[which],
            self.numbers[which],
            self.states[which],
            self.values[which],
            ids,
        )

    @staticmethod
    def join(parts: Sequence[Rows]) -> Rows:
        """Return the rows of parts, one after another."""
        if len(parts) == 1:
            return parts[0]
        ids: Any = [part.ids for part in parts if part.ids is not None]
        if ids:
            as_text = isinstance(ids[0], pa.LargeStringArray)
            ids = pa.concat_arrays(ids) if as_text else np.concatenate(ids)
        return Rows(
            np.concatenate([part.entities for part in parts]),
            np.concatenate([part.times for part in parts]),
            np.concatenate([part.numbers for part in parts]),
            np.concatenate([part.states for part in parts]),
            np.concatenate([part.values for part in parts]),
            ids if len(ids) else None,
        )


class Splitters(NamedTuple):
    """Keys (k,) that cut sorted rows into k + 1 parts."""

    entities: NDArray[np.int32]
    times: Ticks
    numbers: NDArray[np.int64]

    def places(self, rows: Rows) -> NDArray[np.int64]:
        """Return where to cut sorted rows: (k + 2,), from 0 to n."""
        cuts = [self._place(rows, index) for index in range(len(self.entities))]
        return np.array([0, *cuts, len(rows.times)], np.int64)

    def _place(self, rows: Rows, index: int) -> int:
        first, last = 0, len(rows.times)
        for keys, key in zip(rows[:3], self, strict=True):
            part = keys[first:last]
            first, last = (
                first + int(np.searchsorted(part, key[index], side="left")),
                first + int(np.searchsorted(part, key[index], side="right")),
            )
        return first


def choose_splitters(sample: tuple[NDArray[Any], ...], parts: int) -> Splitters:
    """Choose the keys that cut rows into parts of about equal size.

    sample: entities, times, row numbers (n,) of some rows.
    """
    entities, times, numbers = sample
    order = np.lexsort((numbers, times, entities))
    places = np.linspace(0, len(order), min(parts, len(order) + 1), endpoint=False)[1:]
    chosen = order[places.astype(np.int64)]
    return Splitters(
        entities[chosen].astype(np.int32),
        np.asarray(times[chosen]),
        numbers[chosen].astype(np.int64),
    )


class Spool:
    """Sorted runs of rows in files of a folder, which are deleted at the end.

    splitters: cut each run into parts.
    """

    def __init__(self, folder: Path, splitters: Splitters) -> None:
        self._folder, self._splitters = folder, splitters
        self._open, self._files = ExitStack(), list[BufferedRandom]()
        self._kinds: list[np.dtype[np.generic]] = []
        self._cuts: list[NDArray[np.int64]] = []
        self._text_cuts: list[NDArray[np.int64]] = []
        self._rows = self._text_bytes = 0
        self._texts: BufferedRandom | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()

    def add(self, rows: Rows) -> None:
        """Sort and write one run; rows of one key keep their order."""
        rows = rows.take(sort_order(rows))
        lengths, texts = _text_parts(rows)
        columns = [*rows[:5], *([] if lengths is None else [lengths])]
        columns += [rows.ids] if isinstance(rows.ids, np.ndarray) else []
        with refusals(self._folder):
            self._begin(columns)
            for file, column in zip(self._files, columns, strict=True):
                file.write(np.ascontiguousarray(column).data)
            if lengths is not None and self._texts:
                self._texts.write(texts)
        cuts = self._splitters.places(rows)
        self._cuts.append(self._rows + cuts)
        self._rows += len(rows.times)
        if lengths is not None:
            ends = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
            self._text_cuts.append(self._text_bytes + ends[cuts])
            self._text_bytes += int(ends[-1])

    def _begin(self, columns: Sequence[NDArray[np.generic]]) -> None:
        if self._files:
            return
        self._kinds = [np.dtype((each.dtype, each.shape[1:])) for each in columns]
        self._files = [self._new(f"column-{place}") for place in range(len(columns))]
        self._texts = self._new("texts")

    def _new(self, name: str) -> BufferedRandom:
        file = (self._folder / name).open("w+b")
        (self._folder / name).unlink()  # its space is freed however this process ends
        return self._open.enter_context(file)

    def sorted_parts(self) -> Iterator[Rows]:
        """Yield all rows in order, a part at a time."""
        for part in range(len(self._splitters.entities) + 1):
            rows = self._part(part)
            if rows is not None:
                yield rows.take(sort_order(rows))

    def _part(self, part: int) -> Rows | None:
        """Return the rows of a part in the order of the runs."""
        spans = [(int(cuts[part]), int(cuts[part + 1])) for cuts in self._cuts]
        count = sum(stop - start for start, stop in spans)
        if not count:
            return None
        columns = [
            _gather(file, kind, spans, count)
            for file, kind in zip(self._files, self._kinds, strict=True)
        ]
        if not self._text_cuts or not self._texts:
            return Rows(*columns)
        spans = [(int(cuts[part]), int(cuts[part + 1])) for cuts in self._text_cuts]
        size = sum(stop - start for start, stop in spans)
        texts = _gather(self._texts, np.dtype(np.uint8), spans, size)
        return Rows(*columns[:5])._replace(ids=_texts_of(columns[5], texts))


def sort_order(rows: Rows) -> NDArray[np.intp]:
    """Return the order by entity and time in which rows (n,) of one key keep their order."""
    return np.lexsort((rows.times, rows.entities))


def _text_parts(rows: Rows) -> tuple[NDArray[np.int64] | None, bytes | memoryview]:
    """Return the bytes of each text id, and all of them one after another."""
    if not isinstance(rows.ids, pa.LargeStringArray):
        return None, b""
    _, offsets, content = rows.ids.buffers()
    first = rows.ids.offset
    ends = np.frombuffer(offsets, np.int64)[first : first + len(rows.ids) + 1]
    whole = memoryview(content or b"")
    return np.diff(ends), whole[int(ends[0]) : int(ends[-1])]


def _texts_of(lengths: NDArray[np.int64], content: NDArray[np.uint8]) -> pa.LargeStringArray:
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    buffers = [pa.py_buffer(offsets), pa.py_buffer(content)]
    return pa.LargeStringArray.from_buffers(len(lengths), *buffers)


def _gather(
    file: BufferedRandom, kind: np.dtype[np.generic], spans: Sequence[tuple[int, int]], count: int
) -> NDArray[Any]:
    """Read spans of values of a file as one array (count,)."""
    values = np.empty(count * kind.itemsize, np.uint8)
    done = 0
    for start, stop in spans:
        if stop > start:
            size = (stop - start) * kind.itemsize
            file.seek(start * kind.itemsize)
            file.readinto(values[done : done + size].data)
            done += size
    base, shape = kind.subdtype or (kind, ())
    return values.view(base).reshape(count, *shape)
