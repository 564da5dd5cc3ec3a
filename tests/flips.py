"""Flipped bits in stored files."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def verified_files(folder: Path) -> list[Path]:
    """All files below a folder except run.json, which no checksum covers."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return [path for path in files if path.name != "run.json"]


def with_flipped_bit(content: bytes, random: np.random.Generator) -> bytes:
    """The content with one random bit flipped."""
    offset, bit = int(random.integers(len(content))), int(random.integers(8))
    flipped = bytearray(content)
    flipped[offset] ^= 1 << bit
    return bytes(flipped)
