"""What is checked of a night's data: the input as a whole, its columns, and how far these moved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import cast

from aemodel.decisions.feature_shift import FeatureTally
from aemodel.explain.attribution import feature_name
from aemodel.explain.clean_range import usual_outside
from aemodel.model import Autoencoder
from aemodel.scores.repeated_rows import RepeatedRows
from flows.scoring.night_run import Judged, NightRun
from flows.scoring.shards.summary import ShardSummary
from storage.nights.night import ColumnCheck
from storage.sources import Source, list_unread
from storage.units import format_bytes

MOST_CHECKED = 12  # columns that the report lists


def column_checks(model: Autoencoder, tally: FeatureTally) -> list[ColumnCheck]:
    """Compare the columns of a table with clean rows; those that differ most come first.

    Empty for arrays without names of columns.
    """
    if not model.layout.columns or not tally.rows:
        return []
    clean = model.measured.feature_usual
    mean, _, missing = tally.usual()
    outside = tally.outside / tally.rows
    usual = usual_outside(model)
    found = [
        ColumnCheck(
            name=feature_name(model, index),
            shift=float(mean[index] - clean[0, index]) if tally.count[index] else 0.0,
            missing=float(missing[index]),
            usual_missing=float(clean[2, index]),
            outside=float(outside[index]),
            usual_outside=float(usual[index]),
        )
        for index in model.layout.features
    ]
    found.sort(key=lambda each: -each.change)
    return found[:MOST_CHECKED]


def missing_share(model: Autoencoder, tally: FeatureTally) -> float | None:
    """Return the share of values that are missing; None without rows."""
    if not tally.rows:
        return None
    return float(1 - tally.count[list(model.layout.features)].mean() / tally.rows)


def drift_figures(run: NightRun, judged: Judged, summary: ShardSummary) -> Mapping[str, object]:
    """Figures of the comparison with clean rows and, on alarm, the features that moved.

    Empty if there are too few rows to compare.
    """
    if judged.drift is None:
        return {}
    clean = run.model.measured.feature_usual
    moved = summary.features.moved(clean) if judged.drift.alarm else []
    features = [
        {
            "name": feature_name(run.model, each.index),
            "mean": each.mean,
            "deviation": each.deviation,
            "missing": each.missing,
        }
        for each in moved
    ]
    return {**asdict(judged.drift), "alarm": judged.drift.alarm, "features": features}


def repeated_rows(model: Autoencoder, found: RepeatedRows) -> dict[str, str]:
    """Say how many rows repeat another one, beside how many of a sample of clean rows do."""
    copies = model.measured.reference.copies
    clean = 1 - len(copies) / max(1, int(copies.sum()))
    about = "about " if found.halvings else ""
    words = f"{about}{100 * found.share:.3g} % (of clean rows: about {100 * clean:.3g} %)"
    return {"rows that repeat another": words}


def input_checks(run: NightRun, source: Source | None) -> dict[str, str]:
    """Describe the input: name, format, rows, and columns that were not read."""
    checks = {"input": run.without_folder(str(run.path))}
    if source is None:
        return {**checks, "rows": "none"}
    shape = " × ".join(map(str, source.schema.row_shape))
    size = format_bytes(source.n_bytes)
    checks |= {name: str(value) for name, value in source.facts.items()}
    checks["rows"] = f"{source.n_rows:,} of {shape} {source.schema.dtype}, {size}"
    return {**checks, **source.read_as, **source.not_read, **_columns_not_read(run, source)}


def _columns_not_read(run: NightRun, source: Source) -> dict[str, str]:
    """List the columns that are not read, with the reasons that training found."""
    known = cast("Mapping[str, str]", run.model.facts.get("ignored", {}))
    unread = {name: known.get(name, why) for name, why in source.unread.items()}
    return {"columns not read": list_unread(unread)} if unread else {}
