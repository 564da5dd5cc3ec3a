"""The three flows with what they run on: plainly in this process, or as Prefect flows; and the choice between the two."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from flows.errors import FlowError, UsageError

if TYPE_CHECKING:  # so that status, which asks what is due, does not load torch
    from flows.encode import EncodeResult
    from flows.night_result import NightResult
    from flows.train import TrainResult


class Runs(Protocol):
    """train, encode and score, taking plain values: what a form in a web page or a command line can give."""

    def train(self, *, job: str, overrides: Sequence[str], require_gpu: bool) -> TrainResult:
        """Fit, calibrate, gate, promote."""
        ...

    def encode(self, *, job: str, source: str, date: str, out: str, overrides: Sequence[str], require_gpu: bool) -> EncodeResult:
        """Write a latent store."""
        ...

    def score(
        self, *, job: str, date: str, source: str, model: str, force: bool, overrides: Sequence[str], require_gpu: bool
    ) -> NightResult:
        """Judge one night."""
        ...


def runs(prefect: bool | None) -> Runs:
    """The runs that `--prefect` or `--no-prefect` ask for; with neither, Prefect where PREFECT_API_URL is set.

    Raises FlowError naming the URL where Prefect is wanted and its server cannot be reached: never a silent local run.
    """
    url = os.environ.get("PREFECT_API_URL", "")
    if prefect is False or (prefect is None and not url):
        from flows.plain_runs import PlainRuns

        return PlainRuns()
    if url:
        require_server(url)
    from flows.prefect_runs import PrefectRuns  # late: Prefect takes seconds to import

    return PrefectRuns()


def wants_prefect(prefect: bool | None) -> str:
    """URL of the server that a scheduler records its runs on; empty where it is to run without one. Raises UsageError where none is named."""
    url = os.environ.get("PREFECT_API_URL", "")
    if prefect and not url:
        raise UsageError("--prefect: PREFECT_API_URL names no server; set it, or leave --prefect out")
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
