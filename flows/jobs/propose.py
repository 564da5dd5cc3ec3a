"""init: look at the clean data and propose a job file that it can honour, with the reasons as comments."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np

from aemodel.table_defaults import (
    BATCH,
    HIDDEN,
    MEMBERS,
    NOISE,
    PROTOTYPES,
    STEPS,
    table_epochs,
    table_latents,
)
from flows.results import CommandResult
from storage.errors import SourceError
from storage.sources import Source, open_source

SAMPLE_ROWS = 20_000
QUANTILES = ("0.999", "0.99", "0.95", "0.9")
FEWEST_PIXELS = 64  # flat rows of fewer bytes are a table: counts, grades, playing cards
FEW_LEVELS = 64  # bytes that use less than a quarter of their range are no grey levels
WIDTH = 512  # of a picture's hidden layers, at most
WANTED_ALARMS = 3  # calibration scores above the cut: with fewer, the cut hangs on one or two rows


@dataclass(frozen=True)
class Look:
    """What a sample of the clean rows shows."""

    rows: int
    features: int
    is_picture: bool
    low: float
    high: float
    has_gaps: bool  # NaN
    is_bytes: bool  # uint8

    @property
    def shares_a_scale(self) -> bool:
        """Whether all values are of one kind, as grey levels are."""
        return self.is_picture or (self.is_bytes and self.features >= FEWEST_PIXELS)


def propose_job(source: str, *, field: str) -> CommandResult:
    """The facts and the text of a job file for the rows at `source`."""
    with open_source(Path(source), field=field, missing="impute") as opened:
        look = look_at(opened)
        text = write_job(opened, source, field, look)
    return CommandResult(
        {"path": source, "rows": look.rows, "features": look.features, "job": text}, text
    )


def look_at(source: Source) -> Look:
    """Look at the first rows of a source. Raises SourceError where it holds none."""
    if not source.n_rows:
        raise SourceError(f"{source.path}: holds no rows; init looks at clean ones")
    rows = next(source.chunks(0, SAMPLE_ROWS, max_rows=SAMPLE_ROWS)).rows
    flat = rows.reshape(len(rows), -1).astype(np.float64)
    seen = flat[np.isfinite(flat)]
    return Look(
        rows=source.n_rows,
        features=flat.shape[1],
        is_picture=rows.ndim in (3, 4),
        low=float(seen.min(initial=0.0)) if len(seen) else 0.0,
        high=float(seen.max()) if len(seen) else 0.0,
        has_gaps=bool(np.isnan(flat).any()),
        is_bytes=rows.dtype == np.uint8,
    )


def write_job(source: Source, path: str, field: str, look: Look) -> str:
    """The job file as text."""
    facts = ", ".join(f"{name} {value}" for name, value in source.facts.items())
    lines = [
        f"# {path}: {look.rows:,} rows of {look.features:,} features, {source.schema.dtype}; {facts}",
        f'name = "{job_name(path)}"',
        "",
        *_data_section(source, path, field, look),
        "",
        *_model_section(look),
        "",
        *_train_and_score_sections(look),
    ]
    return "\n".join(lines) + "\n"


def job_name(path: str) -> str:
    """A job name made of the source's name."""
    words = re.sub(
        r"[^a-z0-9]+", "-", Path(path).name.lower().split(".")[0].replace("*", "")
    ).strip("-")
    return words or "rows"


def _data_section(source: Source, path: str, field: str, look: Look) -> list[str]:
    suffix = "".join(Path(path).suffixes[-2:]) or ".parquet"
    lines = ["[data]", _key("clean", _quoted(path), "rows believed to hold no outliers")]
    lines.append(
        _key(
            "incoming",
            _quoted(f"nights/{{date}}{suffix}"),
            "what a night reads; put your own place here",
        )
    )
    if field:
        lines.append(_key("field", _quoted(field), "the part of the file that is read"))
    if look.has_gaps:
        lines.append(
            _key(
                "missing",
                '"impute"',
                "there are NaN: the network sees the median, the error counts observed features only",
            )
        )
    if source.ignored:
        lines.append(f"# not read, since not numeric: {', '.join(source.ignored[:10])}")
    return lines


def _model_section(look: Look) -> list[str]:
    return ["[model]", *(_picture_model(look) if look.shares_a_scale else _table_model(look))]


def _picture_model(look: Look) -> list[str]:
    latent = max(1, min(64, look.features // 8))
    return [
        _key(
            "hidden",
            f"[{min(WIDTH, look.features)}]",
            "a wide layer on either side lets the latents follow bends",
        ),
        _key(
            "latent",
            str(latent),
            f"{look.features} features share one scale; an eighth of them describes most pictures",
        ),
        _key("activation", '"silu"', "smooth, and no unit of it can die"),
        _scaling(look),
        _key("output", '"sigmoid"', "scaled values lie in [0, 1]"),
        _key("loss", '"mse"', "the error that rows are ranked by"),
    ]


def _table_model(look: Look) -> list[str]:
    return [
        _key(
            "hidden",
            str(list(HIDDEN)),
            "a table's columns depend on each other in bends, not lines",
        ),
        _key(
            "latent",
            str(table_latents(look.features)),
            "no bottleneck: the prototypes keep it from copying",
        ),
        _key(
            "prototypes",
            str(PROTOTYPES),
            "a row is rebuilt as a mean of these, so what lies far out cannot be;",
        ),
        _key(
            "members",
            str(MEMBERS),
            "0 prototypes and 1 member make closer reconstructions, and smaller stores",
        ),
        _key("activation", '"silu"', "smooth, and no unit of it can die"),
        _key("scaling", '"minmax"', "columns have scales of their own; measured best for ranking"),
        _key("output", '"identity"', "a mean of rows needs no squeezing"),
        _key("loss", '"mse"', "cross-entropy needs values in [0, 1]"),
        _key("noise", str(NOISE), "denoising: of each column's range"),
    ]


def _scaling(look: Look) -> str:
    if look.is_bytes and look.high < FEW_LEVELS:
        return _key(
            "scaling",
            '"minmax"',
            f"values lie from {look.low:g} to {look.high:g}; 'range' would divide bytes by 255",
        )
    return _key(
        "scaling",
        '"range"',
        f"values lie from {look.low:g} to {look.high:g}: one scale for the whole row",
    )


def _train_and_score_sections(look: Look) -> list[str]:
    share = "0.1" if look.rows >= 30_000 else "0.2"
    calibration = int(look.rows * float(share))
    quantile = honourable_quantile(calibration)
    lines = ["[train]", *_rounds(look, float(share))]
    lines += [
        _key("calibration", share, f"about {calibration:,} rows that only serve p-values"),
        "",
        "[score]",
    ]
    if look.shares_a_scale:
        lines.append(
            _key(
                "by",
                '"relative"',
                "the error against that of clean rows with as much in them: finds most in pictures",
            )
        )
    else:
        lines.append(
            _key(
                "by", '"novelty"', "the error and the distance to clean rows: finds most in tables"
            )
        )
    if quantile:
        per = Decimal(1) - Decimal(quantile)
        lines.append(
            _key(
                "rule",
                f'"quantile {quantile}"',
                f"at most {float(per * 100):g} % of clean rows are flagged; {calibration:,} rows can promise that",
            )
        )
    else:
        lines.append(
            _key(
                "rule",
                '"top"',
                f"{calibration:,} calibration rows are too few for a promise: this ranks, and promises nothing",
            )
        )
    lines.append(_key("top_n", "100", "rows in the report in any case"))
    return lines


def _rounds(look: Look, calibration: float) -> list[str]:
    if look.shares_a_scale:
        epochs, why = (
            (100, "few rows need more rounds")
            if look.rows < 20_000
            else (24, "enough for this many rows")
        )
        return [
            _key("epochs", str(epochs), why),
            _key("batch_size", "128" if look.rows >= 5_000 else "64", "rows a step"),
        ]
    epochs = table_epochs(look.rows * (0.9 - calibration))
    return [
        _key("epochs", str(epochs), f"about {STEPS} steps"),
        _key("batch_size", str(BATCH), "rows a step"),
    ]


def honourable_quantile(calibration_rows: int) -> str:
    """The strictest usual quantile that leaves a few calibration scores above the cut.

    '' where none does.
    """
    return next(
        (q for q in QUANTILES if int((calibration_rows + 1) * (1 - Decimal(q))) >= WANTED_ALARMS),
        "",
    )


def _quoted(text: str) -> str:
    """Text as TOML writes it, which is as JSON does."""
    return json.dumps(text, ensure_ascii=False)


def _key(name: str, value: str, why: str) -> str:
    return f"{f'{name:<11} = {value}':<42} # {why}"
