"""Check that clean rows suffice and that the settings suit them."""

from __future__ import annotations

from aemodel.errors import DataError, SettingsError
from aemodel.rows.layout import Layout
from aemodel.rows.scaler_fit import BY_COLUMN, ScalerFit
from aemodel.rows.scaling import Scaler
from aemodel.rows.splits import FEWEST_FIT_ROWS
from aemodel.settings import ModelSettings, TrainSettings

SLACK = 1e-6  # rounding of the scaled range


def require_enough_rows(
    train: TrainSettings, *, fit: int, validation: int, calibration: int
) -> None:
    """Check that each wanted split has rows, by their counts. Raises DataError."""
    counts = {"validation": validation, "calibration": calibration}
    if fit < FEWEST_FIT_ROWS:
        raise DataError(
            f"{fit} of {fit + sum(counts.values())} clean rows are in the fit split; "
            f"at least {FEWEST_FIT_ROWS} are needed"
        )
    for name, count in counts.items():
        if getattr(train, name) and not count:
            raise DataError(
                f"the {name} split is empty; "
                f"raise train.{name}, add clean rows, or set train.{name} = 0"
            )


def require_numbers_only(layout: Layout, model: ModelSettings) -> None:
    """Check that the network suits the kinds of columns. Raises SettingsError."""
    needed = {"network": "dense", "output": "identity", "loss": "mse"}
    for key, value in needed.items() if layout.kinds else ():
        if getattr(model, key) != value:
            raise SettingsError(
                f"model.{key} must be '{value}' for a table with categories, times, or entities. "
                f"Got '{getattr(model, key)}' instead; change it, or list numbers in data.columns "
                "and remove data.entity."
            )
    if layout.entity is not None and model.scaling not in BY_COLUMN:
        raise SettingsError(
            f"model.scaling must be one of {', '.join(BY_COLUMN)} with data.entity. "
            f"Got '{model.scaling}' instead."
        )


def require_reachable_range(fit: ScalerFit, scaler: Scaler, model: ModelSettings) -> None:
    """Check that the network's output can reach the scaled values. Raises SettingsError."""
    low, high = fit.scaled_range(scaler)
    if model.output == "sigmoid" and not (low >= -SLACK and high <= 1 + SLACK):
        raise SettingsError(
            f"model.output = 'sigmoid' needs scaled values in [0, 1]. Got {low:.4g} to {high:.4g} "
            f"with model.scaling = '{model.scaling}'; set model.scaling to 'range' or 'minmax', "
            "or model.output to 'identity' and model.loss to 'mse'."
        )
    if model.output == "relu" and low < -SLACK:
        raise SettingsError(
            "model.output = 'relu' cannot produce negative values. "
            f"Got scaled values down to {low:.4g}; set model.output to 'identity'."
        )
