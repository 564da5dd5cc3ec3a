"""docs/series.md has every key. tests/test_sessions.py runs its commands."""

from __future__ import annotations

import re

from documents import DOCS, text_of

from flows.jobs.series.settings import SeriesSettings


def test_the_page_has_every_key():
    keys = set(re.findall(r"^\| `(\w+)` \|", text_of(DOCS / "series.md"), flags=re.MULTILINE))

    assert set(SeriesSettings.__dataclass_fields__) <= keys
