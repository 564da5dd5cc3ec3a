"""Features of pictures: what a frozen network sees, pooled over each picture.

Mean and maximum over the picture, of three depths: texture, parts, and objects. Each of these six
groups weighs the same, and each feature is divided by its standard deviation over clean rows.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from aemodel.errors import SettingsError
from aemodel.pictures.backbone import STAGES, Backbone

DEPTHS = (2, 4, 6)  # of STAGES
GROUPS = tuple(STAGES[depth].channels for depth in DEPTHS for _ in ("mean", "maximum"))
WIDTH = sum(GROUPS)
SHORTEST, LONGEST = 112, 224  # pixels of a side that the network sees
BLOCK_ROWS = 64  # pictures at once
LEAST_SPREAD = 0.1  # of the median deviation of a group, so that rare features do not rule


class PictureFeatures(nn.Module):
    """Maps scaled rows to the points that novelty compares.

    size: height and width of a row.

    row_shape: (height, width), or (height, width, channels) with 1 or 3 channels.
    Raises SettingsError for rows of another shape.
    """

    def __init__(self, row_shape: tuple[int, ...], backbone: Backbone) -> None:
        super().__init__()
        if len(row_shape) not in (2, 3) or row_shape[2:] not in ((), (1,), (3,)):
            raise SettingsError(
                "model.features needs pictures: rows of shape (height, width), (height, width, 1), "
                f"or (height, width, 3). Got {row_shape} instead; remove model.features."
            )
        self.backbone = backbone
        self.unit = nn.Buffer(torch.ones(WIDTH))
        self.size = (row_shape[0], row_shape[1])
        self._channels = (row_shape[2:] or (1,))[0]

    def forward(self, scaled: Tensor) -> Tensor:
        """Return points (n, WIDTH) of scaled rows (n, d) without NaN, in their dtype."""
        pooled = [_pooled(self.maps(rows)) for rows in torch.split(scaled, BLOCK_ROWS)]
        return (torch.cat(pooled) / self.unit).to(scaled.dtype)

    @torch.no_grad()
    def maps(self, scaled: Tensor) -> list[Tensor]:
        """Return the feature maps (n, channels, h, w) of scaled rows (n, d) at each of DEPTHS."""
        found = self.backbone(self._images(scaled))
        return [found[depth] for depth in DEPTHS]

    def fitted_to(self, scaled: Tensor) -> PictureFeatures:
        """Return the features in units measured on scaled clean rows (n, d)."""
        fitted = PictureFeatures((*self.size, self._channels), self.backbone).to(scaled.device)
        deviations = fitted(scaled.float()).std(dim=0, correction=0)
        groups = torch.split(deviations, list(GROUPS))
        fitted.unit.copy_(torch.cat([_raised(group) * len(group) ** 0.5 for group in groups]))
        return fitted.eval()

    def _images(self, scaled: Tensor) -> Tensor:
        """Return scaled rows (n, d) as the images (n, 3, h, w) that the network was trained on."""
        rows = scaled.float().clamp(0, 1).reshape(-1, *self.size, self._channels)
        shown = shown_size(*self.size)
        sized = interpolate(
            rows.permute(0, 3, 1, 2), size=shown, mode="bilinear", align_corners=False
        )
        colored = sized.expand(-1, 3, -1, -1) * 2 - 1
        return colored.contiguous(memory_format=torch.channels_last)


def shown_size(height: int, width: int) -> tuple[int, int]:
    """Return the size at which the network sees a picture.

    >>> shown_size(28, 28), shown_size(100, 400), shown_size(150, 200)
    ((112, 112), (56, 224), (150, 200))
    """
    larger = max(1.0, SHORTEST / min(height, width))
    factor = min(larger, LONGEST / max(height, width))
    return max(1, round(height * factor)), max(1, round(width * factor))


def _pooled(maps: list[Tensor]) -> Tensor:
    pools = [pool for each in maps for pool in (each.mean(dim=(2, 3)), each.amax(dim=(2, 3)))]
    return torch.cat(pools, dim=1)


def _raised(deviations: Tensor) -> Tensor:
    """Return deviations (k,), all positive."""
    least = LEAST_SPREAD * deviations.median()
    return torch.clamp(deviations, min=least if least > 0 else torch.ones_like(least))
