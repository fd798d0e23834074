"""Surfaces of shapes and voxels, by marching cubes (Lewiner et al. 2003, as in scikit-image).

Shape letters: X, Y, Z points along the axes, V vertices, F triangles.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.extras import needed
from inrzoo.observations.points import Points
from inrzoo.rendering.kinds import kind_of
from inrzoo.rendering.values import Sampling, limits_of, sampling, values_at
from inrzoo.store import Store
from inrzoo.targets import to_values

UNSIGNED_LEVEL = 0.02
"""Level at which the surface of an unsigned distance is taken, in units of the shape's cube [-1, 1]³: at 0 there is
nothing to cross. It is about three times the error of INRs of furniture. On coarse grids it is half a step, because a
thinner shell has holes."""


@dataclass(frozen=True, eq=False)
class Surface:
    """A triangle mesh.

    Attributes:
        vertices_V3: positions, float64. Of a shape in its cube [-1, 1]³; of voxels as `Axis` measures them, else in
            voxels: (0, 0, 0) is the middle of the first one.
        faces_F3: numbers of vertices, int64; counter-clockwise seen from outside.
        normals_V3: directions of length 1 that point outward.
    """

    vertices_V3: NDArray[np.float64]
    faces_F3: NDArray[np.int64]
    normals_V3: NDArray[np.float64]


@dataclass(frozen=True)
class Level:
    """Where a surface lies.

    Attributes:
        value: on the value scale of the INR.
        number: in the unit of the signals' numbers.
        inside_above: whether values inside are above it.
    """

    value: float
    number: float
    inside_above: bool


def level_of(store: Store, signal: int, sizes: tuple[int, ...], number: float | None = None) -> Level:
    """The level at which the surface of a signal lies.

    It is 0 for signed distances; `UNSIGNED_LEVEL` or half a step of the grid, whichever is greater, for unsigned ones;
    and the middle of the signals' limits for occupancies and voxels.

    Args:
        sizes: points along each axis of the grid that the surface is taken from.
        number: another level, in the unit of the signals' numbers.

    Raises:
        InrzooError: `number` is the occupancy of no logit.
    """
    limits_12 = limits_of(store, np.array([signal]))
    quantity = store.observation.quantity if isinstance(store.observation, Points) else "occupancy"
    if number is None:
        shell = max(UNSIGNED_LEVEL, 1 / max(1, min(sizes) - 1))
        number = {"sdf": 0.0, "udf": shell}.get(quantity, float(limits_12.mean()))
    first, last = limits_12[0]
    as_array = np.array([[[number]]])
    value = float(to_values(as_array, store.info.manifest.values, limits_12)[0, 0, 0])
    if store.observation.loss_name == "bce":
        if not 0 < value < 1:
            raise InrzooError(f"--level {number} is not allowed; expected more than {first:g} and less than {last:g}")
        value = float(np.log(value / (1 - value)))
    return Level(value, number, inside_above=quantity == "occupancy")


def surface_of(
    store: Store, signal: int, seed: int = 0, step: int = -1, grid: Sampling | None = None, number: float | None = None
) -> tuple[Surface, Level]:
    """The surface that an INR describes.

    Args:
        store: a store of shapes or voxels.
        grid: where the INR is evaluated; `sampling(store)` if None.
        number: level, in the unit of the signals' numbers; see `level_of`.

    Raises:
        InrzooError: the INR has no surface at that level, or its values are not finite.
        MissingPackageError: scikit-image is not installed.
    """
    require_surfaces()  # before the INR is evaluated at many points
    grid = sampling(store) if grid is None else grid
    level = level_of(store, signal, grid.sizes, number)
    values_K1 = values_at(store, signal, seed, step, grid.coords_KD)
    return placed(store, volume_surface(values_K1.reshape(grid.sizes), level), grid.sizes), level


def volume_surface(volume_XYZ: NDArray[Any], level: Level) -> Surface:
    """The closed surface of a volume, in steps of its grid; where it meets the border, it is closed outside of that.

    Raises:
        InrzooError: there is no surface at that level, or values are not finite.
        MissingPackageError: scikit-image is not installed.
    """
    marching_cubes = require_surfaces()
    if not np.isfinite(volume_XYZ).all():
        raise InrzooError("the INR has values that are not finite, as diverged ones may, and so no surface")
    # Signed so that the inside is above 0.
    inside_XYZ = (volume_XYZ.astype(np.float64) - level.value) * (1 if level.inside_above else -1)
    if inside_XYZ.max() <= 0:
        extremes = f"{volume_XYZ.min():.3g} to {volume_XYZ.max():.3g}"
        place = f"where the signal is {level.number:g}, at the value {level.value:.3g}"
        raise InrzooError(f"the INR has no surface {place}; its values are {extremes}")
    outside = -float(np.abs(inside_XYZ).max())
    vertices_V3, faces_F3, normals_V3, _ = marching_cubes(
        np.pad(inside_XYZ, 1, constant_values=outside).astype(np.float32),
        0.0,
        gradient_direction="ascent",
        allow_degenerate=False,
    )
    return Surface(vertices_V3.astype(np.float64) - 1, faces_F3.astype(np.int64), normals_V3.astype(np.float64))


def require_surfaces() -> Callable[..., Any]:
    """The function of scikit-image that makes surfaces. Raises MissingPackageError."""
    with needed("shapes", "making surfaces"):
        from skimage.measure import marching_cubes
    function: Callable[..., Any] = marching_cubes
    return function


def placed(store: Store, surface: Surface, sizes: tuple[int, ...]) -> Surface:
    """A surface whose vertices are given in steps of a grid of `sizes`, at its place; see `Surface`."""
    vertices_V3, faces_F3 = positions(store, surface.vertices_V3, sizes), surface.faces_F3
    steps_3 = np.diff(positions(store, np.array([[0.0] * 3, [1.0] * 3]), sizes), axis=0)[0]
    # Axes that fall mirror the surface, and triangles then turn the other way. Normals go with the inverse scale.
    faces_F3 = faces_F3[:, ::-1] if steps_3.prod() < 0 else faces_F3
    normals_V3 = surface.normals_V3 / steps_3
    return Surface(vertices_V3, faces_F3, normals_V3 / np.linalg.norm(normals_V3, axis=1, keepdims=True))


def positions(store: Store, vertices_V3: NDArray[np.float64], sizes: tuple[int, ...]) -> NDArray[np.float64]:
    """Positions of vertices that are given in steps of a grid of `sizes`; see `Surface`."""
    counts = np.array(sizes)
    if kind_of(store) == "shape":
        return np.asarray(2 * vertices_V3 / (counts - 1) - 1)
    fitted = np.array(store.info.grid)
    if store.info.manifest.coords.spacing == "pixel_centres":
        steps_V3 = (vertices_V3 + 0.5) * fitted / counts - 0.5
    else:
        steps_V3 = vertices_V3 * np.maximum(fitted - 1, 1) / np.maximum(counts - 1, 1)
    if not store.info.axes:
        return np.asarray(steps_V3)
    starts_3, steps_3 = np.array([(axis.start, axis.step) for axis in store.info.axes]).T
    return np.asarray(starts_3 + steps_V3 * steps_3)
