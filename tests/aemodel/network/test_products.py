"""Products of rows with many weights."""

import pytest
import torch

from aemodel.network import products
from aemodel.network.products import linear, product, products_of_members


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
@pytest.mark.parametrize(("rows", "out"), [(50, 9), (9, 50), (200, 600), (600, 200)])
def test_products_of_members_are_those_of_each(rows, out):
    left, weight = draw(2, rows, 30), draw(2, out, 30)
    for one, other in [(left, weight), (left[:1], weight[:1]), (_columns(left), _columns(weight))]:
        exact = one.double() @ other.double().mT
        found = products_of_members(one, other).double()
        torch.testing.assert_close(found, exact, atol=2e-4, rtol=0)


def _columns(values):
    """The same values, in memory column after column."""
    return values.mT.contiguous().mT


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
