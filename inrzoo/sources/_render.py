"""Pictures of meshes: seeded cameras around the cube [-1, 1]^3, and Lambert shading of what their rays hit first.

Shape letters: V views, N rays, S pixels of a side.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import MissingPackageError
from inrzoo.extras import install_command
from inrzoo.observations.rays import looking_at_0
from inrzoo.seeding import Stream
from inrzoo.sources._meshes import MIN_AREA, triangles
from inrzoo.sources._shape_files import require_shapes

if TYPE_CHECKING:
    from trimesh import Trimesh

AMBIENT = 0.3
"""Share of the surface's colour that is seen without any light."""
LIGHTS = ((0.55, (0.48, -0.6, 0.64)), (0.35, (-0.64, 0.48, -0.6)))
"""Brightness and direction, of length 1, of the key light and of a second one, from below and behind; z is up."""
OFFSETS = ((-0.25, -0.25), (-0.25, 0.25), (0.25, -0.25), (0.25, 0.25))
"""Places of the four rays of a pixel, (row, column) from its middle, in pixels."""


def cameras(stream: Stream, count: int, radius: float, hemisphere: bool) -> NDArray[np.float32]:
    """Draw cameras that look at 0, evenly over a sphere of a radius, or over its half with z >= 0.

    Points of the sphere come from points in the unit disc (Marsaglia 1972, "Choosing a point from the surface of a
    sphere") by a square root alone, so that they have the same bits on every machine.

    Returns:
        Poses as in `_views`, (count, 3, 4); z is up in the pictures.
    """
    places: list[tuple[float, float, float]] = []
    while len(places) < count:
        u, v = stream.uniform(-1, 1, 2).tolist()
        if (square := u * u + v * v) < 1:
            height, root = 1 - 2 * square, 2 * math.sqrt(1 - square)
            places.append((u * root, v * root, abs(height) if hemisphere else height))
    return np.stack([looking_at_0(np.array(place), radius) for place in places]).astype(np.float32)


def require_embree(source: str) -> None:
    """Look for what traces rays.

    Raises:
        MissingPackageError: a library for shapes or embree is not installed.
    """
    require_shapes(source)
    import trimesh

    if not trimesh.ray.has_embree:
        raise MissingPackageError(f"{source} needs embreex, for x86-64 processors: {install_command('shapes')}")


def render(
    mesh: Trimesh,
    poses_V34: NDArray[np.float32],
    intrinsics: NDArray[np.float32],
    size: int,
    colour: tuple[int, int, int],
    level: int,
) -> NDArray[np.uint8]:
    """Render a mesh in units of the cube.

    Each pixel is the mean of four rays. A ray that hits a face sees `colour` times its brightness: `AMBIENT` plus, for
    each of the `LIGHTS`, its brightness times the cosine between its direction and the face's normal on the side of the
    camera, if that is positive; 1 at most. Nothing casts a shadow. A ray that hits nothing sees the background.

    Args:
        mesh: its faces may be turned either way.
        poses_V34, intrinsics: cameras, see `_views`.
        size: S.
        colour: red, green, blue of the surface, 0 to 255.
        level: the value of the background, 0 to 255, in all channels.

    Returns:
        Shape (V, S, S, 3).
    """
    import trimesh
    from trimesh.ray.ray_pyembree import RayMeshIntersector

    corners_F33 = triangles(mesh)[mesh.area_faces > MIN_AREA]
    solid = trimesh.Trimesh(corners_F33.reshape(-1, 3), np.arange(3 * len(corners_F33)).reshape(-1, 3), process=False)
    edges = corners_F33[:, 1:] - corners_F33[:, :1]
    normals_F3 = np.cross(edges[:, 0], edges[:, 1])
    normals_F3 /= np.sqrt(_dot(normals_F3, normals_F3))[:, None]
    tracer = RayMeshIntersector(solid)
    views = [
        _view(tracer, normals_F3, pose.astype(np.float64), intrinsics.astype(np.float64), size, colour, level)
        for pose in poses_V34
    ]
    return np.stack(views)


def _view(
    tracer: Any,
    normals_F3: NDArray[np.float64],
    pose: NDArray[np.float64],
    intrinsics: NDArray[np.float64],
    size: int,
    colour: tuple[int, int, int],
    level: int,
) -> NDArray[np.uint8]:
    """Render one view, (S, S, 3)."""
    total = np.zeros((size * size, 3))
    for down, across in OFFSETS:
        rays_N3 = _rays(pose[:, :3], intrinsics, size, down, across)
        origins_N3 = np.broadcast_to(pose[:, 3], rays_N3.shape)
        face_N = tracer.intersects_first(origins_N3, rays_N3)
        hit = face_N >= 0
        seen = np.full((size * size, 3), float(level))
        brightness = _brightness(normals_F3[face_N[hit]], rays_N3[hit])
        seen[hit] = brightness[:, None] * np.array(colour, dtype=np.float64)
        total += seen
    picture: NDArray[np.uint8] = np.floor(total / len(OFFSETS) + 0.5).astype(np.uint8).reshape(size, size, 3)
    return picture


def _rays(
    rotation: NDArray[np.float64], intrinsics: NDArray[np.float64], size: int, down: float, across: float
) -> NDArray[np.float64]:
    """Return the directions of the rays of all pixels, row by row, (S · S, 3)."""
    fx, fy, cx, cy = intrinsics
    row, column = (axis.ravel() + 0.5 for axis in np.mgrid[:size, :size])
    x, y = (column + across - cx) / fx, -(row + down - cy) / fy
    # Products and sums one by one: a matrix product may round differently on another machine.
    rays_N3: NDArray[np.float64] = x[:, None] * rotation[:, 0] + y[:, None] * rotation[:, 1] - rotation[:, 2]
    return rays_N3


def _brightness(normals_N3: NDArray[np.float64], rays_N3: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the brightness of faces that rays hit, 0 to 1, (N,)."""
    side_N = np.where(_dot(normals_N3, rays_N3) > 0, -1.0, 1.0)
    brightness_N = np.full(len(normals_N3), AMBIENT)
    for strength, direction in LIGHTS:
        brightness_N += strength * np.maximum(0, side_N * _dot(normals_N3, np.array(direction)))
    lit_N: NDArray[np.float64] = np.minimum(brightness_N, 1)
    return lit_N


def _dot(a_N3: NDArray[np.float64], b_N3: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the products of vectors; see `_rays` for why not by a matrix product."""
    product: NDArray[np.float64] = (
        a_N3[..., 0] * b_N3[..., 0] + a_N3[..., 1] * b_N3[..., 1] + a_N3[..., 2] * b_N3[..., 2]
    )
    return product
