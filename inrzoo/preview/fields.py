"""Draws fields as maps with colour bars in their unit: signals, their INRs on a finer grid, and the difference."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from inrzoo.preview.page import Page, label
from inrzoo.rendering.values import real_numbers_of, values_of
from inrzoo.store import Store

CAPTION = "Maps of the fields, of their INRs on a finer grid and of the difference, and a histogram of quality"
FINER = 4
"""Factor of the finer grid."""
MAX_CHANNELS = 4
"""Maximum number of channels that are drawn; each has rows of its own."""
MAX_HEIGHT = 2.5
"""Maximum height of a panel, as a multiple of its width."""
WIDTH = 1.6
"""Width of a column in inches."""


def draw(store: Store, chosen: NDArray[np.int64], seed: int, step: int) -> Page:
    """Draw the signals `chosen`, one a column, each channel in rows of its own.

    Of grids of more than two axes the picture shows the map at the middle of the first ones.
    """
    channels = min(store.channels, MAX_CHANNELS)
    fitted = _numbers(store, chosen, seed, step, 1)
    finer = _numbers(store, chosen, seed, step, FINER)
    signals = differences = None
    if store.has_signals:
        signals = _signals(store, chosen)
        differences = fitted - signals
    kinds = [("signal", signals), (f"INR, {FINER}× finer", finer), ("INR − signal", differences)]
    drawn = [(title, maps) for title, maps in kinds if maps is not None]
    height = WIDTH * min(fitted.shape[1] / fitted.shape[2], MAX_HEIGHT)
    rows = len(drawn) * channels
    page = Page(rows, len(chosen), width=WIDTH, heights=(max(height, 0.5),) * rows)
    for channel in range(channels):
        part = page.panels[channel * len(drawn) : (channel + 1) * len(drawn)]
        low, high = _extremes(signals if signals is not None else finer, channel)
        for (title, maps), row in zip(drawn, part, strict=True):
            if maps is differences:
                bound = _bound(maps[..., channel])
                style = {"cmap": "RdBu_r", "vmin": -bound, "vmax": bound}
            else:
                style = {"cmap": "viridis", "vmin": low, "vmax": high}
            for picture, axis in zip(maps[..., channel], row, strict=True):
                image = axis.imshow(picture, aspect="auto", **style)
            number = f"\nchannel {channel}" if store.channels > 1 else ""
            label(row, f"{title}{number}")
            _draw_bar(store, image, row)
    page.describe(store, chosen, seed, step, _place(store))
    return page


def _draw_bar(store: Store, image: Any, row: NDArray[Any]) -> None:
    bar = row[0].figure.colorbar(image, ax=row.tolist(), pad=0.01, aspect=15)
    bar.set_label(store.info.manifest.values.unit, fontsize=7)
    bar.ax.tick_params(labelsize=5)


def _numbers(store: Store, chosen: NDArray[np.int64], seed: int, step: int, finer: int) -> NDArray[np.float64]:
    """Maps of the numbers that INRs say, (N, rows, columns, C)."""
    coords, grid = store.info.manifest.coords, store.info.grid
    coords_K2 = coords.grid(grid[-2:], finer)
    # Coordinates of the first axes are those of the fit, whatever is made finer.
    first_D = store.coords().reshape(*grid, -1)[_middle(store)][0, 0]
    reverse = coords.axis_order == "x_y"
    first_KD = np.broadcast_to(first_D[2:] if reverse else first_D[:-2], (len(coords_K2), len(grid) - 2))
    coords_KD = np.concatenate([coords_K2, first_KD] if reverse else [first_KD, coords_K2], axis=1)
    numbers_NKC = real_numbers_of(store, chosen, values_of(store, chosen, seed, step, coords_KD))
    return numbers_NKC.reshape(len(chosen), grid[-2] * finer, grid[-1] * finer, -1)


def _signals(store: Store, chosen: NDArray[np.int64]) -> NDArray[np.float64]:
    """Maps of the numbers of signals, (N, rows, columns, C)."""
    numbers = store.signals(chosen).reshape(len(chosen), *store.info.grid, -1)
    index: tuple[Any, ...] = (slice(None), *_middle(store))
    return np.asarray(numbers[index], dtype=np.float64)


def _middle(store: Store) -> tuple[int, ...]:
    """The point of the first axes, all but two, at which maps are drawn."""
    return tuple(size // 2 for size in store.info.grid[:-2])


def _place(store: Store) -> str:
    """Return the point of the first axes at which the maps lie, for the label below; empty for grids of two axes."""
    grid, axes = store.info.grid, store.info.axes
    if len(grid) == 2:
        return ""
    if not axes:
        return f"at point {', '.join(map(str, _middle(store)))}\n"
    places = zip(axes[:-2], _middle(store), strict=True)
    return (
        ", ".join(f"{axis.name} {axis.measures(point + 1)[-1]:g} {axis.unit}".strip() for axis, point in places) + "\n"
    )


def _bound(differences: NDArray[np.float64]) -> float:
    """The end of a colour bar of differences; the largest are few, and beside them the others would be one colour."""
    finite = np.abs(differences[np.isfinite(differences)])
    return float(np.quantile(finite, 0.999)) or 1.0 if finite.size else 1.0


def _extremes(maps: NDArray[np.float64], channel: int) -> tuple[float, float]:
    """The ends of a colour bar: the least and the greatest of the finite numbers."""
    numbers = maps[..., channel]
    finite = numbers[np.isfinite(numbers)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
