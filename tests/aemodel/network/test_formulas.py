"""Gradients by formula are those of torch."""

import pytest
import torch

from aemodel.network.build import build_network
from aemodel.network.ensemble import Ensemble
from aemodel.settings import ACTIVATIONS, ModelSettings

TABLE = {"hidden": (12,), "latent": 3, "output": "identity", "loss": "mse"}
PROTOTYPES = {**TABLE, "activation": "silu", "prototypes": 9}


def ensemble(members, **settings):
    model = ModelSettings(**settings)
    draws = torch.Generator().manual_seed(0)
    return Ensemble([build_network((6,), model, draws).double() for _ in range(members)])


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize(
    "settings", [*({**TABLE, "activation": name} for name in ACTIVATIONS), PROTOTYPES]
)
def test_gradients_by_formula_are_those_of_torch(members, settings):
    fitted, draws = ensemble(members, **settings), torch.Generator().manual_seed(1)
    inputs, gradient = torch.randn(2, members, 7, 6, generator=draws, dtype=torch.float64)

    _, logits = fitted(inputs)
    logits.backward(gradient)
    expected = {name: weight.grad for name, weight in fitted.weights.items()}
    for weight in fitted.weights.values():
        weight.grad = None
    values = fitted.run(inputs)
    fitted.add_gradients(values, gradient)

    torch.testing.assert_close(values[-1], logits.detach())
    for name, weight in fitted.weights.items():
        torch.testing.assert_close(weight.grad, expected[name])
        assert weight.grad.is_contiguous()  # the optimizer takes values as they lie
    fitted.add_gradients(values, gradient)
    for name, weight in fitted.weights.items():
        torch.testing.assert_close(weight.grad, 2 * expected[name])


def test_layers_that_share_weights_have_no_formulas():
    assert ensemble(2, **TABLE).has_formulas
    assert not ensemble(2, **TABLE, tied=True).has_formulas
