"""A checkpoint is of use to its own work alone, and damage is noticed."""

from __future__ import annotations

import pytest

from storage.checkpoints import read_checkpoint, write_checkpoint
from storage.errors import DamagedError


@pytest.fixture
def path(tmp_path):
    found = tmp_path / "work/checkpoint"
    write_checkpoint(found, b"after\nepoch 3", key="a")
    return found


def test_the_newest_state_is_read_by_the_same_work_alone(path):
    assert read_checkpoint(path, key="a") == b"after\nepoch 3"
    write_checkpoint(path, b"", key="b")

    assert read_checkpoint(path, key="b") == b""
    assert read_checkpoint(path, key="a") is None
    assert read_checkpoint(path.with_name("none"), key="a") is None
    assert [each.name for each in path.parent.iterdir()] == ["checkpoint"]


def test_any_flipped_bit_is_noticed(path):
    content = path.read_bytes()
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        assert is_refused(path)


def is_refused(path):
    try:
        return read_checkpoint(path, key="a") is None
    except DamagedError as error:
        return str(error).startswith(f"{path}: ")


@pytest.mark.parametrize("content", [b"", b"\n", b"[]\n", b"\xff\n", b'{"format_version": 1}\n'])
def test_a_file_that_is_no_checkpoint_is_named(path, content):
    path.write_bytes(content)
    with pytest.raises(DamagedError, match=r"checkpoint: not a checkpoint"):
        read_checkpoint(path, key="a")


def test_a_state_that_was_cut_off_does_not_match_its_checksum(path):
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DamagedError, match=r"checkpoint: does not match its checksum"):
        read_checkpoint(path, key="a")
