"""Bundles of format_version 1 keep judging as they did when they were written."""

from __future__ import annotations

import json

import numpy as np
import pytest
import safetensors.numpy
import torch
from torch.nn.functional import silu

from aemodel.bundle import from_files, to_files
from aemodel.errors import SettingsError
from aemodel.model import Autoencoder
from aemodel.rows.layout import Layout
from aemodel.settings import ModelSettings, TrainSettings
from aemodel.training.loop import train_autoencoder
from aemodel.training.promotion_gate import judge
from aemodel.training.result import Trained

MAP = np.random.default_rng(1).normal(size=(3, 6))
ROWS = np.random.default_rng(0).normal(size=(300, 3)) @ MAP


def fit(*, epochs: int = 1, seed: int = 0, **settings) -> Trained:
    model = ModelSettings(
        **{
            "output": "identity",
            "loss": "mse",
            "scaling": "standard",
            "latent": 3,
            "activation": "silu",
            **settings,
        }
    )
    layout, train = Layout(row_shape=(6,), dtype="float64"), TrainSettings(epochs=epochs, seed=seed)
    return train_autoencoder(
        lambda: [ROWS], layout=layout, model=model, train=train, memory_bytes=10**7
    )


def older(model: Autoencoder) -> dict[str, bytes]:
    """The bundle as format_version 1 had it."""
    files = to_files(model)
    facts = {**json.loads(files["model.json"]), "format_version": 1}
    arrays = safetensors.numpy.load(files["model.safetensors"])
    known = {
        name: values
        for name, values in arrays.items()
        if name not in ("usual", "relative_calibration")
    }
    return {
        "model.safetensors": safetensors.numpy.save(known),
        "model.json": json.dumps(facts).encode(),
    }


def test_latents_after_hidden_layers_keep_the_activation_that_they_were_fitted_with():
    model = fit(hidden=(8,)).model
    old = from_files(older(model))
    again = from_files(to_files(old))

    np.testing.assert_allclose(
        old.encode(ROWS), silu(torch.from_numpy(model.encode(ROWS))), rtol=1e-6
    )
    np.testing.assert_array_equal(again.errors(ROWS), old.errors(ROWS))


@pytest.mark.parametrize("settings", [{"hidden": ()}, {"hidden": (8,), "prototypes": 4}])
def test_other_models_are_what_they_were(settings):
    model = fit(**settings).model
    old = from_files(older(model))

    np.testing.assert_array_equal(old.encode(ROWS), model.encode(ROWS))


def test_the_relative_error_that_an_older_model_does_not_know_is_refused_and_not_made_up():
    old = from_files(to_files(from_files(older(fit().model))))

    assert old.known_scores == ("error", "novelty")
    assert np.isnan(old.scores(ROWS)[2]).all()
    assert len(old.calibration_by("novelty")) == len(old.calibration)
    with pytest.raises(
        SettingsError, match=r"score\.by = 'relative' needs a model that knows this score"
    ):
        old.calibration_by("relative")


def test_a_challenger_takes_the_place_of_a_champion_that_does_not_know_the_relative_error():
    verdict = judge(
        fit(epochs=30, seed=1),
        from_files(older(fit(epochs=30).model)),
        lambda: [ROWS],
        by="relative",
    )

    assert verdict.promote, verdict.reasons
    assert verdict.figures["champion_planted_auroc"] > 0.5
