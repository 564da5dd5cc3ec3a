"""verify of a packed store with damaged bytes."""

from __future__ import annotations

from flows.operations.inspect import verify_path


def test_a_packed_store_with_any_damaged_bytes_is_said_to_be_damaged(bench, tmp_path, random):
    store, packed, broken = (tmp_path / name for name in ("store", "one.h5", "broken.h5"))
    assert bench.run("encode", bench.job, "--out", store).code == 0
    assert bench.run("pack", store, "--out", packed).code == 0
    whole = packed.read_bytes()

    for place in (0, 8, *random.integers(0, len(whole), 150).tolist()):
        content = bytearray(whole)
        content[place : place + 64] = bytes(random.integers(0, 256, 64, dtype="uint8"))
        broken.write_bytes(content[: len(whole)])
        result = verify_path(broken)
        assert (result.exit_code, "DAMAGED" in result.to_text()) in ((1, True), (0, False))
        assert result.exit_code or content[:8] == whole[:8]
    broken.write_bytes(whole[: len(whole) // 2])
    assert "DAMAGED" in verify_path(broken).to_text()
