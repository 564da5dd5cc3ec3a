"""Scaling on the device: rows are copied there as the source has them, often a quarter the bytes.

The same operations as `Scaler.transform_into`, in the same order and precision.
"""

from __future__ import annotations

from typing import Self

import numpy as np
import torch
from torch import Tensor

from aemodel.devices.places import is_host
from aemodel.rows.scaling import CHANGE_UNIT, CHANGED, NARROW, Scaler

# torch computes with these on every device; with unsigned ones of more than a byte it does not
COPIED = ("uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64")


class DeviceScaler:
    """Scales rows (n, d) of one dtype on the device."""

    def __init__(self, scaler: Scaler, dtype: torch.dtype, device: str) -> None:
        """Put the scales on the device, in the dtype that rows are scaled in."""
        self._center, self._scale = (
            torch.from_numpy(each).to(device, dtype) for each in (scaler.center, scaler.scale)
        )
        self._changes = _Changes(scaler, device) if scaler.constant.any() else None

    @classmethod
    def of(cls, scaler: Scaler, rows: np.dtype[np.generic], device: str) -> Self | None:
        """Return what scales rows of a dtype on a device.

        None where the host does so: for itself, for levels and entities, which are looked up by
        key, and in place of MPS, which has no float64, for dtypes that need it.
        """
        wide = rows.name not in NARROW or scaler.exceeds_float32
        exact = wide or bool(scaler.constant.any())
        looked_up = scaler.levels is not None or scaler.entities is not None
        mps = torch.device(device).type == "mps"
        if is_host(device) or looked_up or rows.name not in COPIED or (exact and mps):
            return None
        return cls(scaler, torch.float64 if wide else torch.float32, device)

    def __call__(self, rows: Tensor) -> Tensor:
        """Scale rows (n, d) to a new float32 tensor; NaN stays NaN."""
        found = (rows.to(self._center.dtype) - self._center).div_(self._scale)
        if self._changes is not None:
            self._changes.scale(found)
        return found.float()


class _Changes:
    """Scales changes of the constant columns, in float64; see `aemodel.rows.scaling`."""

    def __init__(self, scaler: Scaler, device: str) -> None:
        columns = np.flatnonzero(scaler.constant)
        center = np.abs(scaler.center[columns])
        unit = CHANGE_UNIT * np.where(center == 0, 1.0, center)
        self._columns, self._unit, self._tolerance = (
            torch.from_numpy(each).to(device) for each in (columns, unit, scaler.tolerance[columns])
        )

    def scale(self, rows: Tensor) -> None:
        """Scale the constant columns of rows (n, d) in place."""
        changes = rows[:, self._columns].double()
        size = changes.abs()
        scaled = changes.sign() * (CHANGED + torch.log2(1 + size / self._unit))
        rows[:, self._columns] = scaled.masked_fill(size <= self._tolerance, 0.0).to(rows)
