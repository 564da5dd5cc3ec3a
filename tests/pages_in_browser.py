"""What several browser tests do with an open page: watch it, download its labels, run axe on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def messages_of(page: Any) -> list[str]:
    """The messages and errors that a page writes to the console from now on."""
    messages: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    return messages


def download_labels(page: Any, path: Path) -> None:
    """Save the label file of a page, which must have kept its labels when it is loaded again."""
    page.reload()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download labels").click()
    download.value.save_as(path)


def violations_in(page: Any, axe: Any) -> list[tuple[str, str]]:
    """The rules of axe that a page breaks, each with the first element that does."""
    found = axe.run(page).response["violations"]
    return [(each["id"], each["nodes"][0]["html"]) for each in found]
