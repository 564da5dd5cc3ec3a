"""One message for a run of the night: what is new, each with its verdict, count against the budget, causes and link."""

from __future__ import annotations

import logging
import os
import urllib.request
from collections.abc import Iterable

import pyarrow.parquet as pq

from flows.errors import FlowError
from flows.job import AlertSettings, Job
from flows.nights import NightsResult
from flows.score import NightResult
from flows.workspace import open_workspace
from storage.atomic import json_bytes, write_bytes

log = logging.getLogger(__name__)
MOST_CAUSES = 3
MOST_NIGHTS = 10  # in one message
TIMEOUT = 20  # seconds for a webhook


def send_alert(job: Job, nights: NightsResult) -> bool:
    """Send the message for the nights that are new or failed; return whether there was one to send and somewhere to send it.

    A message that says the same as the last one is not sent: a failure that is looked at again every half hour is told once.

    Raises FlowError where the message did not get through: a night of which nobody hears is not done.
    """
    text = message(job, nights)
    told = open_workspace(job).work("told.txt")
    if not text or not (job.alert.webhook or job.alert.block) or (told.exists() and told.read_text(encoding="utf-8") == text):
        return False
    log.info("alert: %s", text)
    if job.alert.webhook:
        _post(job.alert, text)
    if job.alert.block:
        _notify(job.alert.block, text, subject=text.partition("\n")[0])
    write_bytes(told, text.encode())
    return True


def message(job: Job, nights: NightsResult) -> str:
    """The text: a paragraph for each night that is new or failed, the newest first; empty where there is none."""
    told = [
        night_words(job, result) if isinstance(result, NightResult) else f"{job.name} {date}: FAILED\n{result}"
        for date, result in sorted(nights.results.items(), reverse=True)
        if not isinstance(result, NightResult) or result.written
    ]
    more = [f"and {len(told) - MOST_NIGHTS} more nights"] if len(told) > MOST_NIGHTS else []
    return "\n\n".join([*told[:MOST_NIGHTS], *more])


def night_words(job: Job, result: NightResult) -> str:
    """Verdict, count against the budget, the causes of the highest rows, where the report is."""
    head = f"{job.name} {result.date}: {result.verdict}, {result.flagged:,} of {result.rows:,} rows flagged (budget {job.score.alert_budget:,})"
    causes = pq.read_table(result.path / "outliers.parquet", columns=["cause", "flagged"]).to_pylist() if result.rows else []
    flagged = first_ones(row["cause"] for row in causes if row["flagged"] and row["cause"])
    return "\n".join([head, *(f"- {cause}" for cause in flagged), result.promise, report_link(job, result)])


def first_ones(causes: Iterable[str]) -> list[str]:
    """The first few causes that differ."""
    return list(dict.fromkeys(causes))[:MOST_CAUSES]


def report_link(job: Job, result: NightResult) -> str:
    """Address of the report where a web server shows it, else its path."""
    page = result.path / "report.html"
    if not job.alert.reports_url:
        return str(page)
    return f"{job.alert.reports_url.rstrip('/')}/{page.relative_to(job.path(job.workspace) / 'reports').as_posix()}"


def _post(alert: AlertSettings, text: str) -> None:
    url = os.environ.get(alert.webhook, "")
    if not url.startswith(("http://", "https://")):
        raise FlowError(f"alert.webhook: the environment variable {alert.webhook} must hold an http address, and does not")
    request = urllib.request.Request(url, json_bytes({"text": text}), {"Content-Type": "application/json"})  # noqa: S310 (checked above)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT):  # noqa: S310 (checked above)
            return
    except (OSError, ValueError) as error:
        raise FlowError(f"alert.webhook: the address in {alert.webhook} did not take the message ({error}); the nights are done") from error


def _notify(block: str, text: str, *, subject: str) -> None:
    from prefect.blocks.abstract import NotificationBlock  # late: Prefect takes seconds to import
    from prefect.blocks.core import Block

    try:
        found = Block.load(block)
        assert isinstance(found, NotificationBlock), "not a notification block"
        found.notify(text, subject)  # type: ignore[unused-coroutine] # called outside of an event loop it runs to its end
    except Exception as error:
        raise FlowError(f"alert.block: {block} did not take the message ({error}); the nights are done") from error
