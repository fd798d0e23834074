"""Turns image files into the pixels of a signal: orientation, transparency, colour, crop, size, depth."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from inrzoo.choices import ValueType
from inrzoo.errors import InrzooError
from inrzoo.sources import Source
from inrzoo.sources._quiet import quiet
from inrzoo.sources._splits import check_counts

if TYPE_CHECKING:
    from PIL import Image

RESAMPLE = {"area": "BOX", "bilinear": "BILINEAR", "bicubic": "BICUBIC", "nearest": "NEAREST", "lanczos": "LANCZOS"}
"""Pillow's names of the resampling filters."""
# Pillow converts these to grey or RGB without loss of range, but clips 16-bit and float images.
EIGHT_BIT = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")
GREY_16_BIT = ("I;16", "I;16B", "I;16L", "I")
"""Pillow's types of 16-bit grey pixels; `I` holds 32 bits, of which a PNG or PGM uses 16."""
MAX_16_BIT = 65535
SIDEWAYS = (5, 6, 7, 8)
"""EXIF orientations that exchange rows and columns."""
Exif = Literal["ignore", "apply"]
Alpha = Literal["drop", "white", "black", "refuse"]
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""Pillow's names of the formats that are read, whatever the file name; for EPS Pillow would start Ghostscript."""


@dataclass(frozen=True, kw_only=True)
class ImageSource(Source):
    """Base class of sources of arbitrary images: turns an image into a grid of pixels.

    By default transparency and EXIF orientation are ignored, as in the usual loaders of these datasets.

    Attributes:
        size: rows and columns of the signals; None keeps the size of the images, which must be the same for all.
        crop: `"centre"` cuts out the largest centred square, with or without resizing; `"none"` takes the whole image,
            which `size` squeezes if it is not square.
        resample: resampling filter; `"area"` is the mean of the pixels whose centres an output pixel covers.
        channels: 1 (luma, ITU-R 601) or 3 (RGB).
        exif: `"apply"` turns and mirrors an image as its EXIF orientation says, before `crop`; `"ignore"` takes the
            pixels as they are stored. The orientation of a TIFF file always applies.
        alpha: transparent pixels: `"drop"` takes the colour that is stored under them; `"white"` and `"black"` lay them
            over that colour (straight alpha); `"refuse"` makes an image with such pixels an error.
        bit_depth: 8, or 16 for 16-bit grey images, whose numbers are uint16 (`values.dtype`). 16-bit colour is not
            decoded: its upper 8 bits are read as an 8-bit image.
    """

    size: int | None = None
    crop: Literal["centre", "none"] = "centre"
    resample: Literal["area", "bilinear", "bicubic", "nearest", "lanczos"] = "area"
    channels: Literal[1, 3] = 3
    exif: Exif = "ignore"
    alpha: Alpha = "drop"
    bit_depth: Literal[8, 16] = 8

    def __post_init__(self) -> None:
        check_counts("images", 1, size=self.size)
        if self.bit_depth == 16 and self.channels != 1:
            raise InrzooError("source.bit_depth = 16 reads grey images only; set source.channels = 1")
        if self.bit_depth == 16 and self.alpha != "drop":
            raise InrzooError(
                f"source.alpha = {self.alpha!r} needs source.bit_depth = 8; 16-bit grey images are read without alpha"
            )

    @property
    def dtype(self) -> ValueType:
        """Type of the numbers of a signal."""
        return "uint16" if self.bit_depth == 16 else "uint8"

    def grid(self, content: bytes, name: str) -> tuple[int, int]:
        """Return rows and columns of the signal from the header of the image file.

        Raises:
            InrzooError: the file is not an image; the message names it.
        """
        if self.size is not None:
            open_image(content, name)
            return self.size, self.size
        columns, rows = _oriented_size(content, name, self.exif)
        return (min(rows, columns),) * 2 if self.crop == "centre" else (rows, columns)

    def pixels(self, content: bytes, name: str, grid: tuple[int, ...]) -> NDArray[Any]:
        """Decode one image.

        Args:
            content: bytes of the image file.
            name: name of the image in messages.
            grid: required rows and columns of the signal.

        Returns:
            Array of shape `(*grid, channels)` and of the type `dtype`.

        Raises:
            InrzooError: the image is damaged, not of `bit_depth`, not of the size `grid`, or has transparent pixels
                that `alpha` refuses; the message names it.
        """
        from PIL import Image

        if self.bit_depth == 16:
            image = decode_16_bit(content, name, self.exif)
        else:
            image = decode(content, name, "L" if self.channels == 1 else "RGB", self.exif, self.alpha)
        if self.crop == "centre":
            side = min(image.size)
            left, top = (image.width - side) // 2, (image.height - side) // 2
            image = image.crop((left, top, left + side, top + side))
        if self.size is not None and image.size != (self.size, self.size):
            image = image.resize((self.size, self.size), Image.Resampling[RESAMPLE[self.resample]])
        if (image.height, image.width) != grid:
            raise InrzooError(
                f"{name} is {image.height} x {image.width}, the images before it {grid[0]} x {grid[1]}; "
                "set size to bring all of them to one size"
            )
        numbers = np.asarray(image)
        if self.bit_depth == 16:  # bicubic and Lanczos filters leave the range
            numbers = np.rint(numbers).clip(0, MAX_16_BIT)
        return numbers.astype(self.dtype).reshape(*grid, self.channels)


def open_image(content: bytes, name: str) -> Image.Image:
    """Open an image without decoding it.

    Raises:
        InrzooError: the file is not an image in one of `FORMATS`; the message names both.
    """
    from PIL import Image

    try:
        with quiet():
            return Image.open(io.BytesIO(content), formats=FORMATS)
    except _decode_errors() as error:
        raise InrzooError(
            f"{name} is not an image in one of the formats {', '.join(FORMATS)}; convert it or leave it out"
        ) from error


def decode(content: bytes, name: str, mode: str, exif: Exif = "ignore", alpha: Alpha = "drop") -> Image.Image:
    """Decode an image into Pillow's `mode` (`"L"` or `"RGB"`).

    Args:
        exif, alpha: as the fields of `ImageSource`.

    Raises:
        InrzooError: the image is damaged or not 8 bits deep, or has transparent pixels that `alpha` refuses; the
            message names it.
    """
    from PIL import Image

    image = open_image(content, name)
    if image.mode not in EIGHT_BIT:
        grey = (
            " or, for grey images of 16 bits, set bit_depth = 16 and channels = 1" if image.mode in GREY_16_BIT else ""
        )
        raise InrzooError(f"{name} has pixels of type {image.mode!r}; convert it to 8 bits per channel{grey}")
    with _decoding(name):
        image = _oriented(image, exif)
        if alpha == "drop" or not image.has_transparency_data:
            return image.convert(mode)
        layers = image.convert("RGBA")
        if alpha != "refuse":
            return Image.alpha_composite(Image.new("RGBA", layers.size, alpha), layers).convert(mode)
        opacity = layers.getchannel("A")
    if np.asarray(opacity).min() < 255:
        raise InrzooError(f"{name} has transparent pixels; set alpha to 'white', 'black' or 'drop', or leave it out")
    return layers.convert(mode)


def decode_16_bit(content: bytes, name: str, exif: Exif) -> Image.Image:
    """Decode a 16-bit grey image into Pillow's mode `"F"`, which holds its numbers exactly and can be resampled.

    Raises:
        InrzooError: the image is damaged or not of 16-bit grey pixels; the message names it.
    """
    from PIL import Image

    image = open_image(content, name)
    if image.mode not in GREY_16_BIT:
        raise InrzooError(
            f"{name} has pixels of type {image.mode!r}, and bit_depth = 16 takes grey ones of 16 bits; convert it "
            "or set bit_depth = 8"
        )
    with _decoding(name):
        numbers = np.asarray(_oriented(image, exif))
    if numbers.min() < 0 or numbers.max() > MAX_16_BIT:
        raise InrzooError(f"{name} has numbers outside 0 to {MAX_16_BIT}; convert it to 16 bits")
    return Image.fromarray(numbers.astype(np.float32))


def _oriented_size(content: bytes, name: str, exif: Exif) -> tuple[int, int]:
    """Columns and rows of an image, after its EXIF orientation if that applies."""
    image = open_image(content, name)
    if exif == "ignore":
        return image.size
    with _decoding(name):
        sideways = _orientation(image) in SIDEWAYS
    return (image.height, image.width) if sideways else image.size


def _oriented(image: Image.Image, exif: Exif) -> Image.Image:
    from PIL import ImageOps

    return ImageOps.exif_transpose(image) if exif == "apply" and _orientation(image) != 1 else image


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation that is to be applied, 1 for none: Pillow applies that of a TIFF file itself."""
    from PIL import ExifTags

    return 1 if image.format == "TIFF" else int(image.getexif().get(ExifTags.Base.Orientation, 1))


@contextmanager
def _decoding(name: str) -> Iterator[None]:
    """Turn Pillow's errors of a damaged image into one line."""
    try:
        with quiet():
            yield
    except _decode_errors() as error:
        raise InrzooError(f"{name} is a damaged image ({error}); fetch it again or leave it out") from error


def _decode_errors() -> tuple[type[Exception], ...]:
    from PIL import Image

    bombs = (Image.DecompressionBombError, Image.DecompressionBombWarning)
    return (OSError, SyntaxError, ValueError, struct.error, *bombs)
