"""Turns image files into the pixels of a signal: colour, crop, size."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.sources import Source
from inrzoo.sources._splits import check_counts

if TYPE_CHECKING:
    from PIL import Image

RESAMPLE = {"area": "BOX", "bilinear": "BILINEAR", "bicubic": "BICUBIC", "nearest": "NEAREST", "lanczos": "LANCZOS"}
"""Pillow's names of the resampling filters."""
# Pillow converts these to grey or RGB without loss of range, but clips 16-bit and float images.
EIGHT_BIT = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""Pillow's names of the formats that are read, whatever the file name; for EPS Pillow would start Ghostscript."""


@dataclass(frozen=True, kw_only=True)
class ImageSource(Source):
    """Base class of sources of arbitrary images: turns an image into a grid of pixels.

    Transparency and EXIF rotation are ignored, as in the usual loaders of these datasets.

    Attributes:
        size: rows and columns of the signals; None keeps the size of the images, which must be the same for all.
        crop: `"centre"` cuts out the largest centred square, with or without resizing; `"none"` takes the whole image,
            which `size` squeezes if it is not square.
        resample: resampling filter; `"area"` is the mean of the pixels whose centres an output pixel covers.
        channels: 1 (luma, ITU-R 601) or 3 (RGB).
    """

    size: int | None = None
    crop: Literal["centre", "none"] = "centre"
    resample: Literal["area", "bilinear", "bicubic", "nearest", "lanczos"] = "area"
    channels: Literal[1, 3] = 3

    def __post_init__(self) -> None:
        check_counts("images", 1, size=self.size)

    def grid(self, content: bytes, name: str) -> tuple[int, int]:
        """Return rows and columns of the signal from the header of the image file.

        Raises:
            InrzooError: the file is not an image; the message names it.
        """
        columns, rows = open_image(content, name).size
        if self.size is not None:
            return self.size, self.size
        return (min(rows, columns),) * 2 if self.crop == "centre" else (rows, columns)

    def pixels(self, content: bytes, name: str, grid: tuple[int, ...]) -> NDArray[np.uint8]:
        """Decode one image.

        Args:
            content: bytes of the image file.
            name: name of the image in messages.
            grid: required rows and columns of the signal.

        Returns:
            Array of shape `(*grid, channels)`, dtype uint8.

        Raises:
            InrzooError: the image is damaged, not 8 bits deep, or not of the size `grid`; the message names it.
        """
        from PIL import Image

        image = decode(content, name, "L" if self.channels == 1 else "RGB")
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
        return np.asarray(image, dtype=np.uint8).reshape(*grid, self.channels)


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress Pillow's warnings; its warning of a decompression bomb becomes an error."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


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


def decode(content: bytes, name: str, mode: str) -> Image.Image:
    """Decode an image into Pillow's `mode` (`"L"` or `"RGB"`).

    Raises:
        InrzooError: the image is damaged or not 8 bits deep; the message names it.
    """
    image = open_image(content, name)
    if image.mode not in EIGHT_BIT:
        raise InrzooError(f"{name} has pixels of type {image.mode!r}; convert it to 8 bits per channel")
    try:
        with quiet():
            return image.convert(mode)
    except _decode_errors() as error:
        raise InrzooError(f"{name} is a damaged image ({error}); fetch it again or leave it out") from error


def _decode_errors() -> tuple[type[Exception], ...]:
    from PIL import Image

    bombs = (Image.DecompressionBombError, Image.DecompressionBombWarning)
    return (OSError, SyntaxError, ValueError, struct.error, *bombs)
