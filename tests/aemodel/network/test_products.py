"""Products of rows with many weights."""

import pytest
import torch

from aemodel.network import products
from aemodel.network.products import MemberLinear, linear, product


def draw(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.fixture(params=[True, False], ids=["oneDNN", "torch"])
def _by(request, monkeypatch):
    if request.param and not products._has_onednn():
        pytest.skip("needs AVX-512")
    monkeypatch.setattr(products, "_has_onednn", lambda: request.param)


@pytest.mark.usefixtures("_by")
@pytest.mark.parametrize(("into", "out"), [(303, 64), (64, 20), (21, 512), (512, 293), (10, 3)])
def test_a_product_is_that_of_float64_and_does_not_depend_on_the_place_of_a_row(into, out):
    rows, weight = draw(192, into), draw(out, into)
    found = linear(rows, weight)
    torch.testing.assert_close(
        found.double(), rows.double() @ weight.double().t(), atol=2e-4, rtol=0
    )
    order = torch.randperm(192, generator=torch.Generator().manual_seed(0))
    assert torch.equal(linear(rows[order], weight), found[order])


@pytest.mark.usefixtures("_by")
def test_gradients_are_those_of_linear_layers():
    values = [draw(2, 50, 30), draw(2, 40, 30), draw(2, 40)]
    inputs, weight, bias = (each.requires_grad_() for each in values)
    found, expected = MemberLinear.apply(inputs, weight, bias), inputs @ weight.mT + bias[:, None]
    torch.testing.assert_close(found, expected)
    into = draw(2, 50, 40)
    gradients = [torch.autograd.grad(each, values, into) for each in (found, expected)]
    torch.testing.assert_close(*gradients, atol=1e-4, rtol=1e-4)


@pytest.mark.usefixtures("_by")
@pytest.mark.parametrize(("into", "out"), [(3, 2), (64, 64), (65, 2_080)])
def test_a_column_of_a_product_does_not_depend_on_its_place_or_on_how_columns_lie(into, out):
    left, right = draw(out, into), draw(into, 192)
    found = product(left, right)
    order = torch.randperm(192, generator=torch.Generator().manual_seed(0))
    assert torch.equal(product(left, right[:, order]), found[:, order])
    part = torch.cat([right, right], dim=1)[:, 64:256]
    for columns in (right[:, order].t().contiguous().t(), part):
        exact = left.double() @ columns.double()
        torch.testing.assert_close(product(left, columns).double(), exact, atol=2e-4, rtol=0)
