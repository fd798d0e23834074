"""Draws shapes and voxels: the surfaces that INRs describe, shaded, below the points or voxels of the signals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.observations.points import Points
from inrzoo.preview.page import Page, label
from inrzoo.rendering.kinds import kind_of
from inrzoo.rendering.shading import BLUE, GREY, Canvas, shaded
from inrzoo.rendering.surfaces import level_of, placed, require_surfaces, surface_of, volume_surface
from inrzoo.rendering.values import Sampling, cube, sampling
from inrzoo.store import Store

CAPTION = "Points or voxels of the shapes, the surfaces of their INRs, and a histogram of quality"
RESOLUTION = 48
"""Points along each axis at which the INRs of shapes are evaluated."""
FINER = 2
"""Factor of the finer grid of voxels."""
MIN_POINTS, MAX_POINTS = 100, 2500
"""Numbers of points of a signal that are drawn: of distances those nearest to the surface."""
NEAR = 0.02
"""Distance up to which points count as near, in units of the shape's cube."""
DARK = (0.2, 0.2, 0.25)


def draw(store: Store, chosen: NDArray[np.int64], seed: int, step: int) -> Page:
    """Draw the signals `chosen`, one a column."""
    require_surfaces()
    rows: list[tuple[str, list[NDArray[np.float64] | str]]] = []
    grids = (cube(store, RESOLUTION),) if kind_of(store) == "shape" else (sampling(store), sampling(store, FINER))
    if store.has_signals:
        title = "points" if kind_of(store) == "shape" else "voxels"
        rows.append((title, [_signal(store, int(signal)) for signal in chosen]))
    for grid in grids:
        title = _title(store, grid, int(chosen[0]))
        rows.append((title, [_surface(store, int(signal), seed, step, grid) for signal in chosen]))
    page = Page(len(rows), len(chosen), width=1.5, heights=(1.55,) * len(rows))
    for (title, pictures), row in zip(rows, page.panels, strict=True):
        for picture, axis in zip(pictures, row, strict=True):
            if isinstance(picture, str):
                axis.text(0.5, 0.5, picture, ha="center", va="center", fontsize=6, transform=axis.transAxes)
            else:
                axis.imshow(picture, interpolation="antialiased")
        label(row, title)
    page.describe(store, chosen, seed, step)
    return page


def _title(store: Store, grid: Sampling, signal: int) -> str:
    """What a row of surfaces shows: of unsigned distances the level, which is not that of the surface itself."""
    title = "INR"
    if kind_of(store) == "voxels" and grid.sizes != store.info.grid:
        title = f"INR, {FINER}× finer"
    if isinstance(store.observation, Points) and store.observation.quantity == "udf":
        unit = f" {store.info.manifest.values.unit}".rstrip()
        title += f"\nat distance {level_of(store, signal, grid.sizes).number:.3f}{unit}"
    return title


def _surface(store: Store, signal: int, seed: int, step: int, grid: Sampling) -> NDArray[np.float64] | str:
    """A picture of the surface of an INR; or a few words if it has none."""
    try:
        surface, _ = surface_of(store, signal, seed, step, grid)
    except InrzooError:
        return "no surface"
    return shaded(store, surface, BLUE)


def _signal(store: Store, signal: int) -> NDArray[np.float64] | str:
    """A picture of a signal: its voxels, or those of its points that show its shape."""
    table = store.signal_table(np.array([signal]))
    if kind_of(store) == "voxels":
        volume_XYZ = table.values().reshape(store.info.grid)
        try:
            steps = volume_surface(volume_XYZ, level_of(store, signal, store.info.grid))
        except InrzooError:
            return "empty"
        return shaded(store, placed(store, steps, store.info.grid), GREY)
    names = ("points", "held_out_points"), ("signals", "held_out_signals")
    points_K3, numbers_K = (
        np.concatenate([table.arrays[name][0].astype(np.float64) for name in pair if name in table.arrays])
        for pair in names
    )
    canvas = Canvas()
    canvas.draw_points(points_K3[_near(store, signal, numbers_K[:, 0])], DARK)
    return canvas.pixels()


def _near(store: Store, signal: int, numbers_K: NDArray[np.float64]) -> NDArray[np.int64]:
    """Points that show a shape: inside it, or close to its surface."""
    level = level_of(store, signal, (RESOLUTION,) * 3)
    if level.inside_above:
        return np.flatnonzero(numbers_K > level.number)[:MAX_POINTS]
    nearest_K = np.argsort(np.abs(numbers_K), kind="stable")
    near_K = nearest_K[numbers_K[nearest_K] <= NEAR]
    return near_K[:MAX_POINTS] if len(near_K) >= MIN_POINTS else nearest_K[:MIN_POINTS]
