"""Errors of the storage package.

StorageError
├── SourceError          the input is wrong: unreadable, empty, not numeric, NaN where none is
allowed
│   ├── NoDataError      there is nothing at that place
│   └── SchemaError      readable, but not what the model was trained on
├── DamagedError         a stored file does not match its checksum, or is missing
├── FormatVersionError   written by a newer version
└── WorkspaceError       a result cannot be written: permissions, space, or another process at work
    └── LockedError      another process holds the lock
"""

from __future__ import annotations


class StorageError(Exception):
    """Base of all errors that the storage package raises on purpose."""


class SourceError(StorageError):
    """The input cannot be used as it is."""


class NoDataError(SourceError):
    """There is no input at the place where it was expected."""


class SchemaError(SourceError):
    """The input is readable but differs in shape, columns or kind from what the model was trained on."""


class DamagedError(StorageError):
    """A stored file is missing or does not match its checksum."""


class FormatVersionError(StorageError):
    """A file was written by a version of nightglass newer than this one."""


class WorkspaceError(StorageError):
    """A result cannot be written."""


class LockedError(WorkspaceError):
    """Another process is at work on the same result."""
