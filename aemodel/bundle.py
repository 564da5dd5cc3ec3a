"""Save a model as two files, and load it.

model.safetensors holds every array, model.json every setting and fact. Nothing is pickled.
"""

from __future__ import annotations

import dataclasses
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from aemodel.bundle_files import (
    FORMAT_VERSIONS,
    INVALID,
    Files,
    Json,
    array_of,
    facts_bytes,
    layout_of_facts,
    load_weights,
    read_arrays,
    read_facts,
    tensor_bytes,
)
from aemodel.decisions.block_scores import MeasuredBlocks
from aemodel.errors import BundleError
from aemodel.measured import Measured
from aemodel.model import Autoencoder
from aemodel.network.build import build_network
from aemodel.pictures.backbone import Backbone
from aemodel.pictures.features import PictureFeatures
from aemodel.rows.entities.scales import ARRAYS as ENTITY_ARRAYS
from aemodel.rows.entities.scales import Entities
from aemodel.rows.levels import Levels
from aemodel.rows.scaling import Scaler
from aemodel.scores.mixed_novelty import MixedReference
from aemodel.scores.novelty import Reference
from aemodel.scores.surprise import Margins
from aemodel.series.files import series_arrays, series_facts, take_series
from aemodel.settings import ModelSettings, TrainSettings

MEASURED = (
    "calibration",
    "novelty_calibration",
    "relative_calibration",
    "evidence",
    "residual_scale",
    "feature_center",
    "feature_spread",
    "feature_usual",
    "usual",
    "latent_low",
    "latent_high",
)
REFERENCE = ("rows", "copies", "held_out", "floor", "typical")
BLOCKS = ("cuts", "rows", "shares", "quantiles", "members")  # only if clean rows come in blocks
RANKS = "reference.ranks"  # only in bundles of trimmed models
SCALER = ("center", "scale", "fill", "tolerance", "complete")
LEVELS = ("columns", "starts", "keys", "counts", "gaps", "kept")  # with several kinds of columns
DONORS = "scaler.donors"  # only if the fit rows have gaps
FEATURE_RANGE = "feature_range"  # absent from models trained before it was measured
MEMBERS = "entities.calibration"
FEATURES = "features."  # weights and scales of model.features
MIXED = ("weights", "typical", "usual")
MARGINS = ("tails", "gaps", "clock", "pairs")


def to_files(model: Autoencoder) -> dict[str, bytes]:
    """Return the bundle of a model: {"model.safetensors": ..., "model.json": ...}."""
    train = dataclasses.asdict(model.train_settings)
    del train["device"]
    facts = {
        "format_version": FORMAT_VERSIONS["model.json"],
        "model": dataclasses.asdict(model.settings),
        "train": train,
        "layout": dataclasses.asdict(model.layout),
        **model.facts,
    }
    arrays = _model_arrays(model)
    if model.series is not None:
        facts["series"] = series_facts(model.series)
        arrays |= series_arrays(model.series)
    return {"model.safetensors": tensor_bytes(arrays), "model.json": facts_bytes(facts)}


def from_files(files: Files, *, device: str = "cpu") -> Autoencoder:
    """Load the model of a bundle.

    Raises BundleError if it is damaged, incomplete, or of another format_version.
    """
    facts = dict(read_facts(files, "model.json"))
    arrays = read_arrays(files, "model.safetensors")
    series = take_series(facts, arrays)
    try:
        model = _unfitted_model(facts, arrays, device)
    except INVALID as error:
        raise BundleError(
            f"model.json or model.safetensors: not a complete model ({error}); "
            "restore the bundle or train again"
        ) from error
    features = _take_features(model, arrays)
    load_weights(nn.ModuleList(model.members), arrays, "member.", "model.safetensors")
    members = tuple(member.to(device).eval() for member in model.members)
    return dataclasses.replace(model, members=members, series=series, features=features)


def _take_features(
    model: Autoencoder, arrays: dict[str, NDArray[np.generic]]
) -> PictureFeatures | None:
    """Move the arrays of model.features out of `arrays`."""
    if model.settings.features == "none":
        return None
    weights = {name: arrays.pop(name) for name in list(arrays) if name.startswith(FEATURES)}
    features = PictureFeatures(model.layout.row_shape, Backbone())
    load_weights(features, weights, FEATURES, "model.safetensors")
    return features.to(model.device).requires_grad_(False).eval()


def _model_arrays(model: Autoencoder) -> dict[str, NDArray[np.generic]]:
    arrays: dict[str, NDArray[np.generic]] = {}
    for index, member in enumerate(model.members):
        for name, weight in member.state_dict().items():
            arrays[f"member.{index}.{name}"] = array_of(weight)
    if model.features is not None:
        state = model.features.state_dict()
        arrays |= {FEATURES + name: array_of(weight) for name, weight in state.items()}
    parts: list[tuple[str, object, tuple[str, ...]]] = [
        ("scaler.", model.scaler, SCALER),
        ("", model.measured, MEASURED),
        ("reference.", model.measured.reference, REFERENCE),
        ("blocks.", model.measured.blocks, BLOCKS if model.measured.blocks else ()),
    ]
    if model.measured.mixed is not None:
        parts += [
            ("levels.", model.scaler.levels, LEVELS),
            ("mixed.", model.measured.mixed, MIXED),
            ("margins.", model.measured.mixed.margins, MARGINS),
        ]
    if model.scaler.entities is not None:
        parts.append(("entities.", model.scaler.entities, ENTITY_ARRAYS))
        arrays[MEMBERS] = model.measured.entities
    for prefix, part, names in parts:
        arrays |= {prefix + name: getattr(part, name) for name in names}
    optional: dict[str, NDArray[np.generic]] = {
        RANKS: model.measured.reference.ranks,
        FEATURE_RANGE: model.measured.feature_range,
        DONORS: model.scaler.donors,
    }
    return arrays | {name: each for name, each in optional.items() if each.size}


def _unfitted_model(
    facts: Json, arrays: dict[str, NDArray[np.generic]], device: str
) -> Autoencoder:
    """Build the model of a bundle with uninitialized networks.

    Removes from `arrays` all but the networks' weights.
    """
    facts = dict(facts)
    settings = ModelSettings(**_with_tuples(facts.pop("model")))
    train = TrainSettings(**_with_tuples(facts.pop("train")))
    layout = layout_of_facts(facts.pop("layout"))
    donors = arrays.pop(DONORS, np.empty((0, layout.n_features), np.float32)).astype(np.float32)
    scaler = Scaler(**_take(arrays, SCALER, "scaler."), donors=donors)
    ranks = arrays.pop(RANKS, np.empty(0, np.int64)).astype(np.int64)
    reference = Reference(**_take(arrays, REFERENCE, "reference."), ranks=ranks)
    blocks = MeasuredBlocks(**_take(arrays, BLOCKS, "blocks.")) if "blocks.rows" in arrays else None
    measured = Measured(**_take(arrays, MEASURED), reference=reference, blocks=blocks)
    if FEATURE_RANGE in arrays:
        found = arrays.pop(FEATURE_RANGE).astype(np.float64)
        measured = dataclasses.replace(measured, feature_range=found)
    if layout.kinds:
        scaler = dataclasses.replace(scaler, levels=Levels(**_take(arrays, LEVELS, "levels.")))
        margins = Margins(**_take(arrays, MARGINS, "margins."))
        mixed = MixedReference(**_take(arrays, MIXED, "mixed."), margins=margins)
        measured = dataclasses.replace(measured, mixed=mixed)
    if layout.entity is not None:
        scales = _take(arrays, ENTITY_ARRAYS, "entities.")
        scaler = dataclasses.replace(scaler, entities=Entities(column=layout.entity, **scales))
        members = arrays.pop(MEMBERS).astype(np.int32)
        measured = dataclasses.replace(measured, entities=members)
    del facts["format_version"]
    model = Autoencoder((), settings, layout, scaler, measured, train, facts, device)
    _require_shapes(model)
    _require_ascending(measured)
    return dataclasses.replace(model, members=_unfitted_networks(model))


def _unfitted_networks(model: Autoencoder) -> tuple[nn.Module, ...]:
    generator = torch.Generator().manual_seed(0)  # any seed: the weights are loaded afterwards
    count = range(model.settings.members)
    row_shape = (model.expansion.width,) if model.expansion else model.layout.row_shape
    return tuple(build_network(row_shape, model.settings, generator) for _ in count)


def _take(
    arrays: dict[str, NDArray[np.generic]], names: tuple[str, ...], prefix: str = ""
) -> dict[str, Any]:
    """Move the arrays with these names out of `arrays`."""
    return {name: arrays.pop(prefix + name) for name in names}


def _require_shapes(model: Autoencoder) -> None:
    """Raise ValueError if an array does not match the model's layout and settings."""
    for name, (found, expected) in _shapes(model).items():
        if found.shape != expected:
            raise ValueError(f"{name} has the shape {found.shape}, expected {expected}")
    rows, dtype = model.measured.reference.rows, model.layout.dtype
    if len(rows) < 2 or rows.dtype != dtype:
        raise ValueError(
            f"reference.rows has {len(rows)} rows of {rows.dtype}, expected at least 2 of {dtype}"
        )


def _shapes(model: Autoencoder) -> dict[str, tuple[NDArray[np.generic], tuple[int, ...]]]:
    """Return every array outside the networks with its expected shape."""
    measured, reference = model.measured, model.measured.reference
    d, k = (model.layout.n_features,), (model.settings.latent,)
    n = measured.calibration.shape[:1]
    of_measured = dict(zip(MEASURED, (n, n, n, (3, *n), d, d, d, (3, *d), (3,), k, k), strict=True))
    return {
        **_entity_shapes(model.scaler.entities, *d),
        MEMBERS: (measured.entities, (3, *n) if model.scaler.entities else (3, 0)),
        **{f"scaler.{name}": (getattr(model.scaler, name), d) for name in SCALER},
        DONORS: (model.scaler.donors, (len(model.scaler.donors), *d)),
        **{name: (getattr(measured, name), shape) for name, shape in of_measured.items()},
        **(measured.blocks.shapes(*n) if measured.blocks else {}),
        FEATURE_RANGE: (measured.feature_range, (2, *d) if measured.feature_range.size else (2, 0)),
        "reference.rows": (reference.rows, (len(reference.rows), *model.layout.row_shape)),
        "reference.copies": (reference.copies, (len(reference.rows),)),
        "reference.held_out": (reference.held_out, (len(reference.rows),)),
        "reference.floor": (reference.floor, (2,)),
        "reference.typical": (reference.typical, (2,)),
    }


def _entity_shapes(
    entities: Entities | None, d: int
) -> dict[str, tuple[NDArray[np.generic], tuple[int, ...]]]:
    if entities is None:
        return {}
    table = (len(entities.keys) + 1, d)
    count = entities.keys.shape[:1]
    shapes = dict(zip(ENTITY_ARRAYS, (count, table, table, count), strict=True))
    return {f"entities.{name}": (getattr(entities, name), shape) for name, shape in shapes.items()}


def _require_ascending(measured: Measured) -> None:
    names = ("calibration", "novelty_calibration", "relative_calibration")
    ascending = {name: getattr(measured, name) for name in names}
    for name, found in {**ascending, RANKS: measured.reference.ranks}.items():
        if not (found[1:] >= found[:-1]).all():
            raise ValueError(f"{name} is not ascending")


def _with_tuples(facts: object) -> dict[str, Any]:
    """Turn JSON's lists into tuples, as the settings expect."""
    items = cast("Json", facts).items()
    return {key: tuple(value) if isinstance(value, list) else value for key, value in items}
