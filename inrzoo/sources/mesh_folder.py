"""Meshes in class folders as signed or unsigned distances or occupancies at seeded points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from inrzoo.choices import ValueType
from inrzoo.seeding import Stream
from inrzoo.sources._meshes import MESH_SUFFIXES, distances, inside, load_mesh, on_surface
from inrzoo.sources._shape_files import Shape, ShapeFiles
from inrzoo.sources._surface_points import SurfacePoints


@dataclass(frozen=True, kw_only=True)
class MeshFolder(SurfacePoints, ShapeFiles):
    """Triangle meshes, `[SPLIT/]CLASS/mesh.off` or `CLASS/SPLIT/mesh.off`: OFF, OBJ, PLY, STL and GLB, by trimesh.

    `ShapeFiles` says how meshes are scaled, `SurfacePoints` how points are drawn. A file is read alone: materials,
    textures and whatever else it refers to are not. All meshes of a scene become one; equal vertices are merged, and
    nothing is repaired but the direction of the faces of a closed surface, where they differ. Axes stay those of the
    file.

    Distances are exact, to the nearest triangle. So the walls between the bodies of a mesh count, even inside.

    Attributes:
        quantity: `"udf"`, the unsigned distance; `"sdf"`, the signed one, negative inside; `"occupancy"`, uint8: 255
            inside and 0 outside, the ends of the value range. The last two need watertight meshes: each edge belongs to
            two faces. What several bodies of a mesh cover is inside; a body turned inside out is the hollow of another.
        skip_open: leave out meshes that are not watertight, for signed distances and occupancies; they are logged, and
            listed in `Signals.skipped`. Otherwise they are an error.
    """

    SOURCE = "mesh_folder"
    NOUN = "meshes"
    LAYOUT = "[SPLIT/]CLASS/MESH or CLASS/SPLIT/MESH"
    SUFFIXES = MESH_SUFFIXES

    quantity: Literal["sdf", "udf", "occupancy"] = "udf"
    skip_open: bool = False

    @property
    def value_type(self) -> ValueType:
        """See `SurfacePoints.value_type`."""
        return "uint8" if self.quantity == "occupancy" else self.dtype

    def load(self, content: bytes, suffix: str) -> Shape:
        """See `ShapeFiles.load`."""
        return load_mesh(content, suffix, self.normalised)

    def on_surface(self, shape: Shape, stream: Stream, count: int) -> NDArray[np.float64]:
        """See `SurfacePoints.on_surface`; points are drawn evenly over the area."""
        return on_surface(shape.geometry, stream, count)

    def measure(self, shape: Shape, points_K3: NDArray[np.float64]) -> NDArray[Any]:
        """See `SurfacePoints.measure`."""
        if self.quantity == "occupancy":
            return np.where(inside(shape.geometry, points_K3), 255, 0).astype(np.uint8)
        distance_K = distances(shape.geometry, points_K3, self.clip)
        if self.quantity == "sdf":
            distance_K = np.where(inside(shape.geometry, points_K3), -distance_K, distance_K)
        return self.clipped(distance_K)

    def numbers(self, shapes: Sequence[Shape]) -> dict[str, NDArray[Any]]:
        """See `ScaledShapes.numbers`; the column `watertight` is 1 or 0."""
        watertight = np.array([shape.watertight for shape in shapes], dtype=np.int64)
        return {**super().numbers(shapes), "watertight": watertight}

    def unsuitable(self, shape: Shape) -> str:
        """See `ShapeFiles.unsuitable`."""
        if self.quantity == "udf" or shape.watertight:
            return ""
        return f"is not watertight, so it has no {self.quantity} (quantity = udf needs no closed surface)"

    @property
    def skips_unsuitable(self) -> bool:
        """See `ShapeFiles.skips_unsuitable`."""
        return self.skip_open
