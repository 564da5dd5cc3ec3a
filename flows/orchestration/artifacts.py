"""Prefect artifacts of the pages in `flows.orchestration.run_pages`, and tables that can be searched. The description is the headline."""

from __future__ import annotations

from typing import Any

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from flows.encoding.encode import EncodeResult
from flows.jobs.settings import Job
from flows.orchestration.markdown import short
from flows.orchestration.run_pages import (
    Page,
    main_cause,
    night_page,
    nights_page,
    outliers_of,
    shards_of,
    store_page,
    training_page,
)
from flows.scoring.result import NightResult, NightsResult
from flows.training.train import TrainResult
from storage.units import format_bytes

MOST_ROWS = 100
MOST_SHARDS = 200
COLUMNS = ("rank", "id", "score", "p_value", "flagged")


def publish_training(job: str, result: TrainResult) -> None:
    """The gate's verdict, loss, calibration."""
    publish(f"{job}-train", training_page(result))


def publish_store(job: str, result: EncodeResult) -> None:
    """Size report, and the shards with the largest errors."""
    publish(f"{job}-encode", store_page(result))
    shards = shards_of(result)
    if shards:
        worst = f"{short(shards[0]['largest_error'])} in shard {shards[0]['index']}"
        create_table_artifact(
            [shard_row(each) for each in shards[:MOST_SHARDS]],
            key=f"{job}-shards",
            description=f"{len(shards):,} shard{'s' * (len(shards) > 1)}, the largest error: {worst}",
        )


def shard_row(shard: dict[str, Any]) -> dict[str, Any]:
    """A shard in the table."""
    return {
        "shard": shard["index"],
        "rows": f"{shard['start']:,} to {shard['stop']:,}",
        "in": format_bytes(shard["bytes_in"]),
        "out": format_bytes(shard["bytes_out"]),
        "largest error": short(shard["largest_error"]),
    }


def publish_night(job: Job, result: NightResult) -> None:
    """Verdict, histogram, drift, where the report is; and the highest rows as a table."""
    publish(f"{job.name}-score", night_page(job, result))
    rows = outliers_of(result, MOST_ROWS)
    if rows:
        shown = [
            {**{name: readable(row[name]) for name in COLUMNS}, "cause": main_cause(row)}
            for row in rows
        ]
        create_table_artifact(
            shown,
            key=f"{job.name}-outliers",
            description=f"{result.headline()}; the highest {len(shown)}",
        )


def publish_nights(job: Job, nights: NightsResult) -> None:
    """A line for each night that a run looked at."""
    publish(f"{job.name}-nights", nights_page(job, nights))


def publish(key: str, page: Page) -> None:
    """A page as a markdown artifact."""
    create_markdown_artifact(page.text, key=key, description=page.headline)


def readable(value: Any) -> Any:
    """A table cell: rounded numbers, nothing that JSON lacks."""
    return short(value) if isinstance(value, float) else "" if value is None else value
