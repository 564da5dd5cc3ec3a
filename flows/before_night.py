"""What is looked at before a night is scored: is the input complete and of the right form, which model, is it young enough."""

from __future__ import annotations

import json
import time
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.errors import FlowError
from flows.job import Job
from flows.places import open_rows
from storage.errors import NoDataError
from storage.models import read_champion
from storage.sources import Schema, Source, check_schema, find_files

if TYPE_CHECKING:
    from aemodel.model import Layout


def require_ready(job: Job, data_date: date) -> None:
    """Raise NoDataError where the rows of a data date are not there, or not known to be complete: no marker yet, or changed too recently."""
    marker = job.marker(data_date)
    if marker is not None and not marker.exists():
        raise NoDataError(f"{marker}: not there yet; the night is looked at again until it is")
    files = find_files(job.incoming(data_date))
    if marker is None and job.settle:
        newest = max(files, key=lambda file: file.stat().st_mtime)
        age = timedelta(seconds=round(time.time() - newest.stat().st_mtime))
        if age < job.settle:
            raise NoDataError(
                f"{newest}: changed {age.total_seconds():.0f} s ago and counts as complete after {job.data.settle}; the night is looked at again"
            )


def open_night(job: Job, path: Path, layout: Layout, *, data_date: date | None) -> Source:
    """The rows of a night, complete where they are those of `data_date`, and of the form that the model was trained on.

    Raises NoDataError, SourceError and SchemaError.
    """
    if data_date:
        require_ready(job, data_date)
    opened = open_rows(job, path, layout.columns)
    check_schema(opened, Schema(layout.row_shape, layout.dtype, layout.columns))
    return opened


def chosen_model(job: Job, models: Path, model: str, day: date) -> str:
    """The id that --model stands for: '' for the champion, 'as-of' for the one in force on the data date."""
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
        raise FlowError(f"{words}, and more than twice that is refused; run 'nightglass train', or raise the limit")
    return words


def device_remark(model: Path, device: str) -> str:
    """What is to be said where the model in the folder `model` was trained on a GPU, and the CPU scores in its place."""
    trained = facts_of(model).get("device", "cpu")
    if device != "cpu" or trained == "cpu":
        return ""
    return f"no GPU here: the CPU scores, model {model.name} was trained on {trained}; scores agree within 1e-5 of themselves"


def model_age(model: Path, data_date: date) -> int | None:
    """Days from the training of the model in the folder `model` to a data date; None where its run.json is gone."""
    ended = facts_of(model).get("ended")
    return (data_date - datetime.fromisoformat(ended).date()).days if ended else None


def facts_of(model: Path) -> dict[str, Any]:
    """run.json of the training of the model in the folder `model`; empty where it is gone."""
    path = model / "run.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found
