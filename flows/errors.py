"""Errors of the flows package, and the exit code for each kind of error.

FlowError
├── UsageError     wrong option or job file; nothing has been done
└── WorkFailed     the work started and could not be finished
"""

from __future__ import annotations

from aemodel.errors import DataError, ModelError, SettingsError
from storage.errors import NoDataError, SourceError, StorageError, WorkspaceError

DONE, FAILED, WRONG_USE, NO_DATA, IN_PART = 0, 1, 2, 3, 4
INTERRUPTED = 130  # as shells report a process ended by SIGINT
EXIT_CODES = {
    DONE: "success",
    FAILED: "failure; also a FAILED night, and `status` with open problems",
    WRONG_USE: "invalid usage, job file, or input; no work was done",
    NO_DATA: "no data for that date",
    IN_PART: "partial: some shards, files, or rows could not be read",
    INTERRUPTED: "interrupted by Ctrl-C; finished shards and the last checkpoint are kept",
}


class FlowError(Exception):
    """Base class of all errors that flows raise on purpose."""


class UsageError(FlowError):
    """The command, an option or the job file is wrong; nothing has been done."""


class WorkFailed(FlowError):  # noqa: N818 (the report uses the same word)
    """The work started and could not be finished; finished parts are kept."""


EXPECTED = (FlowError, ModelError, StorageError)
_CODES = (
    (NoDataError, NO_DATA),
    ((UsageError, SourceError, SettingsError, DataError, WorkspaceError), WRONG_USE),
)


def unexpected(error: BaseException | None) -> BaseException | None:
    """The error if it is a bug, whose traceback helps; None if its message says what to do."""
    return None if isinstance(error, EXPECTED) else error


def describe(error: BaseException) -> str:
    """The error's message; an error that was not raised on purpose also names its type."""
    if isinstance(error, EXPECTED):
        return str(error)
    return f"unexpected error, see the log: {type(error).__name__}: {error}"


def exit_code(error: BaseException) -> int:
    """The exit code for an error that ended a command.

    2 for wrong use, job file or input, 3 for no data, else 1.
    """
    return next((code for kinds, code in _CODES if isinstance(error, kinds)), FAILED)
