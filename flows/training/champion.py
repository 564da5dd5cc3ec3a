"""What is looked at before a night is scored.

Is the input complete and of the right form, which model, is it young enough.
"""

from __future__ import annotations

import json
from datetime import date, datetime
from pathlib import Path
from typing import Any

from flows.errors import FlowError
from flows.jobs.settings import Job
from storage.models import read_champion


def chosen_model(job: Job, models: Path, model: str, day: date) -> str:
    """The id that --model stands for.

    '' for the champion, 'as-of' for the one in force on the data date.
    """
    champion = read_champion(models) if model == "as-of" else None
    return champion.as_of(day, job.zone) if champion else "" if model == "as-of" else model


def age_remark(model: Path, data_date: date, *, limit: int) -> str:
    """What is to be said of the age of the model in the folder `model`: nothing, or that it is older than `limit` days (0 = no limit).

    Raises FlowError where it is older than twice that.
    """
    days = model_age(model, data_date)
    if not limit or days is None or days <= limit:
        return ""
    words = f"model {model.name} was trained {days} days before {data_date}, schedule.max_model_age_days is {limit}"
    if days > 2 * limit:
        raise FlowError(
            f"{words}, and more than twice that is refused; run 'nightglass train', or raise the limit"
        )
    return words


def device_remark(model: Path, device: str) -> str:
    """What is to be said where the model in the folder `model` was trained on a GPU, and the CPU scores in its place."""
    trained = facts_of(model).get("device", "cpu")
    if device != "cpu" or trained == "cpu":
        return ""
    return f"no GPU here: the CPU scores, model {model.name} was trained on {trained}; scores agree within 1e-5 of themselves"


def model_age(model: Path, data_date: date) -> int | None:
    """Days from the training of the model in the folder `model` to a data date;

    None where its run.json is gone.
    """
    ended = facts_of(model).get("ended")
    return (data_date - datetime.fromisoformat(ended).date()).days if ended else None


def facts_of(model: Path) -> dict[str, Any]:
    """run.json of the training of the model in the folder `model`; empty where it is gone."""
    path = model / "run.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found
