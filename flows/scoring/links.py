"""Links to the reports: web addresses if `alert.reports_url` is set, else paths."""

from __future__ import annotations

from flows.jobs.settings import Job
from flows.scoring.result import NightResult


def report_link(job: Job, result: NightResult) -> str:
    """Link to the report of one revision."""
    page = (result.path / "report.html").relative_to(job.path(job.workspace) / "reports")
    return f"{_reports_root(job)}/{page.as_posix()}"


def index_link(job: Job) -> str:
    """Link to the page that lists all nights."""
    return f"{_reports_root(job)}/{job.name}/index.html"


def _reports_root(job: Job) -> str:
    return job.alert.reports_url.rstrip("/") or str(job.path(job.workspace) / "reports")
