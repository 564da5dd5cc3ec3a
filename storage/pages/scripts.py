"""Scripts inside pages, which the page's Content-Security-Policy allows by their hash alone."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True)
class Script:
    """A script as it stands between its tags, and the source that allows it: 'sha256-…'."""

    text: str
    allowed: str


@cache
def inline_script(name: str) -> Script:
    """Read a script of storage/pages/templates. It is the same in every page: data are no code."""
    text = (files("storage.pages") / "templates" / name).read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return Script(text, f"'sha256-{digest}'")
