"""Columns of a table: the names of their levels, and what was not read."""

from __future__ import annotations

from collections.abc import Mapping

from aemodel.model import Autoencoder
from storage.sources import Source, find_levels

LONGEST_LEVEL = 200  # characters of a level that a bundle keeps


def column_facts(model: Autoencoder, source: Source) -> dict[str, object]:
    """What model.json says of columns: the levels of categories by rank, and what is ignored."""
    facts: dict[str, object] = {"ignored": dict(source.unread)} if source.unread else {}
    return {**facts, "levels": level_names(model, source)} if model.layout.kinds else facts


def level_names(model: Autoencoder, source: Source) -> Mapping[str, list[str]]:
    """The levels that the network tells apart, by column and rank, and all entities by key.

    Reads the clean rows again.
    """
    levels, entities = model.scaler.levels, model.scaler.entities
    if levels is None:
        return {}
    columns = model.layout.columns
    known = {columns[i]: levels.known(rank) for rank, i in enumerate(levels.columns)}
    if entities is not None:
        known[columns[entities.column]] = entities.keys
    found = find_levels(source, {name: keys.tolist() for name, keys in known.items()})
    return {
        name: [_shortened(found[name].get(key, "")) for key in keys.tolist()]
        for name, keys in known.items()
    }


def _shortened(level: str) -> str:
    text = level.encode(errors="replace").decode()
    return text if len(text) <= LONGEST_LEVEL else f"{text[:LONGEST_LEVEL]}…"
