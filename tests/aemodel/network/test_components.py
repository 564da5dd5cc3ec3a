"""A linear network starts at the principal components of the clean rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from aemodel.network.components import principal_axes, start_from_components
from aemodel.network.dense import DenseAutoencoder
from aemodel.settings import ModelSettings

LINEAR = {"activation": "identity", "output": "identity", "loss": "mse", "scaling": "standard"}


def linear_network(rows, latent, **settings):
    chosen = ModelSettings(latent=latent, **LINEAR, **settings)
    network = DenseAutoencoder(rows.shape[1], chosen, torch.Generator().manual_seed(0))
    start_from_components(network, torch.from_numpy(rows))
    return network


@pytest.mark.parametrize("shape", [(30, 200), (200, 30)])
@pytest.mark.parametrize("tied", [False, True])
def test_it_reconstructs_as_a_truncated_svd_does(random, shape, tied):
    rows = (random.normal(size=shape) + 3).astype(np.float32)
    _, rebuilt = linear_network(rows, 5, tied=tied)(torch.from_numpy(rows))

    mean = rows.mean(axis=0)
    axes = np.linalg.svd(rows - mean, full_matrices=False)[2][:5]
    expected = mean + (rows - mean) @ axes.T @ axes
    assert np.abs(rebuilt.detach().numpy() - expected).max() < 1e-3


def test_latents_beyond_the_rank_stay_zero(random):
    rows = torch.from_numpy(random.normal(size=(4, 50)).astype(np.float32))
    axes = principal_axes(rows - rows.mean(dim=0), 6)

    assert axes[3:].abs().max() == 0
    assert torch.allclose(axes[:3] @ axes[:3].t(), torch.eye(3), atol=1e-5)


def test_equal_rows_have_no_components():
    assert principal_axes(torch.zeros(5, 8), 2).abs().max() == 0


def test_only_one_linear_layer_on_each_side_starts_at_the_components():
    assert ModelSettings(**LINEAR).is_linear
    assert not ModelSettings(**LINEAR, hidden=(8,)).is_linear
    assert not ModelSettings(**{**LINEAR, "activation": "relu"}).is_linear
