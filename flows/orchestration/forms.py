"""Parameters of the deployments: the forms that an operator fills in in the Prefect UI.

The server validates every field when a form is submitted.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from flows.errors import UsageError

VARIABLE = "variable:"
FROM_JOB_FILE: Final = "from the job file"
# the UI shows a choice of 'None' for whatever may be null; an empty field is left out
OptionalDate = Annotated[datetime.date | None, WithJsonSchema({"type": "string", "format": "date"})]
Setting = Annotated[str, Field(pattern=r"^[a-z_]+(\.[a-z0-9_]+)*=.+$")]


def _without_default(schema: dict[str, Any]) -> None:
    """Leave out a default of null, which the UI would fill in."""
    schema.pop("default", None)


class JobForm(BaseModel):
    """Parameters of every run."""

    model_config = ConfigDict(extra="forbid")

    job: str = Field(
        title="Job file",
        description=(
            "Path of the job file on the worker, e.g. /srv/nightglass/digits.toml; "
            "or variable:NAME, a Prefect variable that holds the path."
        ),
        pattern=r"^(variable:[a-z0-9_]+|.+\.toml)$",
    )
    settings: list[Setting] = Field(
        default=[],
        title="Overrides",
        description="Job-file keys to override in this run, e.g. score.alert_budget=50.",
    )
    require_gpu: bool = Field(
        default=False,
        title="GPU required",
        description="Fail instead of falling back to the CPU.",
    )

    def job_path(self) -> Path:
        """Return the path of the job file.

        Raises UsageError if the Prefect variable does not exist or holds no text.
        """
        if not self.job.startswith(VARIABLE):
            return Path(self.job)
        from prefect.variables import Variable  # late: slow import

        name = self.job.removeprefix(VARIABLE)
        found = Variable.get(name)
        if not isinstance(found, str):
            raise UsageError(
                f"the Prefect variable '{name}' must hold the path of a job file. "
                f"Got {found!r} instead."
            )
        return Path(found)

    def overrides(self) -> tuple[str, ...]:
        """Return `section.key=value` for the form's own fields, then for `settings`."""
        return (*self._fields(), *self.settings)

    def _fields(self) -> Iterator[str]:
        yield from ()


class TrainForm(JobForm):
    """Train a model, and promote it if it passes the gate."""

    epochs: int = Field(
        default=0,
        ge=0,
        le=100_000,
        title="Epochs",
        description="Passes over the clean rows; 0 uses the job file's value.",
    )
    latent: int = Field(
        default=0,
        ge=0,
        le=65_536,
        title="Latent dimension",
        description="Width of the bottleneck; 0 uses the job file's value.",
    )
    device: Literal["from the job file", "auto", "cpu", "cuda", "mps"] = Field(
        default=FROM_JOB_FILE,
        title="Device",
        description="auto uses a GPU if available, otherwise the CPU.",
    )

    def _fields(self) -> Iterator[str]:
        if self.epochs:
            yield f"train.epochs={self.epochs}"
        if self.latent:
            yield f"model.latent={self.latent}"
        if self.device != FROM_JOB_FILE:
            yield f"train.device={self.device}"


class EncodeForm(JobForm):
    """Encode rows into a latent store."""

    date: OptionalDate = Field(
        default=None,
        json_schema_extra=_without_default,
        title="Data date",
        description="Encode the rows of this date; leave empty for the clean rows.",
    )
    source: str = Field(
        default="",
        title="Source",
        description="Path of the rows on the worker; leave empty to use the data date.",
    )
    format: Literal["from the job file", "hdf5", "parquet"] = Field(
        default=FROM_JOB_FILE, title="Store format"
    )

    def _fields(self) -> Iterator[str]:
        if self.format != FROM_JOB_FILE:
            yield f"encode.format={self.format}"


class NightForm(JobForm):
    """Score the night that is due, and backfill missed nights."""

    date: OptionalDate = Field(
        default=None,
        json_schema_extra=_without_default,
        title="Data date",
        description=(
            "Date the data covers; leave empty for the day before the scheduled start, "
            "in the job's time zone."
        ),
    )
    top_n: int = Field(
        default=0,
        ge=0,
        le=100_000,
        title="Top rows in the report",
        description="Shown whether flagged or not; 0 uses the job file's value.",
    )
    alert: bool = Field(
        default=True,
        title="Send an alert",
        description="Send one message about new results, as configured in [alert].",
    )

    def _fields(self) -> Iterator[str]:
        if self.top_n:
            yield f"score.top_n={self.top_n}"


class BackfillForm(JobForm):
    """Score a range of data dates, without an alert by default."""

    first: datetime.date = Field(title="First data date")
    last: datetime.date = Field(title="Last data date")
    model: Literal["as-of", "current champion"] = Field(
        default="as-of",
        title="Model",
        description="as-of uses the model that was champion on each data date.",
    )
    force: bool = Field(
        default=False,
        title="Force a new revision",
        description="Write a new revision even if nothing has changed.",
    )
    alert: bool = Field(default=False, title="Send an alert")
