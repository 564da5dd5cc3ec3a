"""Checks of a model before a night is scored: which one, its age, and its training device."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from flows.errors import FlowError
from flows.jobs.settings import Job
from storage.models import read_champion


def chosen_model(job: Job, models: Path, model: str, day: date) -> str:
    """The model id that --model stands for; '' means the current champion.

    'as-of' stands for the champion on the data date `day`.
    """
    if model != "as-of":
        return model
    champion = read_champion(models)
    return champion.as_of(day, job.zone) if champion else ""


@dataclass(frozen=True)
class TrainingRecord:
    """When and on which device a model was trained, from the run.json in its folder."""

    ended: datetime | None = None
    device: str = "cpu"

    @classmethod
    def read(cls, model: Path) -> TrainingRecord:
        """The record of the model in the folder `model`; the defaults if run.json is missing."""
        path = model / "run.json"
        if not path.exists():
            return cls()
        facts = json.loads(path.read_text(encoding="utf-8"))
        ended = facts.get("ended")
        return cls(
            ended=datetime.fromisoformat(ended) if ended else None,
            device=facts.get("device", "cpu"),
        )


def age_remark(model: Path, data_date: date, *, limit: int) -> str:
    """A warning if the model in the folder `model` is older than `limit` days, else ''.

    limit: 0 = no limit. Raises FlowError if the model is older than twice the limit.
    """
    days = model_age(model, data_date)
    if not limit or days is None or days <= limit:
        return ""
    remark = (
        f"model {model.name} was trained {days} days before {data_date}, "
        f"schedule.max_model_age_days is {limit}"
    )
    if days > 2 * limit:
        raise FlowError(
            f"{remark}, and models older than twice that are refused; "
            "run 'nightglass train', or raise the limit"
        )
    return remark


def device_remark(model: Path, device: str) -> str:
    """A warning if the CPU scores for a model that was trained on a GPU, else ''."""
    trained = TrainingRecord.read(model).device
    if device != "cpu" or trained == "cpu":
        return ""
    return (
        f"no GPU here: the CPU scores, model {model.name} was trained on {trained}; "
        "scores agree within a relative 1e-5"
    )


def model_age(model: Path, data_date: date) -> int | None:
    """Days from the training of the model in the folder `model` to a data date; None if unknown."""
    ended = TrainingRecord.read(model).ended
    return (data_date - ended.date()).days if ended else None
