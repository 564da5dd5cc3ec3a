"""One message for a run of the night.

What is new, each with its verdict, count against the budget, causes and link.
"""

from __future__ import annotations

import logging
import os
import re
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq

from flows.errors import FlowError
from flows.jobs.settings import AlertSettings, Job
from flows.jobs.workspace import open_workspace
from flows.scoring.links import index_link, report_link
from flows.scoring.result import NightResult, NightsResult
from storage.files.atomic import json_bytes, write_bytes

log = logging.getLogger(__name__)
MOST_CAUSES = 3
MOST_NIGHTS = 10  # in one message
TIMEOUT = 20  # seconds for a webhook


def send_alert(job: Job, nights: NightsResult) -> bool:
    """Send the message for the nights that are new or failed; return whether there was one to send and somewhere to send it.

    A message that says the same as the last one is not sent: a failure that is looked at again every half hour is told once. One that did not
    get through is kept and sent along with what is new at the next look.

    Raises FlowError where it did not get through: a night of which nobody hears is not done.
    """
    if not (job.alert.webhook or job.alert.block):
        return False
    told, owed = (open_workspace(job).work(name) for name in ("told.txt", "owed.txt"))
    new, kept = message(job, nights), _read(owed)
    fresh = new and new != _read(told) and new not in kept
    text = "\n\n".join(filter(None, (new if fresh else "", kept)))
    if not text:
        return False
    write_bytes(owed, text.encode())
    log.info("alert: %s", text)
    if job.alert.webhook:
        _post(job.alert, text)
    if job.alert.block:
        _notify(job.alert.block, text, subject=text.partition("\n")[0])
    write_bytes(told, (new or text).encode())
    owed.unlink()
    return True


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def message(job: Job, nights: NightsResult) -> str:
    """The text: a paragraph for each night that is new or failed, the newest first.

    Empty where there is none.
    """
    told = [
        night_words(job, result)
        if isinstance(result, NightResult)
        else f"{job.name} {date}: FAILED\n{result}\n{index_link(job)}"
        for date, result in sorted(nights.results.items(), reverse=True)
        if not isinstance(result, NightResult) or result.written
    ]
    more = [f"and {len(told) - MOST_NIGHTS} more nights"] if len(told) > MOST_NIGHTS else []
    return "\n\n".join([*told[:MOST_NIGHTS], *more])


def night_words(job: Job, result: NightResult) -> str:
    """Verdict, count against the budget, what most of the flagged rows have in common, the promise, where the report is."""
    budget = f" (budget {job.score.alert_budget:,})" if result.rows else ""
    rows = (
        pq.read_table(
            result.path / "outliers.parquet", columns=["id", "cause", "flagged"]
        ).to_pylist()
        if result.rows
        else []
    )
    causes = top_causes(
        [(row["id"], row["cause"]) for row in rows if row["flagged"] and row["cause"]]
    )
    return "\n".join(
        [
            f"{job.name} {result.headline()}{budget}",
            *causes,
            result.promise,
            report_link(job, result),
        ]
    )


def top_causes(rows: Sequence[tuple[str, str]]) -> list[str]:
    """The causes that most of the rows (id, cause; best first) share, each told by its highest row."""
    alike: dict[str, list[tuple[str, str]]] = {}
    for row in rows:
        alike.setdefault(without_figures(row[1]), []).append(row)
    ordered = sorted(alike.values(), key=len, reverse=True)[:MOST_CAUSES]
    return [
        f"- {f'{len(group):,} rows like ' if len(group) > 1 else ''}row {group[0][0]}: {group[0][1]}"
        for group in ordered
    ]


def without_figures(cause: str) -> str:
    """What is out of place and in which direction, the same for rows that stand out for the same reason; as it is where it tells neither."""
    found = re.match(r"(.+?) is \S+, (above|below) the |(.+?): (higher|lower) than expected", cause)
    return " ".join(part for part in found.groups() if part) if found else cause


def _post(alert: AlertSettings, text: str) -> None:
    url = os.environ.get(alert.webhook, "")
    if not url.startswith(("http://", "https://")):
        raise FlowError(
            f"alert.webhook: the environment variable {alert.webhook} must hold an http address, and does not"
        )
    request = urllib.request.Request(
        url, json_bytes({"text": text}), {"Content-Type": "application/json"}
    )  # noqa: S310 (checked above)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT):  # noqa: S310 (checked above)
            return
    except (OSError, ValueError) as error:
        raise FlowError(
            f"alert.webhook: the address in {alert.webhook} did not take the message ({error}); the nights are done"
        ) from error


def _notify(block: str, text: str, *, subject: str) -> None:
    from prefect.blocks.abstract import NotificationBlock  # late: Prefect takes seconds to import
    from prefect.blocks.core import Block

    try:
        found = Block.load(block)
        if not isinstance(found, NotificationBlock):
            raise TypeError("it is no notification block")  # noqa: TRY301 (told like any other reason)
        with found.raise_on_failure():  # else a refused message is but a line in the log
            found.notify(text, subject)  # type: ignore[unused-coroutine] # called outside of an event loop it runs to its end
    except Exception as error:
        why = str(error) or getattr(error, "log", "").strip() or type(error).__name__
        raise FlowError(
            f"alert.block: {block} did not take the message ({why}); the nights are done"
        ) from error
