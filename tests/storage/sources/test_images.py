"""Folders of images: pixels of 8 and 16 bits, one size, and files that do not fit."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from unittest.mock import Mock

import numpy as np
import pytest
from PIL import Image

from storage.errors import ReadError, SourceError
from storage.sources import open_sound_files, open_source
from storage.sources.arrays import images

SHAPES = {"gray": (6, 5), "RGB": (6, 5, 3), "RGBA": (6, 5, 4)}


def pixels(shape=(6, 5), dtype="uint8", seed=0):
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype)


def save(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)
    return values


def read(path, **how):
    with open_source(path, **how) as source:
        return np.concatenate([chunk.rows for chunk in source.chunks(max_rows=2)])


@pytest.mark.parametrize("suffix", ["png", "tif", "tiff", "PNG"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_pixels_come_back(tmp_path, suffix, shape):
    saved = [save(tmp_path / f"{i}.{suffix}", pixels(shape, seed=i)) for i in range(5)]

    found = read(tmp_path)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, saved)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_gray_of_16_bits_comes_back(tmp_path, suffix):
    image = save(tmp_path / f"a.{suffix}", pixels(dtype="uint16"))

    assert read(tmp_path).dtype == np.uint16
    np.testing.assert_array_equal(read(tmp_path)[0], image)


@pytest.mark.parametrize(("suffix", "encode"), [("png", "png_encode"), ("tif", "tiff_encode")])
def test_color_of_16_bits_comes_back(tmp_path, suffix, encode, monkeypatch):
    imagecodecs = pytest.importorskip("imagecodecs")
    image = pixels((6, 5, 3), "uint16")
    (tmp_path / f"a.{suffix}").write_bytes(getattr(imagecodecs, encode)(image))

    np.testing.assert_array_equal(read(tmp_path)[0], image)
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(SourceError, match=rf"a.{suffix}: color of 16 bits needs the extra 'images"):
        read(tmp_path)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_jpeg_is_read_as_pillow_decodes_it(tmp_path, mode):
    path = tmp_path / "a.jpg"
    Image.fromarray(pixels((6, 5, 3))).convert(mode).save(path)

    with Image.open(path) as image:
        np.testing.assert_array_equal(read(tmp_path)[0], np.asarray(image))


@pytest.mark.parametrize(("mode", "shape"), [("1", (6, 5)), ("P", (6, 5, 3))])
def test_bilevel_and_palette_images_are_read_as_gray_and_color(tmp_path, mode, shape):
    gray = Image.fromarray(np.where(pixels() > 99, 255, 0).astype(np.uint8))
    gray.convert(mode).save(tmp_path / "a.png")

    found = read(tmp_path)[0]
    assert found.shape == shape
    np.testing.assert_array_equal(found.reshape(6, 5, -1)[:, :, 0], np.asarray(gray))


def test_floats_in_tiff_are_read(tmp_path):
    image = save(tmp_path / "a.tif", np.float32([[0.5, -1e9], [np.pi, 0]]))

    np.testing.assert_array_equal(read(tmp_path)[0], image)


def test_ids_are_the_names_of_the_files_in_order(tmp_path):
    for name in ("b/2.png", "b/10.png", "a.png"):
        save(tmp_path / name, pixels())
    (tmp_path / "notes.md").touch()

    with open_source(tmp_path) as source:
        ids = [name for chunk in source.chunks(max_rows=2) for name in chunk.ids.tolist()]
        assert ids == ["a.png", "b/10.png", "b/2.png"]
        assert source.locate(1) == (tmp_path / "b/10.png", 0)
        assert source.not_read == {"files not read": "notes.md"}
    assert open_source(tmp_path / "*.png").n_rows == 1
    assert open_source(tmp_path / "b/2.png").n_rows == 1


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (pixels((6, 7)), r"c.png: 6 × 7 gray uint8 pixels; expected 6 × 5 gray uint8, as in a.png"),
        (pixels((6, 5, 3)), "c.png: 6 × 5 RGB uint8 pixels; expected 6 × 5 gray"),
        (pixels(dtype="uint16"), "c.png: 6 × 5 gray uint16 pixels; expected 6 × 5 gray uint8"),
    ],
)
def test_the_first_image_that_differs_is_named(tmp_path, other, message):
    for name, values in (("a", pixels()), ("b", pixels()), ("c", other), ("d", other)):
        save(tmp_path / f"{name}.png", values)

    with pytest.raises(SourceError, match=message):
        open_source(tmp_path)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_images_are_scaled_on_request(tmp_path, dtype):
    small = pixels((4, 4), dtype)
    save(tmp_path / "a.png", small)
    save(tmp_path / "b.png", small.repeat(3, 0).repeat(2, 1))

    found = read(tmp_path, resize=[4, 4])
    np.testing.assert_array_equal(found, [small, small])
    halved = read(tmp_path, resize=[2, 2])[0]
    np.testing.assert_allclose(halved, small.reshape(2, 2, 2, 2).mean((1, 3)), atol=0.5)


def test_other_modes_and_stacks_are_refused(tmp_path):
    Image.new("CMYK", (3, 3)).save(tmp_path / "a.jpg")
    with pytest.raises(SourceError, match=r"a.jpg: pixels of mode CMYK; expected gray or RGB"):
        open_source(tmp_path)
    (tmp_path / "a.jpg").unlink()
    pages = [Image.new("L", (3, 3))] * 2
    pages[0].save(tmp_path / "b.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(SourceError, match=r"b.tif: holds 2 images; expected one"):
        open_source(tmp_path)


@dataclass
class Broken:
    """How an image is broken, and what an error says of it."""

    cut: int
    message: str


@pytest.mark.parametrize(
    "broken", [Broken(10, "not a PNG, JPEG, or TIFF image"), Broken(-30, "damaged")]
)
def test_a_broken_image_is_refused_by_name_or_left_out_of_a_night(tmp_path, broken):
    for name in "abc":
        save(tmp_path / f"{name}.png", pixels((60, 50)))
    content = (tmp_path / "b.png").read_bytes()
    (tmp_path / "b.png").write_bytes(content[: broken.cut])

    with pytest.raises(SourceError, match=f"b.png: .*{broken.message}"):
        read(tmp_path)
    with open_sound_files(tmp_path) as source:
        source.tolerant = True
        chunks = list(source.chunks(max_rows=9))
        usable = [name for chunk in chunks for name in chunk.usable_part().ids.tolist()]
        assert usable == ["a.png", "c.png"]
        named = [why for _, why in source.broken]
        named += [source.why_unusable(chunk, 1) for chunk in chunks if chunk.usable is not None]
        assert len(named) == 1
        assert broken.message in named[0]


def test_images_unlike_most_are_left_out_of_a_night(tmp_path):
    for name, shape in {"a": (6, 5, 3), "b": (6, 5), "c": (6, 5), "d": (7, 5), "e": (6, 5)}.items():
        save(tmp_path / f"{name}.png", pixels(shape))

    with open_sound_files(tmp_path) as source:
        assert [file.name for file in source.files] == ["b.png", "c.png", "e.png"]
        assert [name for name, _ in source.broken] == ["a.png", "d.png"]
        assert (
            "6 × 5 RGB uint8 pixels; expected 6 × 5 gray uint8, as in b.png" in source.broken[0][1]
        )


def test_a_read_that_the_system_refuses_is_no_broken_row(tmp_path, monkeypatch):
    save(tmp_path / "a.png", pixels())
    with open_source(tmp_path) as source:
        source.tolerant = True
        refusal = ReadError("a.png: cannot be read")
        monkeypatch.setattr(images, "read_pixels", Mock(side_effect=refusal))
        with pytest.raises(ReadError, match=r"a.png: cannot be read"):
            list(source.chunks(max_rows=1))


def test_an_image_that_changes_after_it_was_opened_is_refused(tmp_path):
    save(tmp_path / "a.png", pixels())
    with open_source(tmp_path) as source:
        save(tmp_path / "a.png", pixels((3, 3)))
        with pytest.raises(SourceError, match=r"a.png: changed while it was read"):
            list(source.chunks(max_rows=1))


def test_tables_beside_images_are_read_and_the_images_named(tmp_path):
    save(tmp_path / "a.png", pixels())
    (tmp_path / "labels.csv").write_text("x\n1\n")

    with open_source(tmp_path) as source:
        assert source.not_read == {"files not read": "a.png"}


def test_notes_and_annotations_beside_images_are_no_tables(tmp_path):
    for name in ("a", "b"):
        save(tmp_path / f"{name}.png", np.zeros((4, 5), np.uint8))
        (tmp_path / f"{name}.txt").write_text("0 0.5 0.5 0.25 0.25\n")

    with open_source(tmp_path) as source:
        assert source.n_rows == 2
        assert source.not_read == {"files not read": "a.txt, b.txt"}


def test_a_size_for_what_is_no_image_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((3, 3)))

    with pytest.raises(SourceError, match=r"a.npy: expected images, since data.resize is set"):
        open_source(tmp_path / "a.npy", resize=[2, 2])
