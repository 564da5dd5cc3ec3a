"""The entity that a row belongs to, in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from aemodel.model import Autoencoder

Texts = Mapping[str, Mapping[float, str]]  # levels by column and key

LONGEST = 60  # characters of a level


class EntityNames:
    """Names the entities of a model's rows."""

    def __init__(self, model: Autoencoder, texts: Texts) -> None:
        """Take names from the bundle; texts: those of others, by column and key."""
        self._entities = model.scaler.entities
        if self._entities is not None:
            self.column = model.layout.columns[self._entities.column]
            self._names = {**_named(model), **texts.get(self.column, {})}

    def place(self, row: NDArray[np.generic]) -> int | None:
        """Return the place of the entity of a row (d,) among all; None without entities."""
        return None if self._entities is None else int(self._entities.places(row[None])[0])

    def prefix(self, row: NDArray[np.float64]) -> str:
        """Return how the cause of a row (d,) begins: "machine 'M07': "; '' without entities."""
        if self._entities is None:
            return ""
        key = float(row[self._entities.column])
        if math.isnan(key):
            return f"{self.column} missing: "
        new = " (not in clean rows)" if self.place(row) == len(self._entities.keys) else ""
        return f"{self.column} {short_level(self._names.get(key, 'not known'))}{new}: "

    def usual(self, place: int | None) -> str:
        """Return how the usual range of a known entity is called; '' for all rows."""
        known = self._entities is not None and place != len(self._entities.keys)
        return f"usual for this {self.column}" if known else ""


def short_level(name: str) -> str:
    """Return the name of a level in quotes, shortened if it is long."""
    return repr(name if len(name) <= LONGEST else f"{name[:LONGEST]}…")


def unnamed_entities(model: Autoencoder, rows: NDArray[np.generic]) -> dict[str, list[float]]:
    """Return the keys of entities in rows (n, d) that the bundle has no name for, by column."""
    entities = model.scaler.entities
    if entities is None:
        return {}
    keys = np.unique(rows[:, entities.column].astype(np.float64))
    new = ~np.isin(keys, list(_named(model))) & ~np.isnan(keys)
    return {model.layout.columns[entities.column]: keys[new].tolist()}


def _named(model: Autoencoder) -> dict[float, str]:
    """Return the names of clean entities by key."""
    assert model.scaler.entities is not None
    levels = cast("Mapping[str, Sequence[str]]", model.facts.get("levels", {}))
    names = levels.get(model.layout.columns[model.scaler.entities.column], ())
    return dict(zip(model.scaler.entities.keys.tolist(), names, strict=False))
