"""Products of float32 matrices, which oneDNN computes on a CPU with AVX-512.

torch has float32 products computed by MKL, which uses AVX-512 only on Intel's CPUs: on others they
take twice as long. The result does not depend on a row's place among as many others.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor

from aemodel.devices.places import is_host

LEAST_VALUES = 4_096  # of the left matrix; with fewer, oneDNN takes longer to start than it saves


def linear(rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return the products (n, o) of rows (n, k) and weights (o, k), without gradients.

    bias: (o,), is added to them.
    """
    if not uses_onednn(rows):
        found = torch.mm(weight, rows.t()).t()  # see `aemodel.network.inference.run_layers`
        return found if bias is None else found.add_(bias)
    onednn = torch.ops.mkldnn._linear_pointwise
    products: Tensor = onednn(rows.contiguous(), weight, bias, "none", [], "")
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


class MemberLinear(torch.autograd.Function):
    """Linear layers of several members: `linear`, with gradients."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """inputs: (members, n, k). weight: (members, o, k). bias: (members, o)."""
        ctx.save_for_backward(inputs, weight)
        return _of_each(inputs, weight).add_(bias[:, None])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        """gradient: (members, n, o)."""
        inputs, weight = ctx.saved_tensors
        of_inputs = _of_each(gradient, weight.mT) if ctx.needs_input_grad[0] else None
        return of_inputs, _of_each(gradient.mT, inputs.mT), gradient.sum(dim=1)


def _of_each(rows: Tensor, weight: Tensor) -> Tensor:
    """Return the products (members, n, o) of rows (members, n, k) and weights (members, o, k)."""
    if not is_host(rows.device):
        return torch.bmm(rows, weight.mT)
    return torch.stack([linear(*pair) for pair in zip(rows, weight, strict=True)])
