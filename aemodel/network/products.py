"""Products of float32 matrices, which oneDNN computes on a CPU with AVX-512.

torch has float32 products computed by MKL, which uses AVX-512 only on Intel's CPUs: on others they
take twice as long. The result does not depend on a row's place among as many others.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from aemodel.devices.places import is_host

LEAST_VALUES = 4_096  # of the left matrix; with fewer, oneDNN takes longer to start than it saves
LEAST_MULTIPLICATIONS = 2_000_000  # of a member's product, likewise


def linear(rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return the products (n, o) of rows (n, k) and weights (o, k), without gradients.

    bias: (o,), is added to them.
    """
    if not uses_onednn(rows):
        found = torch.mm(weight, rows.t()).t()  # see `aemodel.network.inference.run_layers`
        return found if bias is None else found.add_(bias)
    return _of_onednn(rows.contiguous(), weight, bias)


def _of_onednn(rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    products: Tensor = torch.ops.mkldnn._linear_pointwise(rows, weight, bias, "none", [], "")
    return products


def uses_onednn(rows: Tensor) -> bool:
    """Whether oneDNN computes products of these rows, which it takes as they lie."""
    fits = rows.dtype == torch.float32 and rows.shape[1] > 0
    return fits and is_host(rows.device) and _has_onednn()


def product(left: Tensor, right: Tensor) -> Tensor:
    """Return left (m, k) times right (k, n): (m, n), in memory row after row."""
    worthwhile = left.numel() >= LEAST_VALUES and uses_onednn(left)
    if not worthwhile:
        return torch.mm(left, right)
    # oneDNN takes a thousand times as long where neither rows nor columns lie side by side
    return linear(left, right.t() if right.is_contiguous() else right.t().contiguous())


@cache
def _has_onednn() -> bool:
    wide = torch.backends.cpu.get_cpu_capability() == "AVX512"
    known = hasattr(torch.ops.mkldnn, "_linear_pointwise")  # torch's compiler uses it
    built = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call] # in torch
    return bool(wide and known and built)


def products_of_members(rows: Tensor, weight: Tensor) -> Tensor:
    """Return the products (members, n, o) of rows (members, n, k) and weights (members, o, k).

    MKL takes up to four times as long where there are fewer weights than rows.
    """
    if weight.shape[1] < rows.shape[1]:
        return products_of_members(weight, rows).mT
    multiplications = weight.shape[1] * rows.shape[1] * rows.shape[2]
    if multiplications < LEAST_MULTIPLICATIONS or not uses_onednn(rows[0]):
        return torch.bmm(rows, weight.mT)
    found = [_of_onednn(*pair) for pair in zip(rows, weight, strict=True)]
    return torch.stack(found) if len(found) > 1 else found[0][None]
