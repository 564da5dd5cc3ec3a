"""Errors of the flows package, and what exit code each kind of error becomes.

FlowError
├── UsageError     wrong option or job file: nothing has been done
└── WorkFailed     the work was begun and could not be finished
"""

from __future__ import annotations

from aemodel.errors import DataError, ModelError, SettingsError
from storage.errors import NoDataError, SourceError, StorageError, WorkspaceError

DONE, FAILED, WRONG_USE, NO_DATA, IN_PART = 0, 1, 2, 3, 4


class FlowError(Exception):
    """Base of all errors that the flows raise on purpose."""


class UsageError(FlowError):
    """The command, an option or the job file is wrong; nothing has been done."""


class WorkFailed(FlowError):  # noqa: N818 (it names what happened, as the report does)
    """The work was begun and could not be finished; what is done so far is kept."""


EXPECTED = (FlowError, ModelError, StorageError)
_CODES = (
    (NoDataError, NO_DATA),
    ((UsageError, SourceError, SettingsError, DataError, WorkspaceError), WRONG_USE),
)


def unexpected(error: BaseException | None) -> BaseException | None:
    """The error where it is a defect, whose traceback helps;

    None where its own words say what to do.
    """
    return None if isinstance(error, EXPECTED) else error


def exit_code(error: BaseException) -> int:
    """The exit code for an error that ended a command.

    2 wrong use, job file or input, 3 no data, else 1.
    """
    return next((code for kinds, code in _CODES if isinstance(error, kinds)), FAILED)
