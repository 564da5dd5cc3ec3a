"""Prefect artifacts: the Markdown of `flows.orchestration.run_pages`, and searchable tables."""

from __future__ import annotations

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from flows.encoding.encode import EncodeResult
from flows.jobs.settings import Job
from flows.orchestration.run_pages.markdown import (
    JsonObject,
    MarkdownArtifact,
    escape_name,
    format_number,
)
from flows.orchestration.run_pages.nights import (
    main_cause,
    night_markdown,
    nights_markdown,
    read_outliers,
)
from flows.orchestration.run_pages.store import shard_rows, shards_by_error, store_markdown
from flows.orchestration.run_pages.training import training_markdown
from flows.scoring.result import NightResult, NightsResult
from flows.training.result import TrainResult
from storage.units import format_bytes

MAX_ROWS = 100
MAX_SHARDS = 200
COLUMNS = ("rank", "id", "score", "p_value", "flagged")


def create_training_artifact(job: str, result: TrainResult) -> None:
    """Publish the gate's verdict, the loss curve, and the calibration."""
    _create_artifact(f"{job}-train", training_markdown(result))


def create_store_artifacts(job: str, result: EncodeResult) -> None:
    """Publish the size report, and a table of the shards, largest error first."""
    _create_artifact(f"{job}-encode", store_markdown(result))
    shards = shards_by_error(result)
    if not shards:
        return
    count = f"{len(shards):,} shard{'s' * (len(shards) > 1)}"
    largest = f"{format_number(shards[0]['largest_error'])} in shard {shards[0]['index']}"
    create_table_artifact(
        [_shard_cells(shard) for shard in shards[:MAX_SHARDS]],
        key=f"{job}-shards",
        description=f"{count}, largest error: {largest}",
    )


def _shard_cells(shard: JsonObject) -> dict[str, object]:
    return {
        "shard": shard["index"],
        "rows": shard_rows(shard),
        "in": format_bytes(shard["bytes_in"]),
        "out": format_bytes(shard["bytes_out"]),
        "largest error": format_number(shard["largest_error"]),
    }


def create_night_artifacts(job: Job, result: NightResult) -> None:
    """Publish the verdict with histogram, drift and report link, and a table of the top rows."""
    _create_artifact(f"{job.name}-score", night_markdown(job, result))
    rows = read_outliers(result, MAX_ROWS)
    if rows:
        create_table_artifact(
            [outlier_cells(row) for row in rows],
            key=f"{job.name}-outliers",
            description=f"{result.headline()}; top {len(rows)}",
        )


def outlier_cells(row: JsonObject) -> dict[str, object]:
    """Return the cells of one row of the outliers table, as Markdown."""
    cells = {name: _cell(row[name]) for name in COLUMNS}
    return {**cells, "cause": escape_name(main_cause(row))}


def create_nights_artifact(job: Job, nights: NightsResult) -> None:
    """Publish the list of the nights of one run."""
    _create_artifact(f"{job.name}-nights", nights_markdown(job, nights))


def _create_artifact(key: str, artifact: MarkdownArtifact) -> None:
    create_markdown_artifact(artifact.markdown, key=key, description=artifact.description)


def _cell(value: object) -> object:
    """Round floats, escape text, and replace None, which Prefect's tables do not show."""
    if isinstance(value, float):
        return format_number(value)
    if isinstance(value, str):
        return escape_name(value)
    return "" if value is None else value
