"""The objects below a prefix as a store that zarr reads from."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable

from zarr.abc.store import (
    ByteRequest,
    OffsetByteRequest,
    RangeByteRequest,
    Store,
    SuffixByteRequest,
)
from zarr.core.buffer import Buffer, BufferPrototype

from storage.objects.paths import ObjectPath

READ_ONLY = "objects are read only"


class ObjectStore(Store):
    """Objects below a prefix, to be read. What the service refuses is raised as an OSError."""

    supports_writes = supports_deletes = False
    supports_listing = True

    def __init__(self, root: ObjectPath) -> None:
        super().__init__(read_only=True)
        self._root = root

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ObjectStore) and other._root == self._root

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Return an object or a part of it; None if there is none."""
        content = await asyncio.to_thread(self._read, key, byte_range)
        return None if content is None else prototype.buffer.from_bytes(content)

    def _read(self, key: str, wanted: ByteRequest | None) -> bytes | None:
        try:
            with (self._root / key).open_object() as opened:
                first, last = _span(wanted, opened.size())
                return bytes(opened.read_at(last - first, first))
        except FileNotFoundError:
            return None

    async def get_partial_values(
        self,
        prototype: BufferPrototype,
        key_ranges: Iterable[tuple[str, ByteRequest | None]],
    ) -> list[Buffer | None]:
        """Return parts of objects."""
        parts = (self.get(key, prototype, each) for key, each in key_ranges)
        return [*await asyncio.gather(*parts)]

    async def exists(self, key: str) -> bool:
        """Return whether there is an object."""
        return await asyncio.to_thread((self._root / key).is_file)

    async def list(self) -> AsyncIterator[str]:
        """Yield the names of all objects."""
        for name in sorted(await asyncio.to_thread(self._root.sizes)):
            yield name

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """Yield the names that start with a prefix."""
        async for name in self.list():
            if name.startswith(prefix):
                yield name

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Yield the names directly below a prefix, once each."""
        start = f"{prefix.rstrip('/')}/" if prefix else ""
        below = [name.removeprefix(start) async for name in self.list_prefix(start)]
        for name in dict.fromkeys(name.partition("/")[0] for name in below):
            yield name

    async def set(self, key: str, value: Buffer) -> None:
        """Refuse to write."""
        raise NotImplementedError(READ_ONLY)

    async def delete(self, key: str) -> None:
        """Refuse to delete."""
        raise NotImplementedError(READ_ONLY)


def _span(wanted: ByteRequest | None, size: int) -> tuple[int, int]:
    """Return the first byte of a part, and the one after its last."""
    if isinstance(wanted, RangeByteRequest):
        return wanted.start, min(wanted.end, size)
    if isinstance(wanted, OffsetByteRequest):
        return wanted.offset, size
    if isinstance(wanted, SuffixByteRequest):
        return max(0, size - wanted.suffix), size
    return 0, size
