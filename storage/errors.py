"""Errors of the storage package.

StorageError
├── SourceError          bad input: unreadable, empty, of another kind, or a gap that is not allowed
│   ├── NoDataError      no input at the given path
│   ├── ReadError        the operating system refused a read; a retry may succeed
│   └── SchemaError      readable, but not what the model was trained on
├── DamagedError         a stored file is missing or does not match its checksum
├── DatabaseError        a SQL database cannot be reached, or refuses a statement
├── BucketError          an object cannot be written
├── CodecError           a codec cannot pack these values; another one can
├── FormatVersionError   written by a newer version
└── WorkspaceError       a result cannot be written: permissions, disk space, or another process
    └── LockedError      another process holds the lock
"""

from __future__ import annotations


class StorageError(Exception):
    """Base class of all errors that the storage package raises."""


class SourceError(StorageError):
    """The input cannot be used."""


class NoDataError(SourceError):
    """No input exists at the expected path."""


class ReadError(SourceError):
    """The operating system refused to read a file, which a retry may cure."""


class SchemaError(SourceError):
    """The input is readable, but its shape, columns or dtype differ from the training data."""


class DamagedError(StorageError):
    """A stored file is missing or does not match its checksum."""


class DatabaseError(StorageError):
    """A SQL database cannot be reached, or refuses a statement.

    passing: whether a retry may succeed.
    """

    def __init__(self, why: str, *, passing: bool) -> None:
        super().__init__(why)
        self.passing = passing


class BucketError(StorageError):
    """An object cannot be written.

    passing: whether the service refused, so that other objects need not be tried.
    """

    def __init__(self, why: str, *, passing: bool) -> None:
        super().__init__(why)
        self.passing = passing


class CodecError(StorageError):
    """A codec cannot pack these values."""


class FormatVersionError(StorageError):
    """A file was written by a newer version of nightglass."""


class WorkspaceError(StorageError):
    """A result cannot be written."""


class LockedError(WorkspaceError):
    """Another process is working on the same result."""
