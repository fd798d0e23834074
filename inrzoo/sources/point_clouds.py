"""Clouds of points in class folders as unsigned distances at seeded points."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inrzoo.seeding import Stream
from inrzoo.sources._arrays import read_numpy
from inrzoo.sources._files import MAX_BYTES
from inrzoo.sources._meshes import read_arrays
from inrzoo.sources._shape_files import Shape, ShapeFiles
from inrzoo.sources._surface_points import SurfacePoints
from inrzoo.sources._unreadable import UnreadableError

MIN_POINTS = 4
"""Minimum number of points of a cloud: those of a tetrahedron."""


@dataclass(frozen=True, kw_only=True)
class PointClouds(SurfacePoints, ShapeFiles):
    """Clouds of points, `[SPLIT/]CLASS/cloud.npy`: one array (V, 3 or more), in a `.npz` called `points`; or PLY.

    Columns after the third (normals, colours) and the faces of a PLY file are left out. `ShapeFiles` says how clouds
    are scaled, `SurfacePoints` how points are drawn; those near the surface lie near points of the cloud.

    The signal is the distance to the nearest point of the cloud. It is above the distance to the surface that the cloud
    was taken from, the more so the fewer its points; `mesh_folder` has exact distances.
    """

    SOURCE = "point_clouds"
    NOUN = "clouds"
    LAYOUT = "[SPLIT/]CLASS/CLOUD or CLASS/SPLIT/CLOUD"
    SUFFIXES = (".npy", ".npz", ".ply")

    def load(self, content: bytes, suffix: str) -> Shape:
        """See `ShapeFiles.load`."""
        points_V3 = read_arrays(content, suffix)[0] if suffix == ".ply" else _points(content)
        if len(points_V3) < MIN_POINTS:
            raise UnreadableError(f"has {len(points_V3)} points; a shape has at least {MIN_POINTS}")
        points_V3, centre, scale = self.normalised(points_V3)
        return Shape(points_V3, centre, scale, False)

    def on_surface(self, shape: Shape, stream: Stream, count: int) -> NDArray[np.float64]:
        """See `SurfacePoints.on_surface`; every point of the cloud is as likely."""
        drawn = stream.uniform(0, len(shape.geometry), count).astype(np.int64)
        chosen: NDArray[np.float64] = shape.geometry[np.minimum(drawn, len(shape.geometry) - 1)]
        return chosen

    def measure(self, shape: Shape, points_K3: NDArray[np.float64]) -> NDArray[Any]:
        """See `SurfacePoints.measure`."""
        from scipy.spatial import cKDTree

        return self.clipped(np.minimum(cKDTree(shape.geometry).query(points_K3)[0], self.clip))


def _points(content: bytes) -> NDArray[np.float64]:
    """Return the points of a file of numpy, (V, 3)."""
    arrays = read_numpy(io.BytesIO(content), MAX_BYTES)
    points = arrays.get("points", arrays.get(""))
    if points is None:
        raise UnreadableError(f"has no array points; it has: {', '.join(arrays) or 'none'}")
    if points.ndim != 2 or points.shape[1] < 3 or points.dtype.kind not in "fiu":
        raise UnreadableError(f"has an array of shape {points.shape} and type {points.dtype}; expected (points, 3)")
    return points[:, :3].astype(np.float64)
