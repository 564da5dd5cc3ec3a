"""Rows that are pictures."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from storage.pages.pictures import GAP, MOST_PNG, PANEL, picture_uri


def drawn(*panels):
    kind, _, content = picture_uri(*panels).partition(";base64,")
    return kind, np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))


def test_panels_share_one_scale_and_a_small_picture_keeps_its_pixels():
    actual, expected = np.full((4, 5), 10.0), np.zeros((4, 5))
    kind, pixels = drawn(actual, expected, np.full((4, 5), 5.0))
    columns = [pixels[0, place].tolist() for place in (0, 5 + GAP, 2 * (5 + GAP), 3 * (5 + GAP))]

    assert (kind, pixels.shape) == ("data:image/png", (4, 4 * 5 + 3 * GAP, 3))
    assert columns == [[255] * 3, [0] * 3, [255, 0, 0], [128] * 3]


@pytest.mark.parametrize("shape", [(1000, 700, 3), (97, 12), (3, 500)])
def test_a_large_picture_is_reduced(shape):
    _, pixels = drawn(np.zeros(shape), np.ones(shape))

    assert pixels.shape[0] <= PANEL
    assert pixels.shape[1] <= 3 * PANEL + 2 * GAP


def test_a_strip_that_hardly_compresses_is_written_as_jpeg():
    noise = np.random.default_rng(0).integers(0, 255, (2, 96, 96, 3), np.uint8)
    uri = picture_uri(noise[0], noise[1])

    assert uri.startswith("data:image/jpeg")
    assert len(uri) < 5 * MOST_PNG


def test_gaps_and_infinities_are_drawn():
    values = np.array([[np.nan, 1.0], [np.inf, 0.0]])
    kind, _ = drawn(values, np.zeros((2, 2)))

    assert kind == "data:image/png"
