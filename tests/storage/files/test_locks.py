"""A lock is held by one process at a time; a file system that has none is named."""

from __future__ import annotations

import errno
import fcntl
import os

import pytest

from storage.errors import WorkspaceError
from storage.files.locks import is_locked, lock


def test_asking_whether_a_lock_is_held_writes_nothing(tmp_path):
    path = tmp_path / "a.lock"
    assert not is_locked(path)
    assert not path.exists()

    with lock(path):
        assert is_locked(path)
    path.chmod(0o444)

    assert not is_locked(path)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_named(tmp_path, monkeypatch, number):
    def refuse(descriptor, operation):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)

    with (
        pytest.raises(WorkspaceError, match=f"{tmp_path}: the file system has no file locks"),
        lock(tmp_path / "a.lock"),
    ):
        pass
