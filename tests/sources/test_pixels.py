"""Orientation, transparency and depth of image files."""

import io

import numpy as np
import pytest
from PIL import ExifTags, Image
from small_datasets import all_values, noise, png, write_folder

from inrzoo.errors import InrzooError
from inrzoo.sources.hub_images import HubImages
from inrzoo.sources.image_folder import ImageFolder

TURNED = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: np.rot90(pixels, 2).swapaxes(0, 1),
    8: lambda pixels: np.rot90(pixels),
}
"""How to look at stored pixels by the EXIF standard (JEITA CP-3451, tag 274)."""


def encoded(image: Image.Image, kind: str = "PNG", orientation: int = 1, **options: object) -> bytes:
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[ExifTags.Base.Orientation] = orientation
    image.save(buffer, kind, exif=exif, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("orientation", [1, *TURNED])
def test_an_image_is_turned_as_its_exif_orientation_says(tmp_path, orientation):
    """`apply` also before the crop and in the size of the signals; by default the stored pixels are taken."""
    stored = noise(1, 5, 9)
    path = write_folder(tmp_path, {"a/x.png": encoded(Image.fromarray(stored), orientation=orientation)})
    np.testing.assert_array_equal(all_values(ImageFolder(crop="none").read(path))[0], stored)
    turned = TURNED.get(orientation, lambda pixels: pixels)(stored)
    signals = ImageFolder(crop="none", exif="apply").read(path)
    assert signals.grid == turned.shape[:2]
    np.testing.assert_array_equal(all_values(signals)[0], turned)
    square = all_values(ImageFolder(exif="apply").read(path))[0]
    np.testing.assert_array_equal(square, turned[2:7] if orientation in (5, 6, 7, 8) else turned[:, 2:7])


@pytest.mark.parametrize("exif", ["ignore", "apply"])
def test_the_orientation_of_a_tiff_applies_once(tmp_path, exif):
    stored = noise(1, 5, 9)
    path = write_folder(tmp_path, {"a/x.tiff": encoded(Image.fromarray(stored), "TIFF", 6)})
    np.testing.assert_array_equal(all_values(ImageFolder(crop="none", exif=exif).read(path))[0], TURNED[6](stored))


def transparent(mode: str) -> bytes:
    """2 × 2 pixels in the colour (200, 100, 50) or 200, of the opacities 255, 128, 0 and 255."""
    opacity = Image.fromarray(np.array([[255, 128], [0, 255]], np.uint8))
    if mode == "P":  # the colours 0 and 1 are the same, and 1 is transparent
        image = Image.fromarray(np.array([[0, 0], [1, 0]], np.uint8)).convert("P")
        image.putpalette([200, 100, 50] * 2)
        return encoded(image, transparency=1)
    image = Image.new(mode.removesuffix("A"), (2, 2), 200 if mode == "LA" else (200, 100, 50))
    image.putalpha(opacity)
    return encoded(image)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
@pytest.mark.parametrize(("alpha", "below"), [("drop", None), ("white", 255), ("black", 0)])
def test_transparent_pixels_are_laid_over_a_colour(tmp_path, mode, alpha, below):
    path = write_folder(tmp_path, {"a/x.png": transparent(mode)})
    colour = np.array([200, 200, 200] if mode == "LA" else [200, 100, 50], float)
    opacity = np.array([[1, 1 if mode == "P" else 128 / 255], [0, 1]])[:, :, None]
    expected = opacity * colour + (1 - opacity) * below if below is not None else np.tile(colour, (2, 2, 1))
    found = all_values(ImageFolder(alpha=alpha).read(path))[0]
    assert np.abs(found - expected).max() <= 1
    grey = all_values(ImageFolder(alpha=alpha, channels=1).read(path))[0, :, :, 0]
    assert np.abs(grey - expected @ [0.299, 0.587, 0.114]).max() <= 1.5


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_pixels_can_be_refused_and_opaque_ones_pass(tmp_path, mode):
    path = write_folder(tmp_path, {"a/x.png": transparent(mode)})
    with pytest.raises(InrzooError, match=r"a/x.png has transparent pixels; set alpha to 'white'"):
        all_values(ImageFolder(alpha="refuse").read(path))
    opaque = Image.fromarray(noise(1, 4, 4)).convert("RGBA")
    path = write_folder(tmp_path / "opaque", {"a/x.png": encoded(opaque)})
    np.testing.assert_array_equal(all_values(ImageFolder(alpha="refuse").read(path))[0], noise(1, 4, 4))


def deep(seed: int = 3, rows: int = 6, columns: int = 10) -> np.ndarray:
    numbers = np.random.default_rng(seed).integers(0, 65536, (rows, columns), dtype=np.uint16)
    numbers[0, :2] = 0, 65535
    return numbers


def as_16_bit(kind: str) -> bytes:
    buffer = io.BytesIO()
    if kind == "PGM":
        return b"P5 10 6 65535 " + deep().astype(">u2").tobytes()
    image = Image.fromarray(deep().astype(np.int32)) if kind == "I" else Image.fromarray(deep())
    if kind == "I;16B":
        image = Image.frombytes("I;16B", (10, 6), deep().astype(">u2").tobytes())
    image.save(buffer, "PNG" if kind == "PNG" else "TIFF")
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "I;16B", "I", "PGM"])
def test_16_bits_are_the_file_s(tmp_path, kind):
    path = write_folder(tmp_path, {f"a/x.{'pgm' if kind == 'PGM' else 'tiff'}": as_16_bit(kind)})
    signals = ImageFolder(bit_depth=16, channels=1, crop="none").read(path)
    values = signals.array([0])
    assert signals.dtype == "uint16" and values.dtype == np.uint16
    np.testing.assert_array_equal(values.reshape(6, 10), deep())


@pytest.mark.parametrize("resample", ["area", "bilinear", "bicubic", "nearest", "lanczos"])
def test_16_bits_are_cropped_and_resampled_within_their_range(tmp_path, resample):
    checks = np.kron(np.indices((4, 4)).sum(axis=0) % 2, np.ones((3, 3))).astype(np.uint16) * 65535
    path = write_folder(tmp_path, {"a/x.png": png(np.pad(checks, ((0, 0), (6, 6))))})
    values = ImageFolder(bit_depth=16, channels=1, size=6, resample=resample).read(path).array([0])
    values = values.reshape(6, 6).astype(int)
    if resample == "area":
        np.testing.assert_array_equal(values, np.rint(checks.reshape(6, 2, 6, 2).mean(axis=(1, 3))))
    small = np.asarray(
        Image.fromarray((checks // 257).astype(np.uint8)).resize(
            (6, 6), getattr(Image.Resampling, {"area": "BOX"}.get(resample, resample.upper()))
        )
    )
    assert np.abs(values / 257 - small).max() <= 8  # Pillow clips 8 bits after the rows, too


def test_a_16_bit_image_is_turned_by_its_orientation(tmp_path):
    path = write_folder(tmp_path, {"a/x.png": encoded(Image.fromarray(deep()), orientation=6)})
    signals = ImageFolder(bit_depth=16, channels=1, crop="none", exif="apply").read(path)
    np.testing.assert_array_equal(signals.array([0]).reshape(10, 6), np.rot90(deep(), -1))


@pytest.mark.parametrize(
    ("content", "fields", "said"),
    [
        (png(noise(1)), {"bit_depth": 16}, "a/x.png has pixels of type 'RGB', and bit_depth = 16 takes grey ones"),
        (png(deep()), {}, r"a/x.png has pixels of type 'I;16'; convert .* or, for grey .* set bit_depth = 16"),
        (b"P5 2 1 65535 \0\0\0", {"bit_depth": 16}, "a/x.png is a damaged image"),
    ],
)
def test_images_of_another_depth_are_one_line(tmp_path, content, fields, said):
    path = write_folder(tmp_path, {"a/x.png": content})
    with pytest.raises(InrzooError, match=said) as caught:
        all_values(ImageFolder(channels=1, **fields).read(path))
    assert "\n" not in str(caught.value)


def test_32_bit_numbers_beyond_16_bits_are_refused(tmp_path):
    buffer = io.BytesIO()
    Image.fromarray(np.array([[0, 70000]], np.int32)).save(buffer, "TIFF")
    path = write_folder(tmp_path, {"a/x.tiff": buffer.getvalue()})
    with pytest.raises(InrzooError, match=r"a/x.tiff has numbers outside 0 to 65535"):
        all_values(ImageFolder(channels=1, bit_depth=16, crop="none").read(path))


def test_16_bit_colour_and_16_bit_alpha_are_refused_at_once():
    with pytest.raises(InrzooError, match=r"source.bit_depth = 16 reads grey images only; set source.channels = 1"):
        ImageFolder(bit_depth=16)
    with pytest.raises(InrzooError, match=r"source.alpha = 'white' needs source.bit_depth = 8"):
        HubImages(repo="a/b", bit_depth=16, channels=1, alpha="white")


def test_a_folder_in_place_of_a_hub_dataset_is_read_with_all_fields(tmp_path):
    files = {f"train/a/{n}.png": encoded(Image.fromarray(deep(n)), orientation=6) for n in range(2)}
    source = HubImages(repo="a/b", bit_depth=16, channels=1, crop="none", exif="apply", size=None)
    signals = source.read(write_folder(tmp_path, files))
    np.testing.assert_array_equal(signals.array([1]).reshape(10, 6), np.rot90(deep(1), -1))
