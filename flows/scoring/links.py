"""Links to the reports."""

from __future__ import annotations

from flows.jobs.settings import Job
from flows.scoring.result import NightResult


def report_link(job: Job, result: NightResult) -> str:
    """Address of the report where a web server shows it, else its path."""
    page = (result.path / "report.html").relative_to(job.path(job.workspace) / "reports")
    return f"{reports_place(job)}/{page.as_posix()}"


def index_link(job: Job) -> str:
    """Address of the page of all nights where a web server shows it, else its path."""
    return f"{reports_place(job)}/{job.name}/index.html"


def reports_place(job: Job) -> str:
    """Where workspace/reports is shown, or is."""
    return job.alert.reports_url.rstrip("/") or str(job.path(job.workspace) / "reports")
