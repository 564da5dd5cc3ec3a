"""Scaling on the device has the bits of scaling on the host."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from aemodel.devices import scaling
from aemodel.devices.scaling import COPIED, DeviceScaler
from aemodel.rows.layout import Layout
from aemodel.rows.scaler_fit import ScalerFit


def fitted(rows):
    fit = ScalerFit("standard", Layout(row_shape=rows.shape[1:], dtype=rows.dtype.name))
    fit.update(rows, np.arange(len(rows), dtype=np.uint64))
    return fit.finish()


def rows_of(dtype):
    rows = np.random.default_rng(0).normal(60, 10, (300, 6)).astype(dtype)
    rows[:, 2], rows[:, 4] = 5, 0  # constant
    return rows


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    monkeypatch.setattr(scaling, "is_host", lambda device: False)


@pytest.mark.usefixtures("as_on_a_gpu")
@pytest.mark.parametrize("dtype", COPIED)
def test_rows_are_scaled_to_the_same_bits(dtype):
    rows = rows_of(dtype)
    scaler = fitted(rows)
    rows[7, 2] += 3
    rows[8, 4] += 1
    if rows.dtype.kind == "f":
        rows[9], rows[10, 0] = np.nan, np.finfo(dtype).max
    on_device = DeviceScaler.of(scaler, rows.dtype, "cpu")

    expected = scaler.transform(rows)
    np.testing.assert_array_equal(on_device(torch.from_numpy(rows)).numpy(), expected)


@pytest.mark.usefixtures("as_on_a_gpu")
def test_large_values_are_scaled_in_float64():
    rows = rows_of("float64") * 1e34
    scaler = fitted(rows)

    on_device = DeviceScaler.of(scaler, rows.dtype, "cpu")
    np.testing.assert_array_equal(on_device(torch.from_numpy(rows)).numpy(), scaler.transform(rows))


@pytest.mark.usefixtures("as_on_a_gpu")
def test_the_host_scales_what_the_device_cannot():
    changing = fitted(rows_of("float32")[:, :2])

    assert DeviceScaler.of(changing, np.dtype("uint16"), "cpu") is None
    assert DeviceScaler.of(changing, np.dtype("float64"), "mps") is None


def test_the_host_scales_for_itself():
    assert DeviceScaler.of(fitted(rows_of("float32")), np.dtype("float32"), "cpu") is None
