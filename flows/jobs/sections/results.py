"""[encode] and [score]: what is made of rows."""

from __future__ import annotations

from dataclasses import dataclass, field

from aemodel.decisions.rules import Rule, parse_rule
from aemodel.settings import SCORES
from flows.errors import UsageError
from flows.jobs.sections.limits import (
    ByteSize,
    require_choice,
    require_range,
    require_size,
)

FORMATS = ("hdf5", "parquet")
RUNNERS = ("threads", "dask")
PRECISIONS = ("float32", "float16", "int8", "auto")
SPEEDS = ("small", "fast")
MEASURES = ("all", "sample")
MEMORY = ByteSize(512_000_000)
BOUNDS = ("max_error", "max_error_relative", "max_rmse")


@dataclass(frozen=True, kw_only=True)
class EncodeSettings:
    """[encode]: how a latent store is written. A bound of 0 is no bound.

    format: `hdf5` or `parquet`.
    precision: how latents are stored: `float32`, `float16`, `int8`, or `auto` (the fewest levels
    that raise the held-out RMSE by at most 0.5 %).
    max_error [units of the data]: largest error of any decoded value.
    max_error_relative [share]: the same, as a share of each column's range in the clean data.
    max_rmse [units of the data]: largest root mean square error of any shard.
    keep_exact [share]: rows with errors in this top share of calibration errors are stored exactly.
    keep_latents: write latents and decoder even where decoding within a bound does not need them,
    for `probe` and other readers.
    speed: `small`, or `fast`: within a bound, values are packed by pcodec or zstd column by column,
    in a fraction of the time, but in more bytes.
    measure: rows that are decoded and compared where no bound is set: `all`, or a `sample`, one row
    in 16. Within a bound, all are.
    """

    format: str = "hdf5"
    precision: str = "int8"
    max_error: float = 0.0
    max_error_relative: float = 0.0
    max_rmse: float = 0.0
    keep_exact: float = 0.001
    keep_latents: bool = False
    speed: str = "small"
    measure: str = "all"

    def __post_init__(self) -> None:
        require_choice("encode.format", self.format, FORMATS)
        require_choice("encode.speed", self.speed, SPEEDS)
        require_choice("encode.measure", self.measure, MEASURES)
        require_choice("encode.precision", self.precision, PRECISIONS)
        require_range("encode.keep_exact", self.keep_exact, 0.0, 0.1)
        require_range("encode.max_error_relative", self.max_error_relative, 0.0, 1.0)
        for name in ("max_error", "max_rmse"):
            require_range(f"encode.{name}", getattr(self, name), 0.0, 1e300)

    @property
    def bounds(self) -> dict[str, float]:
        """The requested bounds, by key."""
        values = {name: float(getattr(self, name)) for name in BOUNDS}
        return {name: value for name, value in values.items() if value > 0}


@dataclass(frozen=True, kw_only=True)
class ScoreSettings:
    """[score]: how a night is judged.

    by: the score that ranks rows: `error`, `novelty` (distance to clean rows and error), or
    `relative` (error over expected error).
    also: other scores to compute and write; `novelty` also lists novel rows, at several times the
    cost.
    top_n [rows]: rows that the report always lists, flagged or not.
    rule: `quantile q`, `fdr a`, `absolute s`, `mad k`, or `top`; with [series] also `events 1/7d`.
    alert_budget [rows]: a night with more flagged rows is a FLOOD; outliers.csv lists up to that
    many, or 1,000 if larger.
    memory: buffers of one worker.
    runner: `threads`, or `dask`, which requires Prefect.
    dask_address: Dask scheduler, such as `tcp://host:8786`; empty for a local cluster.
    """

    by: str = "error"
    also: tuple[str, ...] = ()
    top_n: int = 100
    rule: Rule = field(default_factory=lambda: parse_rule("quantile 0.999"))
    alert_budget: int = 1000
    memory: ByteSize = MEMORY
    runner: str = "threads"
    dask_address: str = ""

    def __post_init__(self) -> None:
        require_choice("score.by", self.by, SCORES)
        for index, name in enumerate(self.also):
            require_choice(f"score.also[{index}]", name, SCORES)
        require_choice("score.runner", self.runner, RUNNERS)
        if self.dask_address and self.runner != "dask":
            raise UsageError('score.dask_address requires score.runner = "dask"')
        require_range("score.top_n", self.top_n, 1, 100_000)
        require_range("score.alert_budget", self.alert_budget, 0, 1_000_000)
        require_size("score.memory", self.memory)

    @property
    def computed(self) -> tuple[str, ...]:
        """Those of SCORES that are computed for every row, in their order.

        The error is what the others are made of.
        """
        return tuple(name for name in SCORES if name in ("error", self.by, *self.also))

    def digested(self) -> dict[str, object]:
        """The settings that a report depends on, as written in the job file."""
        return {
            "by": self.by,
            "top_n": self.top_n,
            "rule": self.rule.text,
            "alert_budget": self.alert_budget,
            **({"also": list(self.also)} if self.also else {}),
        }
