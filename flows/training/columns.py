"""Columns of a table: the names of their levels, and what was not read."""

from __future__ import annotations

from collections.abc import Mapping

from aemodel.model import Autoencoder
from aemodel.rows.levels import level_names
from storage.sources import Source, find_levels


def column_facts(model: Autoencoder, source: Source) -> dict[str, object]:
    """What model.json says of columns: the levels of categories by rank, and what is ignored."""
    facts: dict[str, object] = {"ignored": dict(source.unread)} if source.unread else {}
    return {**facts, "levels": _names_of_levels(model, source)} if model.layout.kinds else facts


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
