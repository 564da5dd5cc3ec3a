"""The clean row that is most like another row."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from aemodel.devices.places import exact_device
from aemodel.model import Autoencoder
from aemodel.network.networks import Rebuilt


def nearest_clean_rows(model: Autoencoder, rows: Rebuilt) -> NDArray[np.generic]:
    """Return the reference row nearest to each of `rows`, in data units: (n, *row_shape).

    Nearest in the points of the novelty score. The reference holds up to 2,000 clean rows.
    """
    if not len(rows.rows):
        return model.measured.reference.rows[:0]
    filled = model.fill(torch.from_numpy(rows.scaled).to(exact_device(model.device)))
    _, places = model.novelty.nearest(model.to_points(filled), 1)
    found: NDArray[np.generic] = model.measured.reference.rows[places[0].cpu().numpy()]
    return found
