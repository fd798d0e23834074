"""Small pictures of INRs, drawn from weights alone: thousands of them, for the rows of a table.

Shape letters: B INRs, P parameters, K points, D coordinate dimensions, H rows, W columns, C channels.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.lazy import lazy
from inrzoo.rendering.formats import png_bytes
from inrzoo.rendering.kinds import Kind, kind_of
from inrzoo.rendering.shading import BLUE, shaded
from inrzoo.rendering.spectrogram import DECIBELS, FEWEST_SAMPLES, decibels_of, power_of
from inrzoo.rendering.surfaces import level_of, placed, require_surfaces, volume_surface
from inrzoo.rendering.values import POINTS_AT_ONCE, cube, numbers_of, real_numbers_of
from inrzoo.rendering.views import seen_of
from inrzoo.store import Store
from inrzoo.store.signal_reader import Evaluate

if TYPE_CHECKING:
    import torch
else:
    torch = lazy("torch", globals())

MAX_SIDE, MIN_SIDE = 96, 28
"""Maximum and minimum number of rows and columns of a picture; smaller ones are repeated, larger ones averaged."""
LEVELS = 32
"""Colours of a map or a spectrogram: 2.5 dB each."""
RESOLUTION = 32
"""Maximum number of points along each axis at which the INRs of shapes and voxels are evaluated."""
SHADED_SIDE, VIEW_SIDE = 64, 40
"""Rows and columns of pictures of surfaces and of views."""
MAGMA = "0000040a08221d114736106b51127c6a1c818326819c2e7fb73779cf4070e55064f4695cfb8761fea571fec287fde0a1fcfdbf"
VIRIDIS = "44015448186a472d7b4240863b528b33638d2c728e26828e21918c1f9f8827ad813dbc745cc86381d34daadc32d5e21afde725"
"""Seventeen evenly spaced colours of matplotlib's maps of these names, which are in the public domain (CC0)."""


def has_thumbnails(store: Store) -> bool:
    """Whether there are pictures of signals of this kind: all but values at points that are no shape."""
    return kind_of(store) in DRAWERS


def require_thumbnails(store: Store) -> None:
    """Raise MissingPackageError if a package that draws the signals of a store is not installed."""
    if kind_of(store) in ("shape", "voxels"):
        require_surfaces()


def thumbnails(
    store: Store, signals_B: NDArray[np.int64], weights_BP: NDArray[np.float32], evaluate: Evaluate | None = None
) -> list[bytes | None]:
    """A PNG of each INR; None for those whose values are not finite or that have no surface.

    Images have the pixels of the signals' grid, averaged if they are more than `MAX_SIDE` a side; sounds a spectrogram,
    or a wave if they are shorter than `FEWEST_SAMPLES`; fields a map of the first channel, over the value range; shapes
    and voxels a shaded surface; radiance fields the view of the standard camera.

    Args:
        signals_B: numbers of the signals.
        weights_BP: weights of their INRs, not normalised; or what `evaluate` takes in their place.
        evaluate: values at coordinates, as of `Store.predict`; None for those of the INRs.

    Raises:
        MissingPackageError: a package that makes surfaces is not installed.

    Example:
        >>> store = inrzoo.open_store("digits.zarr")
        >>> pictures = thumbnails(store, np.arange(3), store.weights[:3, 0, -1])
        >>> [picture[1:4] for picture in pictures]
        [b'PNG', b'PNG', b'PNG']
    """
    return [*DRAWERS[kind_of(store)](store, signals_B, weights_BP, evaluate)]


Pngs = Iterator[bytes | None]
"""Files of pictures, None where an INR has none."""


def _images(
    store: Store, signals_B: NDArray[np.int64], weights_BP: NDArray[np.float32], evaluate: Evaluate | None
) -> Pngs:
    coords_HWD = store.coords().reshape(*store.info.grid, -1)
    stride = max(1, max(store.info.grid) // (2 * MAX_SIDE))
    coords_HWD = coords_HWD[::stride, ::stride]
    for part, values_BKC in _values(store, weights_BP, coords_HWD.reshape(-1, coords_HWD.shape[-1]), evaluate):
        if store.info.manifest.values.dtype == "uint8":
            pixels_BKC = numbers_of(store, signals_B[part], values_BKC)
        else:
            pixels_BKC = np.rint(255 * _intensities(store, values_BKC)).astype(np.uint8)
        for values_KC, pixels_KC in zip(values_BKC, pixels_BKC, strict=True):
            finite = np.isfinite(values_KC).all()
            yield _png(pixels_KC.reshape(*coords_HWD.shape[:2], -1)) if finite else None


def _sounds(
    store: Store, signals_B: NDArray[np.int64], weights_BP: NDArray[np.float32], evaluate: Evaluate | None
) -> Pngs:
    for part, values_BKC in _values(store, weights_BP, store.coords(), evaluate):
        for wave_K in real_numbers_of(store, signals_B[part], values_BKC)[..., 0]:
            if not np.isfinite(wave_K).all():
                yield None
            elif len(wave_K) < FEWEST_SAMPLES:
                yield _png(_wave(wave_K))
            else:
                yield _map(1 + decibels_of(power_of(wave_K))[::-1] / DECIBELS, MAGMA)


def _wave(wave_K: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Bars from 0 to each sample, black on white, on the scale of the greatest of them."""
    levels_K = np.rint((MIN_SIDE // 2) * wave_K / max(np.abs(wave_K).max(), np.finfo(np.float64).tiny))
    heights_H1 = np.arange(MIN_SIDE // 2, -(MIN_SIDE // 2) - 1, -1)[:, None]
    inside = (heights_H1 >= np.minimum(levels_K, 0)) & (heights_H1 <= np.maximum(levels_K, 0))
    return np.where(inside, 0, 255).astype(np.uint8)[..., None]


def _fields(
    store: Store, signals_B: NDArray[np.int64], weights_BP: NDArray[np.float32], evaluate: Evaluate | None
) -> Pngs:
    """Maps of the first channel, at the middle of all axes but the last two."""
    middle = tuple(size // 2 for size in store.info.grid[:-2])
    coords_HWD = store.coords().reshape(*store.info.grid, -1)[middle]
    stride = max(1, max(coords_HWD.shape[:2]) // (2 * MAX_SIDE))
    coords_HWD = coords_HWD[::stride, ::stride]
    for _, values_BKC in _values(store, weights_BP, coords_HWD.reshape(-1, coords_HWD.shape[-1]), evaluate):
        for values_K in values_BKC[..., 0]:
            finite = np.isfinite(values_K).all()
            shares_HW = _intensities(store, values_K).reshape(coords_HWD.shape[:2])
            yield _map(shares_HW, VIRIDIS) if finite else None


def _shapes(
    store: Store, signals_B: NDArray[np.int64], weights_BP: NDArray[np.float32], evaluate: Evaluate | None
) -> Pngs:
    require_thumbnails(store)
    if kind_of(store) == "shape":
        coords_KD, sizes = cube(store, RESOLUTION)
    else:
        sizes = tuple(min(size, RESOLUTION) for size in store.info.grid)
        coords_KD = store.info.manifest.coords.grid(sizes)
    for part, values_BKC in _values(store, weights_BP, coords_KD, evaluate):
        for signal, values_KC in zip(signals_B[part].tolist(), values_BKC, strict=True):
            try:
                steps = volume_surface(values_KC.reshape(sizes), level_of(store, signal, sizes))
            except InrzooError:  # values that are not finite, or all on one side of the surface
                yield None
            else:
                picture = shaded(store, placed(store, steps, sizes), BLUE, SHADED_SIDE)
                yield _png(np.rint(255 * picture).astype(np.uint8))


def _views(
    store: Store, signals_B: NDArray[np.int64], weights_BP: NDArray[np.float32], evaluate: Evaluate | None
) -> Pngs:
    rows, columns = store.info.grid[1:]
    share = min(1.0, VIEW_SIDE / max(rows, columns))
    sizes = (max(1, round(share * rows)), max(1, round(share * columns)))
    for weights_P in weights_BP:
        values_HWC = seen_of(store, weights_P, sizes, evaluate)
        finite = np.isfinite(values_HWC).all()
        yield _png(np.rint(255 * _intensities(store, values_HWC)).astype(np.uint8)) if finite else None


Drawer = Callable[[Store, NDArray[np.int64], NDArray[np.float32], "Evaluate | None"], Pngs]
DRAWERS: dict[Kind, Drawer] = {
    "image": _images,
    "sound": _sounds,
    "field": _fields,
    "voxels": _shapes,
    "shape": _shapes,
    "views": _views,
}


def _values(
    store: Store, weights_BP: NDArray[np.float32], coords_KD: NDArray[np.float32], evaluate: Evaluate | None
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Values of some INRs at a time, (B, K, C), and which; at `POINTS_AT_ONCE` points or of one INR."""
    values_at = store.inr if evaluate is None else partial(evaluate, store.inr)
    together = max(1, POINTS_AT_ONCE // len(coords_KD))
    where_KD = torch.from_numpy(np.ascontiguousarray(coords_KD))
    for start in range(0, len(weights_BP), together):
        part = slice(start, start + together)
        weights = torch.from_numpy(np.ascontiguousarray(weights_BP[part]))
        with torch.inference_mode():
            parts = [values_at(weights, points) for points in where_KD.split(POINTS_AT_ONCE)]
        yield part, torch.cat(parts, dim=1).numpy()


def _intensities(store: Store, values: NDArray[np.float32]) -> NDArray[np.float64]:
    low, high = store.value_range
    return np.clip((np.nan_to_num(values.astype(np.float64)) - low) / (high - low), 0, 1)


def _png(pixels_HWC: NDArray[np.uint8]) -> bytes:
    """A PNG of grey or coloured pixels, (H, W, 1 or 3)."""
    return png_bytes(_sized(pixels_HWC))


def _map(shares_HW: NDArray[np.float64], colours: str) -> bytes:
    """A PNG of shares from 0 to 1 in `LEVELS` colours of a map, a third of the bytes of one in all its colours."""
    from PIL import Image

    levels_HW = np.rint((LEVELS - 1) * _sized(shares_HW[..., None].astype(np.float32))[..., 0])
    picture, content = Image.fromarray(levels_HW.astype(np.uint8)), io.BytesIO()
    picture.putpalette(palette(colours).tobytes())
    picture.save(content, format="PNG")
    return content.getvalue()


def palette(colours: str) -> NDArray[np.uint8]:
    """`LEVELS` evenly spaced colours, (LEVELS, 3), of a map such as `MAGMA`."""
    table_N3 = np.frombuffer(bytes.fromhex(colours), np.uint8).reshape(-1, 3)
    places, levels = np.linspace(0, 1, len(table_N3)), np.linspace(0, 1, LEVELS)
    return np.rint([np.interp(levels, places, channel_N) for channel_N in table_N3.T]).astype(np.uint8).T.copy()


def _sized(array_HWC: NDArray[Any]) -> NDArray[Any]:
    """A picture of `MIN_SIDE` to `MAX_SIDE` rows and columns, as far as its shape allows."""
    shortest, longest = min(array_HWC.shape[:2]), max(array_HWC.shape[:2])
    if longest > MAX_SIDE:
        from PIL import Image

        picture = Image.fromarray(array_HWC[..., 0] if array_HWC.shape[-1] == 1 else array_HWC)
        rows, columns = (max(1, round(size * MAX_SIDE / longest)) for size in array_HWC.shape[:2])
        smaller = np.asarray(picture.resize((columns, rows), Image.Resampling.BOX))
        return smaller.reshape(rows, columns, -1)
    factor = max(1, min(math.ceil(MIN_SIDE / shortest), MAX_SIDE // longest))
    return array_HWC.repeat(factor, axis=0).repeat(factor, axis=1)
