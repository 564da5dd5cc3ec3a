"""The two backends, local and Prefect, and the choice between them."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Protocol

from flows.errors import FlowError, UsageError
from flows.jobs.requests import EncodeRequest, ScoreRequest, TrainRequest
from flows.training.ranks import refuse_several

if TYPE_CHECKING:  # importing these loads torch, which takes seconds
    from flows.encoding.encode import EncodeResult
    from flows.results import CommandResult
    from flows.scoring.result import NightResult
    from flows.training.result import TrainResult

HEALTH_TIMEOUT = 10  # seconds


class Backend(Protocol):
    """Runs train, encode and score."""

    def train(self, request: TrainRequest) -> TrainResult | CommandResult:
        """Fit and calibrate a model; promote it if it passes the gate."""
        ...

    def encode(self, request: EncodeRequest) -> EncodeResult:
        """Write a latent store."""
        ...

    def score(self, request: ScoreRequest) -> NightResult:
        """Score one night."""
        ...


def pick_backend(prefect: bool | None) -> Backend:
    """Return the Prefect backend (True), the local one (False), or the default (None).

    The default is Prefect if PREFECT_API_URL is set. Raises FlowError if the server is
    unreachable: there is no silent fallback to a local run.
    """
    url = os.environ.get("PREFECT_API_URL", "")
    if prefect is False or (prefect is None and not url):
        from flows.orchestration.local import LocalBackend

        return LocalBackend()
    refuse_several("Prefect; add --no-prefect")
    if url:
        require_server(url)
    from flows.orchestration.prefect_flows import PrefectBackend  # late: slow import

    return PrefectBackend()


def scheduler_server(prefect: bool | None) -> str:
    """Return the URL of the Prefect server that `serve` registers with, "" for none.

    Raises UsageError if Prefect is requested but PREFECT_API_URL is not set.
    """
    url = os.environ.get("PREFECT_API_URL", "")
    if prefect and not url:
        raise UsageError("--prefect needs a server; set PREFECT_API_URL, or omit --prefect")
    return "" if prefect is False else url


def require_server(url: str) -> None:
    """Raise FlowError unless a Prefect server answers at `url`."""
    health = f"{url.rstrip('/')}/health"
    try:
        with urllib.request.urlopen(health, timeout=HEALTH_TIMEOUT):  # noqa: S310 (operator's setting)
            return
    except (OSError, ValueError) as error:
        raise FlowError(
            f"PREFECT_API_URL={url}: no Prefect server answers ({error}); "
            "start it, fix the URL, or add --no-prefect to run locally"
        ) from error
