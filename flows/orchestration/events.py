"""Events `nightglass.*` on the Prefect server, for automations: new nights, models and stores."""

from __future__ import annotations

from collections.abc import Mapping

from prefect.events import emit_event

from flows.encoding.encode import EncodeResult
from flows.scoring.result import NightResult
from flows.training.result import TrainResult


def emit_night(job: str, result: NightResult) -> None:
    """Emit nightglass.night.<verdict>, e.g. nightglass.night.review, for a new revision."""
    if result.written:
        verdict = "no-data" if result.verdict == "NO DATA" else result.verdict.split()[0].lower()
        _emit(job, f"night.{verdict}", {**result.to_json(), "promise": result.promise})


def emit_model(job: str, result: TrainResult) -> None:
    """Emit nightglass.model.promoted or nightglass.model.refused."""
    verdict = "promoted" if result.promoted else "refused"
    _emit(job, f"model.{verdict}", {"model_id": result.model_id, "why": result.why})


def emit_store(job: str, result: EncodeResult) -> None:
    """Emit nightglass.store.written for a new store."""
    if result.written:
        report = result.report
        facts = {"path": str(result.path), "rows": report["rows"], "ratio": report["ratio"]}
        _emit(job, "store.written", facts)


def _emit(job: str, name: str, payload: Mapping[str, object]) -> None:
    emit_event(
        f"nightglass.{name}",
        resource={"prefect.resource.id": f"nightglass.job.{job}", "prefect.resource.name": job},
        payload=dict(payload),
    )
