"""Parameters of the deployed flows: what an operator fills in, in the Prefect UI.

The server checks every bound when the form is sent.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from flows.errors import UsageError

VARIABLE = "variable:"
Setting = Annotated[str, Field(pattern=r"^[a-z_]+(\.[a-z0-9_]+)*=.+$")]


class JobForm(BaseModel):
    """What every run needs."""

    model_config = ConfigDict(extra="forbid")

    job: str = Field(
        title="Job file",
        description="Path of the job file where the worker runs, as in /srv/nightglass/digits.toml; or variable:NAME, a Prefect variable that holds the path.",
        pattern=r"^(variable:[a-z0-9_]+|.+\.toml)$",
    )
    settings: list[Setting] = Field(
        default=[],
        title="Other settings",
        description="Keys of the job file to be put over for this run, one a line, as in score.alert_budget=50.",
    )
    require_gpu: bool = Field(
        default=False, title="GPU required", description="Refuse to run on a CPU."
    )

    def job_path(self) -> Path:
        """The job file's path.

        Raises UsageError where a variable is named that does not exist or holds no path.
        """
        if not self.job.startswith(VARIABLE):
            return Path(self.job)
        from prefect.variables import Variable  # late: Prefect takes seconds to import

        name = self.job.removeprefix(VARIABLE)
        found = Variable.get(name)
        if not isinstance(found, str):
            raise UsageError(
                f"the Prefect variable '{name}' must hold the path of a job file. Got {found!r} instead."
            )
        return Path(found)

    def overrides(self) -> tuple[str, ...]:
        """The fields that stand over keys of the job file, then the other settings."""
        return (*self._fields(), *self.settings)

    def _fields(self) -> Iterator[str]:
        yield from ()


class TrainForm(JobForm):
    """Train a model, let the gate judge it, and put it in force."""

    epochs: int = Field(
        default=0,
        ge=0,
        le=100_000,
        title="Epochs",
        description="Passes over the clean rows; 0 = as the job file says.",
    )
    latent: int = Field(
        default=0,
        ge=0,
        le=65_536,
        title="Latent width",
        description="Numbers that a row is squeezed into; 0 = as the job file says.",
    )
    device: Literal["as the job file says", "auto", "cpu", "cuda", "mps"] = Field(
        default="as the job file says",
        title="Device",
        description="auto takes a GPU where there is one, and the CPU where there is none.",
    )

    def _fields(self) -> Iterator[str]:
        if self.epochs:
            yield f"train.epochs={self.epochs}"
        if self.latent:
            yield f"model.latent={self.latent}"
        if self.device != "as the job file says":
            yield f"train.device={self.device}"


class EncodeForm(JobForm):
    """Write a latent store of some rows."""

    date: datetime.date | None = Field(
        default=None,
        title="Data date",
        description="Encode the rows of this night; empty = the clean rows.",
    )
    source: str = Field(
        default="",
        title="Source",
        description="Path of the rows where the worker runs; empty = what the data date or the job file says.",
    )
    format: Literal["as the job file says", "hdf5", "parquet"] = Field(
        default="as the job file says", title="Format of the store"
    )

    def _fields(self) -> Iterator[str]:
        if self.format != "as the job file says":
            yield f"encode.format={self.format}"


class NightForm(JobForm):
    """Score the night that is due, and make up for earlier ones."""

    date: datetime.date | None = Field(
        default=None,
        title="Data date",
        description="The day that the data speaks of; empty = the day before the scheduled start, in the job's time zone.",
    )
    top_n: int = Field(
        default=0,
        ge=0,
        le=100_000,
        title="Rows in the report",
        description="Shown in any case, flagged or not; 0 = as the job file says.",
    )
    alert: bool = Field(
        default=True,
        title="Send a message",
        description="One message about what is new, as [alert] in the job file says.",
    )

    def _fields(self) -> Iterator[str]:
        if self.top_n:
            yield f"score.top_n={self.top_n}"


class BackfillForm(JobForm):
    """Score a range of data dates. No message is sent unless asked for."""

    first: datetime.date = Field(title="First data date")
    last: datetime.date = Field(title="Last data date")
    model: Literal["as-of", "in force now"] = Field(
        default="as-of",
        title="Model",
        description="as-of: the model that was in force on each data date.",
    )
    force: bool = Field(
        default=False,
        title="Anew",
        description="Write a new revision even where nothing has changed.",
    )
    alert: bool = Field(default=False, title="Send a message")
