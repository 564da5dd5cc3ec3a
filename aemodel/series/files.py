"""A model of series in a bundle: its arrays by name, and its facts as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from aemodel.errors import BundleError
from aemodel.series.calibration import Calibration
from aemodel.series.levels import EntityLevels
from aemodel.series.model import SeriesModel
from aemodel.series.settings import Baseline, WindowSettings
from aemodel.series.windows.features import Whitening
from aemodel.series.windows.parts import CleanWindows
from aemodel.series.windows.pyramid import Pyramid
from aemodel.series.windows.scorer import WindowScorer

PREFIX = "series."
REFERENCE = ("points", "center", "axes", "usual", "moves")


def series_arrays(model: SeriesModel) -> dict[str, NDArray[np.generic]]:
    """Return the arrays of a model by their names in a bundle."""
    scorer = model.scorer
    arrays: dict[str, NDArray[np.generic]] = {
        "center": model.levels.center,
        "spread": model.levels.spread,
        "missing": model.levels.missing,
        "mean": scorer.whitening.mean,
        "whitening": scorer.whitening.matrices,
        "scale": scorer.scale,
        "band": model.band,
        "calibration": model.calibration.highest,
        **{f"reference.{name}": getattr(scorer.reference, name) for name in REFERENCE},
    }
    return {PREFIX + name: array for name, array in arrays.items()}


def series_facts(model: SeriesModel) -> dict[str, object]:
    """Return the facts of a model as JSON values."""
    calibration, settings = model.calibration, model.settings
    return {
        "sensors": list(model.sensors),
        "entities": list(model.levels.names),
        "window": settings.window,
        "stride": settings.stride,
        "baseline": str(settings.baseline),
        "step": model.step,
        "in_seconds": model.in_seconds,
        "at_once": model.at_once,
        "calibration_rows": calibration.rows,
        "usual": calibration.usual if calibration.rows else None,
    }


def take_series(
    facts: dict[str, object], arrays: dict[str, NDArray[np.generic]]
) -> SeriesModel | None:
    """Move a model out of the facts and arrays of a bundle; None if there is none.

    Raises BundleError.
    """
    if "series" not in facts:
        return None
    names = [name for name in arrays if name.startswith(PREFIX)]
    taken = {name.removeprefix(PREFIX): arrays.pop(name) for name in names}
    try:
        return _model(cast("Mapping[str, Any]", facts.pop("series")), taken)
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(
            f"model.json or model.safetensors: not a complete model of series ({error}); "
            "restore the bundle or train again"
        ) from error


def _model(facts: Mapping[str, Any], arrays: Mapping[str, Any]) -> SeriesModel:
    settings = WindowSettings(
        window=facts["window"],
        stride=facts["stride"],
        baseline=Baseline.parse(facts["baseline"]),
    )
    whitening = Whitening(Pyramid(settings.window), arrays["mean"], arrays["whitening"])
    reference = CleanWindows(*(arrays[f"reference.{name}"] for name in REFERENCE))
    usual = np.nan if facts["usual"] is None else facts["usual"]
    return SeriesModel(
        sensors=tuple(facts["sensors"]),
        settings=settings,
        levels=EntityLevels(
            tuple(facts["entities"]), *(arrays[name] for name in ("center", "spread", "missing"))
        ),
        scorer=WindowScorer(whitening, reference, arrays["scale"], settings.stride),
        band=arrays["band"],
        calibration=Calibration(arrays["calibration"], facts["calibration_rows"], usual),
        step=facts["step"],
        in_seconds=facts["in_seconds"],
        at_once=facts["at_once"],
    )
