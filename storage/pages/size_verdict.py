"""Whether a latent store is worth it, in words, from the figures of its size report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from storage.pages import count, number

SIMPLE = "grid"  # the codec of the curve that rounds values, without a network


def size_verdict(report: Mapping[str, Any]) -> tuple[str, str]:
    """Return a heading and a sentence from the content of size_report.json.

    A store is worth it if it is smaller than lossless compression and than rounding to a grid, as
    far as rounding was measured at no larger error.
    """
    ratio = report["ratio"]
    lossless, rows = ratio["lossless"], report["break_even_rows"]
    grid = _simple_ratio(report["error_against_ratio"], report["loss"]["rmse"])
    if rows is None:
        return "Not worth it", "Lossless compression is smaller, for any number of rows."
    if rows > report["rows"]:
        return (
            "Not worth it yet",
            f"Lossless compression is smaller below {count(rows)} rows; this store has "
            f"{count(report['rows'])}.",
        )
    kept = f"It is {number(lossless)} times smaller than lossless compression"
    if grid is None:
        return "Worth it", f"{kept}."
    if grid > ratio["source"]:
        return (
            "Rounding is smaller",
            f"{kept}, but rounding to a grid, without a network, would be "
            f"{number(grid / ratio['source'])} times smaller still at no larger error.",
        )
    return (
        "Worth it",
        f"{kept}, and {number(ratio['source'] / grid)} times smaller than rounding to a grid at no "
        "larger error.",
    )


def _simple_ratio(curve: Sequence[Mapping[str, Any]], rmse: float) -> float | None:
    """Return the best ratio of rounding at no larger error; None if none was measured."""
    found = [each["ratio"] for each in curve if each["codec"] == SIMPLE and each["rmse"] <= rmse]
    return max(found, default=None)
