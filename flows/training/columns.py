"""Columns of a table: the names of their levels, what was not read, what is imprecise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aemodel.model import Autoencoder
from aemodel.rows.levels import level_names
from storage.sources import Source, find_levels, list_unread


def column_facts(model: Autoencoder, source: Source) -> dict[str, object]:
    """What model.json says of columns: the levels of categories by rank, and what is ignored."""
    facts: dict[str, object] = {"ignored": dict(source.unread)} if source.unread else {}
    return {**facts, "levels": _names_of_levels(model, source)} if model.layout.kinds else facts


def imprecise_columns(facts: Mapping[str, Any]) -> dict[str, str]:
    """Name the columns in model.json that lose differences, and why; empty if none do."""
    found = facts.get("imprecise")
    return {"columns that lose small differences": list_unread(found)} if found else {}


def _names_of_levels(model: Autoencoder, source: Source) -> Mapping[str, list[str]]:
    """The levels that the network tells apart, by column and rank, and all entities by key.

    Reads the clean rows again.
    """
    levels, entities = model.scaler.levels, model.scaler.entities
    if levels is None:
        return {}
    columns = model.layout.columns
    known = levels.known_by_column(columns)
    if entities is not None:
        known[columns[entities.column]] = entities.keys
    found = find_levels(source, {name: keys.tolist() for name, keys in known.items()})
    return {name: level_names(keys, found[name]) for name, keys in known.items()}
