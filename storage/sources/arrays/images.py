"""Folders of images of one size as a source: one row for each file."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from storage.errors import ReadError, SourceError
from storage.files.reads import unreadable
from storage.objects.paths import openable
from storage.sources.arrays.streams import READ_ERRORS
from storage.sources.chunks import Chunk
from storage.sources.columns.schema import Schema
from storage.sources.input_files import find_files, is_image, relative_names
from storage.sources.source import Origin, Source

# what Pillow raises for damaged content
DAMAGE = (
    OSError,
    SyntaxError,
    LookupError,
    TypeError,
    struct.error,
    Image.DecompressionBombError,
    *READ_ERRORS,
)
# dtype and channels by Pillow's mode
PIXELS = {
    "L": ("uint8", ()),
    "RGB": ("uint8", (3,)),
    "RGBA": ("uint8", (4,)),
    "I;16": ("uint16", ()),
    "I": ("int32", ()),
    "F": ("float32", ()),
}
BITS_PER_SAMPLE = 258  # tag of a TIFF file
PNG_MAGIC = b"\x89PNG"
PNG_DEPTH = 24  # byte of a PNG file that holds the bits per sample
Size = tuple[int, ...]  # height and width in pixels; () for that of the images


class ImageForm(NamedTuple):
    """What the pixels of an image are: NumPy dtype, and shape (height, width[, channels])."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def is_deep_color(self) -> bool:
        """Whether it is a color image of 16 bits, of which Pillow keeps 8."""
        return self.dtype == "uint16" and len(self.shape) > 2

    def __str__(self) -> str:
        channels = {3: "RGB", 4: "RGBA"}.get(self.shape[2] if self.shape[2:] else 1, "gray")
        return f"{self.shape[0]} × {self.shape[1]} {channels} {self.dtype}"


class ImageSource(Source):
    """PNG, JPEG, and TIFF files, gray or color, 8 or 16 bits. Their names are the ids.

    resize: height and width to which all images are scaled; () to require one size.
    """

    text_ids = True

    def __init__(
        self, path: Path, files: Sequence[Path], *, missing: str, resize: Size = ()
    ) -> None:
        forms = [_resized(_read_form(file), resize) for file in files]
        for file, form in zip(files, forms, strict=True):
            if form != forms[0]:
                raise SourceError(_why_unlike(file, form, files[0], forms[0]))
        if forms[0].is_deep_color:
            _deep_color_library(files[0])
        self._resize, self._names = resize, relative_names(path, files)
        origin = Origin(path, tuple(files), missing, f"resized to {resize}" if resize else "")
        super().__init__(origin, Schema(forms[0].shape, forms[0].dtype), len(files))
        self.facts = {"format": "images", "files": str(len(files)), "pixels": str(forms[0])}

    def _read(self, start: int, stop: int, max_rows: int) -> Iterator[Chunk]:
        for first in range(start, stop, max_rows):
            files = self.files[first : min(stop, first + max_rows)]
            rows = np.zeros((len(files), *self.schema.row_shape), self.schema.dtype)
            usable = [self._read_into(rows[place], file) for place, file in enumerate(files)]
            ids = np.array(self._names[first : first + len(files)], object)
            known = None if all(usable) else np.array(usable)
            yield Chunk(first, rows, ids, self.path.name, usable=known)

    def _read_into(self, row: NDArray[np.generic], file: Path) -> bool:
        """Fill a row with the pixels of a file; return False if it is broken and that is fine."""
        try:
            row[:] = self._pixels(file)
        except ReadError:  # a retry may cure it
            raise
        except SourceError:
            if not self.tolerant:
                raise
            return False
        return True

    def _pixels(self, file: Path) -> NDArray[np.generic]:
        pixels = read_pixels(file, self._resize)
        if pixels.shape != self.schema.row_shape or pixels.dtype != self.schema.dtype:
            raise SourceError(f"{file}: changed while it was read; rerun once it is complete")
        return pixels

    def why_unusable(self, chunk: Chunk, index: int) -> str:
        """Name the file of an unusable row, and say what is wrong with it."""
        try:
            self._pixels(self.files[int(chunk.row_numbers[index])])
        except SourceError as error:
            return str(error)
        return super().why_unusable(chunk, index)

    def _locate(self, row: int) -> tuple[Path, int]:
        return self.files[row], 0


def unlike_most(files: Sequence[Path], resize: Size = ()) -> dict[Path, str]:
    """Return which images are not of the kind of most, or of the first of as many, and why."""
    forms = {file: _resized(_read_form(file), resize) for file in files}
    [(usual, _)] = Counter(forms.values()).most_common(1)
    example = next(file for file, form in forms.items() if form == usual)
    return {
        file: _why_unlike(file, form, example, usual)
        for file, form in forms.items()
        if form != usual
    }


def _why_unlike(file: Path, form: ImageForm, example: Path, usual: ImageForm) -> str:
    return (
        f"{file}: {form} pixels; expected {usual}, as in {example.name}. "
        "Convert the images to one kind, or set data.resize if their sizes differ"
    )


def typical_size(path: Path) -> Size:
    """Return the median height and width of images that differ in size alone; () of others.

    Raises NoDataError and SourceError.
    """
    files = find_files(path)
    if not all(is_image(file) for file in files):
        return ()
    forms = [_read_form(file) for file in files]
    kinds = {(form.dtype, form.shape[2:]) for form in forms}
    sizes = [form.shape[:2] for form in forms]
    if len(kinds) > 1 or len(set(sizes)) == 1:
        return ()
    return tuple(int(side) for side in np.median(sizes, axis=0))


def read_pixels(file: Path, resize: Size = ()) -> NDArray[np.generic]:
    """Return the pixels (height, width[, channels]) of an image file. Raises SourceError."""
    form = _read_form(file)
    try:
        if form.is_deep_color:
            pixels = _decode_deep_color(file)
        else:
            with _open(file) as image:
                pixels = np.asarray(_plain(image))
        pixels = np.asarray(pixels).astype(form.dtype, copy=False)
        return _scaled(pixels, resize) if resize else pixels
    except DAMAGE as error:
        raise _damaged(file, error) from error


def _read_form(file: Path) -> ImageForm:
    """Read the header of an image file. Raises SourceError."""
    try:
        with _open(file) as image:
            mode, size = _mode(image), (image.height, image.width)
            deep = mode in ("RGB", "RGBA") and _bits(image, file) > 8
            frames = getattr(image, "n_frames", 1) if image.format == "TIFF" else 1
    except DAMAGE as error:
        raise _damaged(file, error) from error
    if frames > 1:
        raise SourceError(f"{file}: holds {frames} images; expected one, so split the file")
    if mode not in PIXELS:
        raise SourceError(
            f"{file}: pixels of mode {mode}; expected gray or RGB, so convert the image"
        )
    dtype, channels = PIXELS[mode]
    return ImageForm("uint16" if deep else dtype, (*size, *channels))


def _open(file: Path) -> Any:
    return Image.open(openable(file), formats=("PNG", "JPEG", "TIFF"))


def _mode(image: Any) -> str:
    """Return the mode as which an image is read: a palette as its colors."""
    if image.mode == "1":
        return "L"
    if image.mode == "P":
        return "RGBA" if "transparency" in image.info else "RGB"
    deep_gray = image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG")
    return "I;16" if deep_gray else str(image.mode)


def _plain(image: Any) -> Any:
    return image.convert(_mode(image)) if image.mode in ("1", "P") else image


def _bits(image: Any, file: Path) -> int:
    """Return the bits of a sample, of which Pillow keeps 8 in color images."""
    if image.format == "PNG":
        with file.open("rb") as content:
            return content.read(PNG_DEPTH + 1)[PNG_DEPTH]
    if image.format == "TIFF":
        return int(max(image.tag_v2.get(BITS_PER_SAMPLE, (8,))))
    return 8


def _deep_color_library(file: Path) -> Any:
    try:
        import imagecodecs  # late: an extra
    except ImportError as error:
        raise SourceError(
            f"{file}: color of 16 bits needs the extra 'images'; "
            "run pip install 'nightglass[images]'"
        ) from error
    return imagecodecs


def _decode_deep_color(file: Path) -> NDArray[np.generic]:
    codecs = _deep_color_library(file)
    with file.open("rb") as opened:
        content = opened.read()
    is_png = content.startswith(PNG_MAGIC)
    return np.asarray((codecs.png_decode if is_png else codecs.tiff_decode)(content))


def _resized(form: ImageForm, resize: Size) -> ImageForm:
    return form._replace(shape=(*resize, *form.shape[2:])) if resize else form


def _scaled(pixels: NDArray[np.generic], resize: Size) -> NDArray[np.generic]:
    """Scale pixels to (height, width), each channel by itself; a pixel averages what it covers."""
    channels = pixels.reshape(*pixels.shape[:2], -1).astype(np.float32)
    size = (resize[1], resize[0])
    scaled = [
        np.asarray(Image.fromarray(channel).resize(size, Image.Resampling.BOX))
        for channel in np.moveaxis(channels, -1, 0)
    ]
    values = np.stack(scaled, axis=-1).reshape(*resize, *pixels.shape[2:])
    return (np.rint(values) if pixels.dtype.kind in "iu" else values).astype(pixels.dtype)


def _damaged(file: Path, error: Exception) -> SourceError:
    damage = f": not a PNG, JPEG, or TIFF image, or damaged ({error}); restore the file"
    return unreadable(file, error, damage)
