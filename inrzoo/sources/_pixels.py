"""From the bytes of an image file to the pixels of a signal: colour, crop, size."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inrzoo.errors import InrzooError
from inrzoo.sources import Source
from inrzoo.sources._splits import check_counts

RESAMPLE = {
    "area": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "nearest": Image.Resampling.NEAREST,
    "lanczos": Image.Resampling.LANCZOS,
}
# Pillow converts these to grey or RGB without loss of range; 16-bit and float images it would clip.
EIGHT_BIT = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""File formats that are read, by Pillow's names, whatever a file is called; for EPS Pillow would start Ghostscript."""
BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)
DECODE_ERRORS = (OSError, SyntaxError, ValueError, struct.error, *BOMBS)


@dataclass(frozen=True, kw_only=True)
class ImageSource(Source):
    """What sources of arbitrary images share: how an image becomes a grid of pixels.

    Transparency and EXIF rotation are ignored, as the usual loaders of these datasets do.

    Attributes:
        size: rows and columns of the signals; None keeps the images' own size, which must then be the same for all.
        crop: `"centre"` cuts out the largest centred square, also where nothing is resized; `"none"` takes the whole
            image, which `size` squeezes if it is not square.
        resample: filter of the resizing; `"area"` is the mean of the pixels whose centres an output pixel covers.
        channels: 1 (luma, ITU-R 601) or 3 (RGB).
    """

    size: int | None = None
    crop: Literal["centre", "none"] = "centre"
    resample: Literal["area", "bilinear", "bicubic", "nearest", "lanczos"] = "area"
    channels: Literal[1, 3] = 3

    def __post_init__(self) -> None:
        check_counts("images", 1, size=self.size)

    def grid(self, content: bytes, name: str) -> tuple[int, int]:
        """Rows and columns that the image will have as a signal, from the file's header alone.

        Raises:
            InrzooError: not an image; the message names it.
        """
        columns, rows = open_image(content, name).size
        if self.size is not None:
            return self.size, self.size
        return (min(rows, columns),) * 2 if self.crop == "centre" else (rows, columns)

    def pixels(self, content: bytes, name: str, grid: tuple[int, ...]) -> NDArray[np.uint8]:
        """Decode one image.

        Args:
            content: the image file.
            name: what to call it in a message.
            grid: the rows and columns it must come out with.

        Returns:
            Array of shape `(*grid, channels)`, dtype uint8.

        Raises:
            InrzooError: damaged, not 8 bits deep, or of another size than `grid`; the message names the image.
        """
        image = decode(content, name, "L" if self.channels == 1 else "RGB")
        if self.crop == "centre":
            side = min(image.size)
            left, top = (image.width - side) // 2, (image.height - side) // 2
            image = image.crop((left, top, left + side, top + side))
        if self.size is not None and image.size != (self.size, self.size):
            image = image.resize((self.size, self.size), RESAMPLE[self.resample])
        if (image.height, image.width) != grid:
            raise InrzooError(
                f"{name} is {image.height} x {image.width}, the images before it {grid[0]} x {grid[1]}; "
                "set size to bring all of them to one size"
            )
        return np.asarray(image, dtype=np.uint8).reshape(*grid, self.channels)


@contextmanager
def quiet() -> Iterator[None]:
    """Pillow warns of what it can read all the same; a picture so large that it may be a bomb is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def open_image(content: bytes, name: str) -> Image.Image:
    """Open an image without decoding it.

    Raises:
        InrzooError: not an image of one of `FORMATS`; the message names it and them.
    """
    try:
        with quiet():
            return Image.open(io.BytesIO(content), formats=FORMATS)
    except DECODE_ERRORS as error:
        raise InrzooError(
            f"{name} is not an image that can be read; these are: {', '.join(FORMATS)}; convert it or leave it out"
        ) from error


def decode(content: bytes, name: str, mode: str) -> Image.Image:
    """Decode an image into Pillow's `mode` (`"L"` or `"RGB"`).

    Raises:
        InrzooError: damaged or not 8 bits deep; the message names the image.
    """
    image = open_image(content, name)
    if image.mode not in EIGHT_BIT:
        raise InrzooError(f"{name} has pixels of type {image.mode!r}; convert it to 8 bits a channel")
    try:
        with quiet():
            return image.convert(mode)
    except DECODE_ERRORS as error:
        raise InrzooError(f"{name} is a damaged image ({error}); fetch it again or leave it out") from error
