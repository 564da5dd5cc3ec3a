"""The Haar pyramid of windows."""

from __future__ import annotations

import numpy as np
import pytest
from moving import sensor_rows

from aemodel.series.windows.pyramid import PARTS, Pyramid, coarse_details


@pytest.mark.parametrize("window", [16, 24, 64, 80, 128])
def test_scales_of_a_window_add_up_to_its_mean_square(window):
    rows = sensor_rows(window).astype(np.float32)
    blocks = Pyramid(window).blocks(rows)

    scales = [*blocks.details, *coarse_details(blocks.means)]

    total = sum((scale.astype(float) ** 2).mean() for scale in scales)
    assert total == pytest.approx((rows.astype(float) ** 2).mean(), rel=1e-5)


def test_there_are_as_many_windows_as_blocks_less_seven():
    blocks = Pyramid(32).blocks(np.zeros((100, 2), np.float32))

    assert len(blocks.means) == 100 // 4
    assert {len(each) for each in coarse_details(blocks.means)} == {25 - PARTS + 1}


def test_fine_scales_of_a_constant_are_zero():
    blocks = Pyramid(64).blocks(np.full((64, 3), 7, np.float32))

    assert not any(detail.any() for detail in blocks.details)
    assert (blocks.means == 7).all()
