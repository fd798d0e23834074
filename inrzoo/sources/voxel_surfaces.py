"""Surfaces of voxels as unsigned distances at seeded points.

Shape letters: F faces, K points, N signals.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inrzoo.extras import needed
from inrzoo.seeding import Stream
from inrzoo.sources import Signals
from inrzoo.sources._shape_files import Shape
from inrzoo.sources._surface_points import SurfacePoints
from inrzoo.sources._unreadable import UnreadableError, leave_out
from inrzoo.sources.voxels import Voxels

CANDIDATES = 16
"""Number of faces whose distance to a point is computed first; of the others it may be known to be greater."""


class Faces(NamedTuple):
    """Squares between an occupied voxel and one that is not.

    Attributes:
        middle_F3: their middles.
        half_F3: half of their sides along each axis; 0 along the one that they stand on.
    """

    middle_F3: NDArray[np.float64]
    half_F3: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class VoxelSurfaces(SurfacePoints, Voxels):
    """The surface of each grid of voxels of a file as `voxels` reads it: all squares between occupied and empty voxels.

    Outside of the grid is empty, and what is hollow has a surface within, too. `ScaledShapes` says how shapes are
    scaled, `SurfacePoints` how points are drawn; the axes are those of the array, and `skip_unreadable` leaves out
    grids without an occupied voxel. The signal is the distance to the nearest square, exact.
    """

    SOURCE = "voxel_surfaces"

    def read(self, path: Path | None) -> Signals:
        """See `Voxels.read`."""
        with needed("shapes", self.SOURCE):
            import scipy.spatial
        del scipy
        grids = super().read(path)
        assert path is not None, "`Voxels.read` refuses it"
        shapes: dict[int, Shape] = {}
        empty: dict[str, str] = {}
        for index, occupied in grids.values(range(len(grids))):
            try:
                shapes[index] = dataclasses.replace(self.shape(np.asarray(occupied)), geometry=None)
            except UnreadableError as error:
                empty[grids.ids[index]] = str(error)
        leave_out(path, empty, len(grids), self.skip_unreadable, kind="grids", state="empty")

        def values(indices: Sequence[int]) -> Iterator[tuple[int, dict[str, NDArray[Any]]]]:
            for index, occupied in grids.values(indices):
                yield index, self.table(self.shape(np.asarray(occupied)), grids.ids[index])

        grid, declared = self.array_specs
        surfaces = dataclasses.replace(
            grids,
            grid=grid,
            values=values,
            dtype=self.value_type,
            arrays={name: spec for name, spec in declared.items() if name != "signals"},
            skipped=empty,
        )
        kept = surfaces.take(np.array(list(shapes), dtype=np.int64)) if empty else surfaces
        return dataclasses.replace(kept, numbers=self.numbers(list(shapes.values())))

    def shape(self, values_XYZ1: NDArray[Any]) -> Shape:
        """Return the surface of one grid of voxels, moved and scaled; its geometry are `Faces`.

        Raises:
            UnreadableError: no voxel is occupied.
        """
        occupied_XYZ = np.pad(values_XYZ1[..., 0] != 0, 1)
        corners = []
        for axis in range(3):
            # Position i along the axis lies between the voxels i − 1 and i: at the coordinate i of their common face.
            place_F3 = np.argwhere(np.diff(occupied_XYZ, axis=axis)).astype(np.float64)
            place_F3[:, [other for other in range(3) if other != axis]] -= 1  # the padding
            side_43 = np.insert(np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float64), axis, 0, axis=1)
            corners.append(place_F3[:, None] + side_43)
        corners_F43 = np.concatenate(corners)
        if not len(corners_F43):
            raise UnreadableError("has no occupied voxel")
        moved, centre, scale = self.normalised(corners_F43.reshape(-1, 3))
        low_F3, high_F3 = moved.reshape(-1, 4, 3).min(axis=1), moved.reshape(-1, 4, 3).max(axis=1)
        return Shape(Faces((low_F3 + high_F3) / 2, (high_F3 - low_F3) / 2), centre, scale, True)

    def on_surface(self, shape: Shape, stream: Stream, count: int) -> NDArray[np.float64]:
        """See `SurfacePoints.on_surface`; points are drawn evenly over the area."""
        faces: Faces = shape.geometry
        number = len(faces.middle_F3)
        chosen = np.minimum(stream.uniform(0, number, count).astype(np.int64), number - 1)
        inside: NDArray[np.float64] = faces.half_F3[chosen] * stream.uniform(-1, 1, 3 * count).reshape(-1, 3)
        return faces.middle_F3[chosen] + inside

    def measure(self, shape: Shape, points_K3: NDArray[np.float64]) -> NDArray[Any]:
        """See `SurfacePoints.measure`."""
        from scipy.spatial import cKDTree

        faces: Faces = shape.geometry
        tree, number = cKDTree(faces.middle_F3), len(faces.middle_F3)
        # A square is at most this much nearer than its middle.
        reach = float(np.linalg.norm(faces.half_F3, axis=1).max())
        distance_K, open_K, count = np.full(len(points_K3), self.clip), np.arange(len(points_K3)), CANDIDATES
        while len(open_K):
            count = min(count, number)
            to_middle, nearest = tree.query(points_K3[open_K], k=count)
            beyond = np.abs(points_K3[open_K, None] - faces.middle_F3[nearest]) - faces.half_F3[nearest]
            exact = np.linalg.norm(np.maximum(beyond, 0), axis=2).min(axis=1)
            distance_K[open_K] = np.minimum(exact, self.clip)
            others_are_farther = (distance_K[open_K] <= to_middle[:, -1] - reach) | (count == number)
            open_K, count = open_K[~others_are_farther], 4 * count
        return self.clipped(distance_K)
