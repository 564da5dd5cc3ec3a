"""Losses and their gradients by formula."""

import pytest
import torch

from aemodel.settings import ModelSettings
from aemodel.training.losses import losses_and_gradient, row_losses

SQUARES = {"output": "identity", "loss": "mse"}


@pytest.mark.parametrize("settings", [{"loss": "bce"}, SQUARES], ids=["bce", "mse"])
@pytest.mark.parametrize("features", [1, 12, 785])
def test_losses_and_gradients_by_formula_are_those_of_torch(settings, features):
    draws, model = torch.Generator().manual_seed(0), ModelSettings(**settings)
    logits = (30 * torch.randn(2, 5, features, generator=draws)).requires_grad_()
    clean = torch.rand(2, 5, features, generator=draws) * 1.5 - 0.25  # cross-entropy clamps it

    losses, gradient = losses_and_gradient(logits.detach(), clean, model, 3.0)

    expected = row_losses(logits, clean, model, None)
    (3 * expected.mean()).backward()
    torch.testing.assert_close(losses, expected.detach(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(gradient, logits.grad, rtol=1e-5, atol=1e-7)


def test_other_losses_have_no_formula():
    model = ModelSettings(output="sigmoid", loss="mse")
    assert losses_and_gradient(torch.zeros(1, 2, 3), torch.zeros(1, 2, 3), model, 1.0) is None
