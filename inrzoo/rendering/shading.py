"""Pictures of triangle meshes and points: orthographic, by a z-buffer, with Lambert's shading.

Shape letters: V vertices, F triangles, M samples, H rows, W columns.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inrzoo.rendering.kinds import kind_of
from inrzoo.rendering.surfaces import Surface, positions
from inrzoo.store import Store

SIZE = 190
"""Rows and columns of a picture of a preview, in pixels."""
OVERSAMPLED = 2
"""Rows and columns of a picture's samples for each of its pixels, against jagged edges."""
HALF_WIDTH = 1.42
"""Half of the width that a picture shows; a cube [-1, 1]³ that is turned fits in."""
AZIMUTH, ELEVATION = 35.0, 22.0
"""Direction of the camera in degrees, around the second axis and above the plane of the others."""
AMBIENT = 0.4
"""Share of the light that comes from everywhere."""
SAMPLES_AT_ONCE = 2**18
"""Samples of triangles that are drawn at once; each takes about 100 bytes."""
DOT_RADIUS = 0.02
"""Radius of a point, in the units of the cube."""
UPRIGHT = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
"""Turns the third axis up. In files of meshes the second one is up, in grids of voxels such as ModelNet's the third."""
BLUE, GREY = (0.47, 0.66, 0.95), (0.8, 0.78, 0.74)
"""Colours of surfaces of INRs and of signals."""


def shaded(store: Store, surface: Surface, colour: tuple[float, float, float], size: int = SIZE) -> NDArray[np.float64]:
    """A shaded picture, (size, size, 3), of a surface from `rendering.surfaces`, from 0 to 1.

    Voxels are scaled into the cube [-1, 1]³, and their third axis is up.
    """
    vertices_V3, normals_V3 = surface.vertices_V3, surface.normals_V3
    if kind_of(store) == "voxels":
        ends_23 = positions(
            store, np.array([[-0.5] * 3, [points - 0.5 for points in store.info.grid]]), store.info.grid
        )
        vertices_V3 = (vertices_V3 - ends_23.mean(axis=0)) * (2 / np.abs(np.diff(ends_23, axis=0)).max()) @ UPRIGHT.T
        normals_V3 = normals_V3 @ UPRIGHT.T
    canvas = Canvas(size)
    canvas.draw_surface(vertices_V3, surface.faces_F3, normals_V3, colour)
    return canvas.pixels()


class Canvas:
    """A picture that surfaces and points are drawn into; of what covers a sample the nearest counts."""

    def __init__(self, size: int = SIZE) -> None:
        """Make a white picture of so many rows and columns."""
        self.size, self.side = size, size * OVERSAMPLED
        self.nearness_HW = np.full((self.side, self.side), -np.inf)
        self.colours_HW3 = np.ones((self.side, self.side, 3))
        azimuth, elevation = np.radians([AZIMUTH, ELEVATION])
        across = np.cos(elevation)
        toward_3 = np.array([np.sin(azimuth) * across, np.sin(elevation), np.cos(azimuth) * across])
        right_3 = np.array([np.cos(azimuth), 0.0, -np.sin(azimuth)])
        self.axes_33 = np.stack([right_3, np.cross(toward_3, right_3), toward_3])
        light_3 = np.array([-0.45, 0.65, 0.75]) @ self.axes_33
        self.light_3 = light_3 / np.linalg.norm(light_3)

    def draw_surface(
        self,
        vertices_V3: NDArray[np.float64],
        faces_F3: NDArray[np.int64],
        normals_V3: NDArray[np.float64],
        colour: tuple[float, float, float],
    ) -> None:
        """Draw a closed surface: triangles that are counter-clockwise seen from outside, in the cube [-1, 1]³."""
        shades_V = AMBIENT + (1 - AMBIENT) * np.maximum(normals_V3 @ self.light_3, 0.0)
        corners_F33, shades_F3 = self._projected(vertices_V3)[faces_F3], shades_V[faces_F3]
        first_F3, second_F3 = corners_F33[:, 1] - corners_F33[:, 0], corners_F33[:, 2] - corners_F33[:, 0]
        # Rows count downwards, so what is counter-clockwise has a negative area. Others are behind the surface.
        front_F = first_F3[:, 0] * second_F3[:, 1] - first_F3[:, 1] * second_F3[:, 0] < 0
        # The nearest first, as they hide most of the others.
        order_F = np.flatnonzero(front_F)[np.argsort(-corners_F33[front_F, :, 2].max(axis=1), kind="stable")]
        corners_F33, shades_F3 = corners_F33[order_F], shades_F3[order_F]
        edges_F33 = corners_F33 - np.roll(corners_F33, 1, axis=1)
        longest = float(np.abs(edges_F33[..., :2]).max(initial=0.0))
        # As many points on each edge that two neighbours are less than a sample apart, also between edges.
        weights_M3 = _barycentric(int(np.ceil(1.2 * longest)) + 1)
        together = max(1, SAMPLES_AT_ONCE // len(weights_M3))
        for start in range(0, len(order_F), together):
            part = slice(start, start + together)
            points_M3 = (weights_M3 @ corners_F33[part]).reshape(-1, 3)
            shades_M = (shades_F3[part] @ weights_M3.T).ravel()
            self._put(points_M3, shades_M[:, None] * np.array(colour))

    def draw_points(self, points_M3: NDArray[np.float64], colour: tuple[float, float, float]) -> None:
        """Draw points as discs, the nearer the darker."""
        places_M3 = self._projected(points_M3)
        radius = DOT_RADIUS * self.side / (2 * HALF_WIDTH)
        reach = np.arange(-int(radius), int(radius) + 1)
        offsets = np.stack(np.meshgrid(reach, reach), axis=-1).reshape(-1, 2)
        offsets = offsets[(offsets**2).sum(axis=1) <= radius**2 + 0.5]
        farness_M = np.clip((1.2 - places_M3[:, 2]) / 2.4, 0, 1)
        colours_M3 = np.array(colour) + (0.92 - np.array(colour)) * farness_M[:, None]
        for across, down in offsets:
            self._put(places_M3 + np.array([across, down, 0.0]), colours_M3)

    def pixels(self) -> NDArray[np.float64]:
        """The picture, (size, size, 3), from 0 to 1."""
        parts = self.colours_HW3.reshape(self.size, OVERSAMPLED, self.size, OVERSAMPLED, 3)
        return np.asarray(parts.mean(axis=(1, 3)))

    def _projected(self, points_M3: NDArray[np.float64]) -> NDArray[np.float64]:
        """Column, row and nearness of points, in samples but for the nearness."""
        turned_M3 = points_M3 @ self.axes_33.T
        scale = self.side / (2 * HALF_WIDTH)
        columns_M, rows_M = turned_M3[:, 0] * scale, -turned_M3[:, 1] * scale
        return np.stack([columns_M + self.side / 2, rows_M + self.side / 2, turned_M3[:, 2]], axis=1)

    def _put(self, points_M3: NDArray[np.float64], colours_M3: NDArray[np.float64]) -> None:
        """Give samples the colours of the nearest points that fall on them."""
        columns_M, rows_M = np.floor(points_M3[:, :2]).astype(np.int64).T
        inside_M = (columns_M >= 0) & (columns_M < self.side) & (rows_M >= 0) & (rows_M < self.side)
        samples_M = np.where(inside_M, rows_M * self.side + columns_M, 0)
        seen = np.flatnonzero(inside_M & (points_M3[:, 2] > self.nearness_HW.ravel()[samples_M]))
        # Of points on one sample the last one stays, so the nearest comes last.
        seen = seen[np.argsort(points_M3[seen, 2], kind="stable")]
        self.nearness_HW.ravel()[samples_M[seen]] = points_M3[seen, 2]
        self.colours_HW3.reshape(-1, 3)[samples_M[seen]] = colours_M3[seen]


def _barycentric(count: int) -> NDArray[np.float64]:
    """Weights of corners, (M, 3), of the points of a triangle whose edges are divided into `count` parts."""
    first, second = np.meshgrid(np.arange(count + 1), np.arange(count + 1))
    inside = first + second <= count
    first, second = first[inside], second[inside]
    return np.stack([first, second, count - first - second], axis=1) / count
