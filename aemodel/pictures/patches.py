"""Which patches of a picture are unlike every patch of its nearest clean pictures.

After PatchCore (Roth et al. 2022, "Towards Total Recall in Industrial Anomaly Detection"), with the
patches of a few clean pictures in place of a memory of all.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from aemodel.pictures.features import PictureFeatures

DEPTH = 1  # of PictureFeatures.maps: parts of objects
LEAST = 1e-6


def patch_shares(features: PictureFeatures, row: Tensor, clean: Tensor) -> Tensor:
    """Return the share of each pixel in how novel a picture is: (height, width), 0 or above, sum 1.

    row: (d,), clean: (k, d), scaled rows without NaN. A patch counts as far as it is farther from
    the nearest clean patch than the picture's median patch; equal shares if none is.
    """
    maps = features.maps(torch.cat([row[None], clean]))[DEPTH]
    points = maps.flatten(2).transpose(1, 2)  # (1 + k, patches, channels)
    known = points[1:].flatten(0, 1)
    unit = known.std(dim=0, correction=0) + LEAST
    nearest = torch.cdist(points[0] / unit, known / unit).amin(dim=1).square()
    above = (nearest - nearest.median()).clamp_min(0).reshape(1, 1, *maps.shape[2:])
    found = interpolate(above, size=features.size, mode="bilinear", align_corners=False)[0, 0]
    total = found.sum()
    return found / total if total > 0 else torch.full_like(found, 1 / found.numel())
