"""Small pictures of INRs for the rows of a table: their pixels, sizes and absence; and spectra against a reference."""

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from constructed import CENTRE
from matplotlib import colormaps, mlab
from PIL import Image

from inrzoo.errors import MissingPackageError
from inrzoo.interchange import export_parquet
from inrzoo.rendering import thumbnails as drawing
from inrzoo.rendering.shading import HALF_WIDTH, OVERSAMPLED, Canvas
from inrzoo.rendering.spectrogram import DECIBELS, decibels_of, power_of
from inrzoo.rendering.thumbnails import MAX_SIDE, MIN_SIDE, has_thumbnails, thumbnails
from inrzoo.store import Store, open_store

Stores = Callable[[str], Store]


def drawn(store: Store, weights: np.ndarray | None = None) -> list[np.ndarray | None]:
    """Pixels of the first INRs of a store, or of some weights in their place."""
    weights = store.weights[:3, 0, -1] if weights is None else weights
    pictures = thumbnails(store, np.arange(len(weights)), weights)
    return [None if png is None else opened(png) for png in pictures]


def opened(png: bytes) -> np.ndarray:
    """Pixels, grey or of three channels."""
    picture = Image.open(io.BytesIO(png))
    return np.asarray(picture if picture.mode == "L" else picture.convert("RGB"))


@pytest.mark.parametrize(
    "name, shape",
    [
        ("tones", (36, 52, 3)),
        ("solids", (64, 64, 3)),
        ("voxels", (64, 64, 3)),
        ("wind", (30, 45, 3)),
        ("wind_levels", (30, 45, 3)),
        ("balls", (32, 32, 3)),
    ],
)
def test_every_kind_of_signal_has_a_picture(name: str, shape: tuple[int, ...], stores: Stores) -> None:
    store = stores(name)
    pictures = drawn(store)
    assert has_thumbnails(store) and all(each is None or each.shape == shape for each in pictures)
    assert any(each is not None and len(np.unique(each)) > 3 for each in pictures)
    one_by_one = [
        thumbnails(store, np.array([signal]), store.weights[signal, 0, -1][None])[0] for signal in range(len(pictures))
    ]
    for alone, together in zip(one_by_one, pictures, strict=True):
        assert (alone is None) == (together is None)
        if alone is not None:  # batches round in other ways
            assert np.abs(opened(alone).astype(int) - together).mean() < 1


def test_values_at_points_that_are_no_shape_have_none(stores: Stores, tmp_path: Path) -> None:
    store = stores("scattered")
    assert not has_thumbnails(store)
    assert export_parquet(Path(store.path), tmp_path / "rows") == store.num_signals


def test_an_inr_that_diverged_has_no_picture_and_its_neighbours_do(finished: Path) -> None:
    store = open_store(finished)
    weights = store.weights[:3, 0, -1].copy()
    weights[1, 7] = np.nan
    first, second, third = drawn(store, weights)
    assert second is None and first is not None and third is not None
    np.testing.assert_array_equal([first, third], [drawn(store)[0], drawn(store)[2]])


def test_a_shape_without_a_surface_has_no_picture(stores: Stores) -> None:
    store = stores("solids")
    tensors = store.layout.split(np.zeros((1, store.layout.num_params), np.float32))
    outside = [name for name in tensors if name.startswith("bias")][-1]
    tensors[outside][:] = 5.0  # far from the surface everywhere
    assert drawn(store, store.layout.join(tensors)) == [None]


def test_a_shape_is_where_the_inr_is_negative(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ball of radius 0.5: its disc has that share of the picture, but for a rim of half pixels, and that middle."""
    store = stores("solids")

    def ball(store: Store, weights: np.ndarray, coords_KD: np.ndarray, evaluate: object) -> Any:
        distances = np.linalg.norm(coords_KD / 2.0 - CENTRE, axis=-1)[None, :, None] - 0.5
        yield slice(0, 1), distances.astype(np.float32)

    monkeypatch.setattr(drawing, "_values", ball)
    (picture,) = drawn(store, store.weights[:1, 0, -1])
    assert picture is not None
    covered = (picture < 240).any(axis=-1)
    radius = 0.5 * 64 / (2 * HALF_WIDTH)
    assert np.pi * (radius - 0.5) ** 2 < covered.sum() < np.pi * (radius + 1) ** 2
    middle = Canvas(64)._projected(CENTRE[None])[0, :2] / OVERSAMPLED - 0.5
    np.testing.assert_allclose(np.argwhere(covered).mean(axis=0)[::-1], middle, atol=0.5)


@pytest.mark.parametrize("shape", [(3, 200, 1), (400, 100, 3), (8, 8, 1), (28, 28, 1), (1, 5, 3), (96, 40, 3)])
def test_pictures_are_neither_tiny_nor_large_and_keep_their_mean(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    sized = drawing._sized(pixels)
    rows, columns = sized.shape[:2]
    assert max(rows, columns) <= MAX_SIDE and sized.shape[2] == shape[2]
    assert min(rows, columns) >= min(MIN_SIDE, MAX_SIDE * min(shape[:2]) // max(shape[:2]))
    assert sized.mean() == pytest.approx(pixels.mean(), abs=3)
    if max(shape[:2]) <= MAX_SIDE:
        assert {*sized.ravel().tolist()} == {*pixels.ravel().tolist()}


def test_colours_are_those_of_matplotlib() -> None:
    for name, table in (("magma", drawing.MAGMA), ("viridis", drawing.VIRIDIS)):
        expected = colormaps[name](np.linspace(0, 1, drawing.LEVELS))[:, :3]
        assert np.abs(drawing.palette(table) / 255 - expected).max() < 0.03


def test_a_map_rises_from_the_first_colour_to_the_last() -> None:
    ramp = np.linspace(0, 1, 64)[None].repeat(64, axis=0)
    picture = np.asarray(Image.open(io.BytesIO(drawing._map(ramp, drawing.VIRIDIS))).convert("RGB")) / 255
    assert np.abs(picture[30] - colormaps["viridis"](ramp[0])[:, :3]).max() < 0.06


@pytest.mark.parametrize("samples", [32, 100, 4096])
def test_the_spectrum_is_that_of_matplotlib(samples: int) -> None:
    wave = np.random.default_rng(0).normal(size=samples)
    power = power_of(wave)
    size = 2 * (len(power) - 1)
    expected, _, _ = mlab.specgram(wave, NFFT=size, noverlap=size * 3 // 4)
    np.testing.assert_allclose(power / power.max(), expected / expected.max(), rtol=1e-9)
    decibels = decibels_of(power)
    assert decibels.max() == 0 and decibels.min() >= -DECIBELS
    assert decibels_of(10 * power, power.max()).max() == pytest.approx(10)


def test_a_tone_is_a_line_at_its_frequency() -> None:
    power = power_of(np.sin(2 * np.pi * 0.25 * np.arange(4096)))  # a quarter of the sample rate: the middle row
    assert (power.argmax(axis=0) == (len(power) - 1) // 2).all()


@pytest.mark.parametrize("cycles, part", [(4, "lower"), (28, "upper")])
def test_low_frequencies_are_at_the_bottom(
    cycles: int, part: str, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tone(store: Store, weights: np.ndarray, coords_KD: np.ndarray, evaluate: object) -> Any:
        yield slice(0, 1), np.sin(2 * np.pi * cycles * np.arange(64) / 64).astype(np.float32)[None, :, None]

    monkeypatch.setattr(drawing, "_values", tone)
    store = stores("tones")
    (picture,) = drawn(store, store.weights[:1, 0, -1])
    assert picture is not None
    upper, lower = np.array_split(picture.sum(axis=(1, 2), dtype=int), 2)
    assert (lower.mean() > upper.mean()) == (part == "lower")


def test_a_short_sound_is_a_wave(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "FEWEST_SAMPLES", 65)
    pictures = drawn(stores("tones"))
    assert pictures[0] is not None and pictures[0].shape == (MIN_SIDE + 1, 64)
    picture = drawing._wave(np.array([0.0, 1.0, -0.5]))[..., 0]
    assert (picture == 0).sum(axis=0).tolist() == [1, 1 + MIN_SIDE // 2, 1 + MIN_SIDE // 4]


def test_a_missing_package_is_named_before_anything_is_written(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inrzoo: Callable[..., tuple[int, str, str]]
) -> None:
    store = stores("solids")
    monkeypatch.setitem(sys.modules, "skimage.measure", None)
    words = ("export", store.path, "--format", "parquet", "--out", tmp_path / "rows")
    code, _, err = inrzoo(*words)
    assert code == 2 and "skimage" in err and "--no-images" in err and len(err.splitlines()) == 1
    assert not [*tmp_path.iterdir()]
    with pytest.raises(MissingPackageError):
        thumbnails(store, np.arange(1), store.weights[:1, 0, -1])
    assert inrzoo(*words, "--no-images")[0] == 0
