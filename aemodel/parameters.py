"""Parameters of the estimator: as settings, with the defaults that depend on the rows, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from typing import Any, cast

import numpy as np
from sklearn.utils import check_random_state

from aemodel.decisions.rules import Rule, parse_rule
from aemodel.errors import SettingsError
from aemodel.frames.columns import TIME
from aemodel.frames.survey import WantedColumns
from aemodel.model import Autoencoder
from aemodel.rows.layout import CATEGORY, ENTITY, Layout
from aemodel.settings import SCORES, ModelSettings, TrainSettings
from aemodel.table_defaults import MIXED_NOISE, NOISE, table_epochs, table_latents

RULES_BY_ROW = ("quantile", "absolute")

Parameters = Mapping[str, Any]


def settings_for(
    parameters: Parameters, n_rows: int, layout: Layout
) -> tuple[ModelSettings, TrainSettings]:
    """Return [model] and [train] for this many clean rows. Raises SettingsError."""
    return _model_settings(parameters, layout), _train_settings(parameters, n_rows)


def _model_settings(parameters: Parameters, layout: Layout) -> ModelSettings:
    chosen = _fields_of(ModelSettings, parameters)
    defaults = {
        "latent": table_latents(len(layout.features)),
        "scaling": "standard" if layout.kinds else "minmax",
        "noise": MIXED_NOISE if layout.kinds else NOISE,
    }
    chosen |= {name: value for name, value in defaults.items() if chosen[name] is None}
    return ModelSettings(**{**chosen, "hidden": tuple(chosen["hidden"])})


def wanted_columns(parameters: Parameters) -> WantedColumns:
    """Return how columns of frames are read. Raises SettingsError."""
    entity, kinds = parameters["entity"], {"categories": (CATEGORY,), "times": TIME, "ignore": ()}
    named = [entity] if entity else []
    found: dict[str, tuple[str, ...]] = {entity: (ENTITY,)} if entity else {}
    for key, kind in kinds.items():
        if isinstance(parameters[key], str):
            raise SettingsError(
                f"{key} must be a tuple of columns, such as ({parameters[key]!r},). "
                f"Got {parameters[key]!r} instead."
            )
        named += parameters[key]
        found |= dict.fromkeys(parameters[key], kind)
    if len(named) > len(found):
        twice = sorted({name for name in named if named.count(name) > 1})
        raise SettingsError(
            "entity, categories, times, and ignore must name each column once. "
            f"Got {', '.join(map(repr, twice))} more than once instead."
        )
    _require_levels(parameters["max_levels"])
    return WantedColumns(found, parameters["max_levels"])


def _require_levels(most: int) -> None:
    if most < 1:
        raise SettingsError(f"max_levels must be at least 1. Got {most} instead.")


def _train_settings(parameters: Parameters, n_rows: int) -> TrainSettings:
    by = parameters["by"]
    if by not in SCORES:
        raise SettingsError(f"by must be one of {', '.join(SCORES)}. Got '{by}' instead.")
    chosen = {**_fields_of(TrainSettings, parameters), "seed": _seed(parameters["random_state"])}
    if chosen["epochs"] is None:
        fit = 1 - parameters["calibration"] - parameters["validation"]
        chosen["epochs"] = table_epochs(n_rows * fit)
    return TrainSettings(**chosen)


def _fields_of(settings: type, parameters: Parameters) -> dict[str, Any]:
    """Return the parameters that are fields of a settings class."""
    names = [field.name for field in fields(settings)]
    return {name: parameters[name] for name in names if name in parameters}


def _seed(random_state: int | np.random.RandomState | None) -> int:
    if isinstance(random_state, int | np.integer):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31))


def known_parameters(model: Autoencoder, names: Iterable[str]) -> dict[str, Any]:
    """Return the estimator's parameters that a bundle knows."""
    known = {
        **asdict(model.settings),
        **asdict(model.train_settings),
        **_column_parameters(model),
        "by": "error",
        **cast("Mapping[str, Any]", model.facts.get("score", {})),
        "device": model.device,
        "random_state": model.train_settings.seed,
    }
    return {name: known[name] for name in names if name in known}


def _column_parameters(model: Autoencoder) -> dict[str, Any]:
    """Return the parameters about columns; of a bundle of `train`, as the layout shows them."""
    layout = model.layout
    categories = [layout.columns[place] for place in layout.of_kind(CATEGORY)]
    stored = cast("Mapping[str, Any]", model.facts.get("data", {"categories": categories}))
    return {
        "entity": None if layout.entity is None else layout.columns[layout.entity],
        "max_levels": layout.max_levels,
        **{name: tuple(columns) for name, columns in stored.items()},
    }


def rule_by_row(text: str) -> Rule:
    """Parse a rule that judges each row by itself. Raises SettingsError for any other."""
    parsed = parse_rule(text)
    if parsed.kind not in RULES_BY_ROW:
        raise SettingsError(
            "rule must flag each row by its own score, such as 'quantile 0.95' or 'absolute 0.03'. "
            f"Got '{text}' instead."
        )
    return parsed
