"""The patches for which pictures are novel, with model.features."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aemodel.model import Autoencoder
from aemodel.pictures.patches import patch_shares


def shares_by_pixel(model: Autoencoder, filled: Tensor, places: Tensor) -> NDArray[np.float64]:
    """Return the share (n, d) of each value of pictures in their distance to clean ones.

    filled: (n, d), scaled, without NaN. places: (k, n), the reference rows nearest to each. The
    model has features. The channels of a pixel have equal shares.
    """
    assert model.features is not None
    known = torch.from_numpy(model.scaled_reference).to(model.device)
    rows = filled.to(known)
    found = [
        patch_shares(model.features, row, known[near].to(row))
        for row, near in zip(rows, places.T.to(rows.device), strict=True)
    ]
    channels = filled.shape[1] // found[0].numel()
    shares = torch.stack(found).flatten(1).repeat_interleave(channels, dim=1) / channels
    return shares.cpu().double().numpy()
