"""Objects of a bucket, as paths that can be read."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path, PosixPath
from typing import IO, TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, unquote

from storage.errors import SourceError
from storage.objects.systems import SCHEMES, file_system

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow.fs import FileInfo, FileSystem

URI = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/{1,3}(?=[^/]|$)")  # one letter alone is a drive
BUFFER_BYTES = 1 << 20  # of one request while an object is read in order


class ObjectStat(NamedTuple):
    """Size in bytes, and when the object was last written, in seconds since the epoch."""

    st_size: int
    st_mtime: float


class ObjectPath(PosixPath):
    """An object, or all objects whose names start with it and "/": s3://bucket/prefix.

    Its first part is the service, with the URL of its endpoint if a job file names one. Only what
    is defined here asks the service; what it refuses is raised as an OSError.
    """

    __slots__ = ()

    def __str__(self) -> str:
        """Return the URI; of a part of one, the part."""
        service, *names = self.parts or ("",)
        if not service.endswith(":"):
            return super().__str__()
        return f"{self.scheme}://{'/'.join(names)}"

    def __fspath__(self) -> str:
        return str(self)

    @property
    def scheme(self) -> str:
        """The service: one of SCHEMES."""
        return self.parts[0].rstrip(":").partition("+")[0]

    @property
    def endpoint(self) -> str:
        """The URL of a server compatible with S3, if a job file names one; else ''."""
        return unquote(self.parts[0].rstrip(":").partition("+")[2])

    @property
    def key(self) -> str:
        """The bucket and the name of the object in it, as Arrow takes them."""
        bucket, *names = self.parts[1:]
        return "/".join([bucket.partition("@")[0], *names])

    @property
    def system(self) -> FileSystem:
        """The file system that holds the object."""
        return file_system(self.scheme, self.parts[1], self.endpoint)

    def is_absolute(self) -> bool:
        """Return True: an object has no working directory."""
        return True

    def absolute(self) -> ObjectPath:
        """Return the path itself."""
        return self

    def resolve(self, *_: Any, **__: Any) -> ObjectPath:
        """Return the path itself: a bucket has no links."""
        return self

    def open_object(self) -> pa.NativeFile:
        """Open the object for reads at any place, each of which is a request of its own."""
        return self.system.open_input_file(self.key)

    def open(self, *_: Any, **__: Any) -> IO[bytes]:  # type: ignore[override] # bytes only
        """Open the object for buffered reading of bytes."""
        return io.BufferedReader(_RawObject(self.open_object()), BUFFER_BYTES)

    def stat(self, **_: Any) -> ObjectStat:  # type: ignore[override] # all that a service tells
        """Return size and time. Raises FileNotFoundError if there is no such object."""
        info = self._info()
        if not info.is_file:
            raise FileNotFoundError(2, "No such object", str(self))
        return ObjectStat(info.size, info.mtime.timestamp())

    def stamp(self) -> str:
        """Return size and version (the ETag, where the service tells one) of the object."""
        with self.open_object() as opened:
            said = {key.lower(): value for key, value in (opened.metadata() or {}).items()}
            version = said["etag"].decode() if "etag" in said else self._info().mtime_ns
            return f"{opened.size()} {version}"

    def exists(self, **_: Any) -> bool:
        """Return whether it is an object, or the start of the names of others."""
        return self._info().type.name in ("File", "Directory")

    def is_file(self) -> bool:
        """Return whether it is an object."""
        return bool(self._info().is_file)

    def is_dir(self) -> bool:
        """Return whether it is a bucket, or a prefix of objects."""
        return str(self._info().type.name) == "Directory"

    def objects(self) -> Iterator[ObjectPath]:
        """Yield all objects below a prefix, sorted by name; see `sizes`."""
        yield from (self / name for name in sorted(self.sizes()))

    def sizes(self) -> dict[str, int]:
        """Return the bytes of each object below a prefix, by its name below it.

        Raises OSError if there is no bucket, where listing tells that from an empty prefix: of S3.
        """
        from pyarrow.fs import FileSelector  # late: slow to import

        below = FileSelector(self.key, recursive=True, allow_not_found=self.scheme != "s3")
        try:
            listed = self.system.get_file_info(below)
        except FileNotFoundError:  # nothing below the prefix; a missing bucket is another error
            listed = []
        start = len(self.key) + 1
        return {info.path[start:]: info.size for info in listed if info.is_file}

    def _info(self) -> FileInfo:
        return self.system.get_file_info(self.key)


class _RawObject(io.RawIOBase):
    """Arrow's file as Python's own readers take it."""

    def __init__(self, opened: pa.NativeFile) -> None:
        self._opened = opened

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        content = self._opened.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._opened.seek(offset, whence)
        return self.tell()

    def tell(self) -> int:
        return int(self._opened.tell())

    def close(self) -> None:
        self._opened.close()
        super().close()


def located(text: Path | str, *, below: Path = Path(), endpoint: str = "") -> Path:
    """Return the path that a text names: of a file below the folder `below`, or of objects.

    endpoint: URL of a server that stands for S3; '' for the one that the environment names.

    A URI that was a Path has lost a slash, which is restored. Raises SourceError if a URI holds
    credentials, or names no bucket or a service that cannot be read.
    """
    if isinstance(text, ObjectPath):
        return text
    found = URI.match(str(text))
    if found is None:
        return below / text
    scheme, rest = found[1].lower(), str(text)[found.end() :]
    if scheme == "file":
        return Path("/", rest)
    _require_readable(scheme, rest)
    if scheme == "s3" and endpoint:
        return ObjectPath(f"s3+{quote(endpoint, safe='')}:", rest)
    return ObjectPath(f"{scheme}:", rest)


def _require_readable(scheme: str, rest: str) -> None:
    bucket = rest.partition("/")[0]
    if scheme not in SCHEMES:
        raise SourceError(
            f"{scheme}://{bucket}/…: expected a path, or a URI that starts with file:// or "
            f"{', '.join(f'{each}://' for each in SCHEMES)}, got {scheme}://; "
            "copy the files to a disk and give their path"
        )
    if not bucket:
        raise SourceError(f"{scheme}://: expected the name of a bucket, got none; add it")
    if "@" in bucket and not scheme.startswith("abfs"):
        raise SourceError(
            f"{scheme}://…@{bucket.rpartition('@')[2]}: a URI must not hold credentials; set the "
            "environment variables or files of the service instead"
        )


def openable(path: Path) -> Path | IO[bytes]:
    """Return what a library that reads local files opens: the path, or the opened object."""
    return path.open("rb") if isinstance(path, ObjectPath) else path


def input_stream(path: Path) -> pa.NativeFile:
    """Open a file or object to be read in order, decompressed if its name says so."""
    import pyarrow  # late: slow to import

    if isinstance(path, ObjectPath):
        return path.system.open_input_stream(path.key, buffer_size=BUFFER_BYTES)
    return pyarrow.input_stream(str(path), compression="detect")
