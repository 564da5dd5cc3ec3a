"""Start a linear autoencoder at its optimum: the principal components of the rows.

An autoencoder without activations can do no better (Baldi & Hornik 1989). With more columns than
rows, gradient descent from random weights would need many epochs to come near it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aemodel.network.dense import DenseAutoencoder, Transposed

NEGLIGIBLE = 1e-10  # share of the largest variance; components with less are rounding


@torch.no_grad()
def start_from_components(network: DenseAutoencoder, rows: Tensor) -> None:
    """Set the weights of a linear network without hidden layers from scaled rows (n, d).

    Latents beyond the rank of the rows stay 0.
    """
    into, out = network.encoder[0], network.decoder[0]
    assert isinstance(into, nn.Linear)
    assert isinstance(out, nn.Linear | Transposed)
    mean = rows.mean(dim=0)
    axes = principal_axes(rows - mean, into.out_features)
    into.weight.copy_(axes)
    into.bias.copy_(-(axes @ mean))
    out.bias.copy_(mean)
    if isinstance(out, nn.Linear):
        out.weight.copy_(axes.t())


def principal_axes(centered: Tensor, count: int) -> Tensor:
    """Return the `count` orthonormal axes (count, d) along which centered rows (n, d) vary most.

    Axes without variance are 0. Costs the square of the smaller of n and d.
    """
    n, d = centered.shape
    exact = centered.double()  # float32 would round components without variance to some
    product = exact @ exact.t() if n < d else exact.t() @ exact
    variances, vectors = torch.linalg.eigh(product)
    kept = variances > NEGLIGIBLE * variances[-1].clamp_min(NEGLIGIBLE)
    kept[: max(0, len(kept) - count)] = False
    chosen = vectors[:, kept].flip(1).to(centered.dtype)
    axes = torch.zeros(count, d)
    axes[: chosen.shape[1]] = _unit_length(chosen.t() @ centered) if n < d else chosen.t()
    return axes


def _unit_length(axes: Tensor) -> Tensor:
    return torch.nn.functional.normalize(axes, dim=1)
