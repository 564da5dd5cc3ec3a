"""Alerts: one message per scheduled run, with a paragraph for each new or failed night."""

from __future__ import annotations

import logging
import os
import re
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq

from flows.errors import FlowError, describe
from flows.jobs.sections.operation import AlertSettings
from flows.jobs.settings import Job
from flows.jobs.workspace import Workspace, open_workspace
from flows.scoring.links import index_link, report_link
from flows.scoring.result import NightResult, NightsResult
from storage.files.atomic import json_bytes, write_bytes
from storage.files.locks import CHANGE_SECONDS, lock
from storage.visible_text import visible, visible_lines, visible_name

log = logging.getLogger(__name__)
MOST_CAUSES = 3
MOST_NIGHTS = 10  # in one message
TIMEOUT = 20  # seconds for a webhook
NUMBER = r"-?(?:[\d,]+(?:\.\d+)?(?:e[+-]?\d+)?|inf)"
LEVEL = r"""(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|missing)"""  # as repr writes a text
PAIR = rf" (?:{LEVEL}|\d\d:\d\d|\w+day) with .+? \([\d,]+ of [\d,]+ clean rows, "
ENTITY = rf"(?:.+? {LEVEL}(?: \(not in clean rows\))?: )?"
FORMS = {  # what `aemodel.explain` says after the name of a feature
    "above": r" is \S+, above the |: higher than expected",
    "below": r" is \S+, below the |: lower than expected",
    "missing": r" is missing, never so | missing \(",
    "unseen": rf" {LEVEL} never seen in fit rows \(",
    "unexpected": rf" {LEVEL} where {LEVEL} was expected \(|{PAIR}",
    "rare": rf" {LEVEL} \([^)]+ % of clean rows\)",
    "hour": r" at \d\d:\d\d \(",
    "weekday": r" on \w+day \(",
    "number": rf" {NUMBER} (?:where|\((?:clean|usual)[^:]+:) {NUMBER} ",
}
CAUSE = re.compile(
    f"{ENTITY}(?P<feature>.+?)(?:"
    + "|".join(f"(?P<{name}>{form})" for name, form in FORMS.items())
    + ")"
)
LAST_SENT, PENDING = "told.txt", "owed.txt"  # in the work folder


def send_alert(job: Job, nights: NightsResult) -> bool:
    """Send one message about the new and failed nights; return whether a message was sent.

    A message equal to the last one is not sent again, so a failure that is rechecked every half
    hour is reported once. A message that could not be delivered is sent with the next alert.

    Raises FlowError if delivery fails.
    """
    if not (job.alert.webhook or job.alert.block):
        return False
    workspace = open_workspace(job)
    with lock(workspace.lock("alerts"), wait=CHANGE_SECONDS):
        return _send_changed(job, nights, workspace)


def _send_changed(job: Job, nights: NightsResult, workspace: Workspace) -> bool:
    """Send a message that differs from the last one, and whatever could not be delivered."""
    last_sent, pending = workspace.work(LAST_SENT), workspace.work(PENDING)
    new, undelivered = alert_text(job, nights), _read(pending)
    repeated = new == _read(last_sent) or new in undelivered
    text = "\n\n".join(filter(None, ("" if repeated else new, undelivered)))
    if not text:
        return False
    write_bytes(pending, text.encode())
    _deliver(job.alert, text)
    write_bytes(last_sent, (new or text).encode())
    pending.unlink()
    return True


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def alert_text(job: Job, nights: NightsResult) -> str:
    """Return the message: a paragraph for each new or failed night, newest first.

    Empty if there is none.
    """
    paragraphs = []
    for date, result in sorted(nights.results.items(), reverse=True):
        if not isinstance(result, NightResult):
            why = visible_lines(describe(result))
            paragraphs.append(f"{job.name} {date}: FAILED\n{why}\n{index_link(job)}")
        elif result.written:
            paragraphs.append(night_paragraph(job, result))
    more = len(paragraphs) - MOST_NIGHTS
    if more > 0:
        paragraphs[MOST_NIGHTS:] = [f"and {more} more nights"]
    return "\n\n".join(paragraphs)


def night_paragraph(job: Job, result: NightResult) -> str:
    """Return verdict, count and budget, main causes of flagged rows, promise, and report link."""
    budget = f" (budget {job.score.alert_budget:,})" if result.rows else ""
    causes = top_causes(_flagged_causes(result)) if result.rows else []
    lines = [f"{job.name} {result.headline()}{budget}", *causes, result.promise]
    return "\n".join([*map(visible, lines), report_link(job, result)])


def _flagged_causes(result: NightResult) -> list[tuple[str, str]]:
    """Read (id, cause) of the flagged rows in the report, best first."""
    columns = ["id", "cause", "flagged"]
    rows = pq.read_table(result.path / "outliers.parquet", columns=columns).to_pylist()
    return [(row["id"], row["cause"]) for row in rows if row["flagged"] and row["cause"]]


def top_causes(rows: Sequence[tuple[str, str]]) -> list[str]:
    """Return the most frequent causes of rows (id, cause; best first), one line each.

    Each line quotes the highest row with that cause.
    """
    groups: dict[str, list[tuple[str, str]]] = {}
    for row in rows:
        groups.setdefault(without_figures(row[1]), []).append(row)
    largest = sorted(groups.values(), key=len, reverse=True)[:MOST_CAUSES]
    return [_cause_line(group) for group in largest]


def _cause_line(group: Sequence[tuple[str, str]]) -> str:
    row_id, cause = group[0]
    count = f"{len(group):,} rows like " if len(group) > 1 else ""
    return f"- {count}row {visible_name(row_id)}: {cause}"


def without_figures(cause: str) -> str:
    """Reduce a cause to its first feature and what is odd about it, so that like causes are equal.

    The entity that a cause names first is left out. A cause in any other form is returned
    unchanged.
    """
    found = CAUSE.match(cause)
    if found is None:
        return cause
    form = found.lastgroup or ""
    odd = _direction(found[form]) if form == "number" else form
    return f"{found['feature']} {odd}"


def _direction(words: str) -> str:
    """Whether a number is above or below what is usual: the second number in `words`."""
    value, usual = (float(text.replace(",", "")) for text in re.findall(NUMBER, words)[:2])
    return "above" if value > usual else "below"


def _deliver(alert: AlertSettings, text: str) -> None:
    log.info("alert: %s", text)
    if alert.webhook:
        _post(alert.webhook, text)
    if alert.block:
        _notify(alert.block, text, subject=text.partition("\n")[0])


def _post(variable: str, text: str) -> None:
    """Post to the webhook whose URL the environment variable holds."""
    url = os.environ.get(variable, "")
    if not url.startswith(("http://", "https://")):
        raise FlowError(
            f"alert.webhook: the environment variable {variable} must hold an http(s) URL"
        )
    headers = {"Content-Type": "application/json"}
    body = json_bytes({"text": text})
    request = urllib.request.Request(url, body, headers)  # noqa: S310 (checked above)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT):  # noqa: S310 (checked above)
            return
    except (OSError, ValueError) as error:
        raise FlowError(
            f"alert.webhook: delivery to the URL in {variable} failed ({error}); scoring is done"
        ) from error


def _notify(block: str, text: str, *, subject: str) -> None:
    """Send through a Prefect notification block."""
    from prefect.blocks.abstract import NotificationBlock  # late: Prefect takes seconds to import
    from prefect.blocks.core import Block

    try:
        found = Block.load(block)
        if not isinstance(found, NotificationBlock):
            raise TypeError("not a notification block")  # noqa: TRY301 (caught below)
        with found.raise_on_failure():  # otherwise a rejected message is only logged
            # Outside an event loop, Prefect runs this to completion.
            found.notify(text, subject)  # type: ignore[unused-coroutine] # see above
    except Exception as error:
        why = str(error) or getattr(error, "log", "").strip() or type(error).__name__
        raise FlowError(
            f"alert.block: delivery to {block} failed ({why}); scoring is done"
        ) from error
