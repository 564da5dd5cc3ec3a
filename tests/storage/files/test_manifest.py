"""A manifest notices any change of any file, itself included; writes are whole or not at all."""

from __future__ import annotations

import json
import os

import pytest

from storage.errors import DamagedError, FormatVersionError, NoDataError, WorkspaceError
from storage.files.atomic import _copy_beside, publish_folder, write_beside, write_json
from storage.files.manifest import read_manifest, require_whole, verify_folder, write_manifest


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "a.bin").write_bytes(b"one")
    (tmp_path / "deep/b.bin").write_bytes(b"two")
    (tmp_path / "run.json").write_text("{}")
    write_manifest(tmp_path, "thing", {"fact": 1})
    return tmp_path


def test_a_whole_folder_has_no_problems(folder):
    assert verify_folder(folder) == []
    assert read_manifest(folder, "thing")["files"].keys() == {"a.bin", "deep/b.bin"}


def test_run_json_is_not_covered(folder):
    (folder / "run.json").write_text('{"host": "other"}')

    assert verify_folder(folder) == []


def test_every_bit_of_the_manifest_is_covered(folder):
    path = folder / "manifest.json"
    content = path.read_bytes()
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        assert [problem.file for problem in verify_folder(folder)] == ["manifest.json"], place


def test_changed_missing_and_unlisted_files_are_named(folder):
    (folder / "a.bin").write_bytes(b"One")
    (folder / "deep/b.bin").unlink()
    (folder / "c.bin").write_bytes(b"")

    assert {(problem.file, problem.what) for problem in verify_folder(folder)} == {
        ("a.bin", "does not match its checksum"),
        ("deep/b.bin", "is missing"),
        ("c.bin", "is not in the manifest"),
    }
    with pytest.raises(DamagedError, match=r"b.bin: is missing"):
        require_whole(folder)


def test_a_folder_without_a_manifest_is_no_data(tmp_path):
    with pytest.raises(NoDataError, match=r"expected a folder with a manifest\.json"):
        read_manifest(tmp_path)


def test_another_kind_or_version_is_refused(folder):
    with pytest.raises(DamagedError, match="expected a manifest of kind 'scores', got 'thing'"):
        read_manifest(folder, "scores")
    (folder / "manifest.json").unlink()
    write_manifest(folder, "thing", {}, format_version=2)
    with pytest.raises(FormatVersionError, match="format_version 2 is newer than 1"):
        read_manifest(folder)
    (folder / "manifest.json").unlink()
    write_manifest(folder, "thing", {}, format_version=0)
    with pytest.raises(FormatVersionError, match="format_version 0 is older than 1"):
        read_manifest(folder)


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})

    def write_half():
        with write_beside(path) as beside:
            beside.write_text("half")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        write_half()
    assert json.loads(path.read_text()) == {"a": 1}
    assert [each.name for each in tmp_path.iterdir()] == ["a.json"]


def test_two_processes_with_one_id_write_beside_each_other(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "getpid", lambda: 1)  # as in two containers
    path = tmp_path / "a.json"

    with write_beside(path) as one, write_beside(path) as other:
        one.write_text("one")
        other.write_text("other")
        assert one != other
    assert path.read_text() == "one"


@pytest.mark.parametrize("name", ["x" * 251 + ".npy", "\N{CJK UNIFIED IDEOGRAPH-65E5}" * 85])
def test_every_name_that_the_file_system_allows_can_be_written(tmp_path, name):
    with write_beside(tmp_path / name) as beside:
        beside.write_text("whole")

    assert (tmp_path / name).read_text() == "whole"


def test_a_name_that_is_too_long_is_refused_before_the_work(tmp_path):
    with (
        pytest.raises(WorkspaceError, match=r"too long.*; use a shorter name"),
        write_beside(tmp_path / ("x" * 256)),
    ):
        pytest.fail("the work began")


def test_runs_that_publish_to_one_place_on_another_disk_do_not_mix_their_copies(tmp_path):
    final, copies = tmp_path / "final" / ("x" * 255), set()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
        final.parent.mkdir(exist_ok=True)
        copies.add(_copy_beside(tmp_path / name, final))

    assert sorted(path.name for copy in copies for path in copy.iterdir()) == ["one", "two"]
    assert _copy_beside(tmp_path / "one", final) in copies  # a rerun replaces its own


def test_a_json_file_cannot_hold_nan(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"a": float("nan")})


def test_an_existing_folder_is_not_overwritten(tmp_path):
    for name in ("work", "final"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)

    with pytest.raises(WorkspaceError, match="could not be published"):
        publish_folder(tmp_path / "work", tmp_path / "final")
    assert (tmp_path / "final/file").read_text() == "final"
