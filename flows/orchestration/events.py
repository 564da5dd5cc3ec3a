"""Events `nightglass.*` on the Prefect server, for automations.

One for each new night, each model, each store.
"""

from __future__ import annotations

from typing import Any

from prefect.events import emit_event

from flows.encoding.encode import EncodeResult
from flows.scoring.result import NightResult
from flows.training.train import TrainResult


def night_event(job: str, result: NightResult) -> None:
    """nightglass.night.<verdict>, as in nightglass.night.review; nothing where nothing is new."""
    if result.written:
        word = "no-data" if result.verdict == "NO DATA" else result.verdict.split()[0].lower()
        _emit(job, f"night.{word}", {**result.to_json(), "promise": result.promise})


def model_event(job: str, result: TrainResult) -> None:
    """nightglass.model.promoted or nightglass.model.refused."""
    _emit(
        job,
        f"model.{'promoted' if result.promoted else 'refused'}",
        {"model_id": result.model_id, "why": result.why},
    )


def store_event(job: str, result: EncodeResult) -> None:
    """nightglass.store.written; nothing where the store was already there."""
    if result.written:
        _emit(
            job,
            "store.written",
            {
                "path": str(result.path),
                "rows": result.report["rows"],
                "ratio": result.report["ratio"],
            },
        )


def _emit(job: str, name: str, payload: dict[str, Any]) -> None:
    emit_event(
        f"nightglass.{name}",
        resource={"prefect.resource.id": f"nightglass.job.{job}", "prefect.resource.name": job},
        payload=payload,
    )
