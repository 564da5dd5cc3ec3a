"""What runs train, encode and score: this process, or Prefect; and the choice between the two."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Protocol

from flows.errors import FlowError, UsageError
from flows.jobs.requests import EncodeRequest, ScoreRequest, TrainRequest

if TYPE_CHECKING:  # so that status, which asks what is due, does not load torch
    from flows.encoding.encode import EncodeResult
    from flows.scoring.result import NightResult
    from flows.training.train import TrainResult


class Backend(Protocol):
    """Runs train, encode and score."""

    def train(self, request: TrainRequest) -> TrainResult:
        """Fit, calibrate, gate, promote."""
        ...

    def encode(self, request: EncodeRequest) -> EncodeResult:
        """Write a latent store."""
        ...

    def score(self, request: ScoreRequest) -> NightResult:
        """Score one night."""
        ...


def pick_backend(prefect: bool | None) -> Backend:
    """The backend that `--prefect` or `--no-prefect` ask for; with neither, Prefect where PREFECT_API_URL is set.

    Raises FlowError naming the URL where Prefect is wanted and its server cannot be reached: never a silent local run.
    """
    url = os.environ.get("PREFECT_API_URL", "")
    if prefect is False or (prefect is None and not url):
        from flows.orchestration.local import LocalBackend

        return LocalBackend()
    if url:
        require_server(url)
    from flows.orchestration.prefect_flows import (
        PrefectBackend,  # late: Prefect takes seconds to import
    )

    return PrefectBackend()


def wants_prefect(prefect: bool | None) -> str:
    """URL of the server that a scheduler records its runs on; empty where it is to run without one.

    Raises UsageError where none is named.
    """
    url = os.environ.get("PREFECT_API_URL", "")
    if prefect and not url:
        raise UsageError(
            "--prefect: PREFECT_API_URL names no server; set it, or leave --prefect out"
        )
    return "" if prefect is False else url


def require_server(url: str) -> None:
    """Raise FlowError where no Prefect server answers at `url`."""
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/health", timeout=10):  # noqa: S310 (the URL is the operator's own setting)
            return
    except (OSError, ValueError) as error:
        raise FlowError(
            f"PREFECT_API_URL={url}: no Prefect server answers there ({error}); start it, mend the URL, or add --no-prefect to run without one"
        ) from error
