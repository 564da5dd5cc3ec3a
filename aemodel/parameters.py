"""Parameters of the estimator: as settings, with the defaults that depend on the rows, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from typing import Any, cast

import numpy as np
from sklearn.utils import check_random_state

from aemodel.decisions.rules import Rule, parse_rule
from aemodel.errors import SettingsError
from aemodel.model import Autoencoder
from aemodel.rows.layout import Layout
from aemodel.settings import SCORES, ModelSettings, TrainSettings
from aemodel.table_defaults import MIXED_NOISE, NOISE, table_epochs, table_latents

RULES_BY_ROW = ("quantile", "absolute")

Parameters = Mapping[str, Any]


def model_settings(parameters: Parameters, layout: Layout) -> ModelSettings:
    """Return [model]. Raises SettingsError."""
    chosen = _fields_of(ModelSettings, parameters)
    defaults = {
        "latent": table_latents(layout.n_features),
        "scaling": "standard" if layout.kinds else "minmax",
        "noise": MIXED_NOISE if layout.kinds else NOISE,
    }
    chosen |= {name: value for name, value in defaults.items() if chosen[name] is None}
    return ModelSettings(**{**chosen, "hidden": tuple(chosen["hidden"])})


def train_settings(parameters: Parameters, n_rows: int) -> TrainSettings:
    """Return [train] for this many clean rows. Raises SettingsError."""
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
        "by": "error",
        **cast("Mapping[str, Any]", model.facts.get("score", {})),
        "device": model.device,
        "random_state": model.train_settings.seed,
    }
    return {name: known[name] for name in names if name in known}


def rule_by_row(text: str) -> Rule:
    """Parse a rule that judges each row by itself. Raises SettingsError for any other."""
    parsed = parse_rule(text)
    if parsed.kind not in RULES_BY_ROW:
        raise SettingsError(
            "rule must flag each row by its own score, such as 'quantile 0.95' or 'absolute 0.03'. "
            f"Got '{text}' instead."
        )
    return parsed
