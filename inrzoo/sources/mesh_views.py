"""Meshes in class folders, rendered from seeded cameras: views for radiance fields."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from inrzoo.choices import ValueType
from inrzoo.observations import ArraySpec
from inrzoo.seeding import Stream
from inrzoo.sources import Signals
from inrzoo.sources._meshes import MESH_SUFFIXES, load_mesh
from inrzoo.sources._render import cameras, render, require_embree
from inrzoo.sources._shape_files import Shape, ShapeFiles
from inrzoo.sources._splits import check_counts
from inrzoo.sources._views import LEVELS, MAX_DISTANCE, Background, view_arrays

MIN_RADIUS = 1.75
"""Minimum distance of a camera: just outside the cube, whose corners are √3 away."""


@dataclass(frozen=True, kw_only=True)
class MeshViews(ShapeFiles):
    """Triangle meshes, rendered from `num_views` cameras and from held-out ones: one signal a mesh.

    Files, layouts and damage are those of `mesh_folder`, and `ShapeFiles` says how meshes are scaled; colours,
    materials and textures of files are not read. A mesh of `up = "y"` is turned by a quarter about x, so that z is up
    in the world. The columns `scale` and `centre_x`, … bring it back: a point p of the cube, on the axes of the file,
    is p / scale + centre in the file.

    A camera is `radius` away from 0 and looks at it. Surfaces have one `colour` and are matt: Lambert's law for two
    lights and an ambient one, which do not move with the camera, so that a side of a face has the same colour in every
    view. Faces may be turned either way. A pixel is the mean of four rays.

    Cameras depend on `seed` and on the id of the mesh alone, and pictures have the same bits for any number of workers.
    Rays are traced by embree in float32: where a ray meets the edge of two faces, a processor with other instructions
    may choose the other face.

    Attributes:
        size: rows and columns of a view.
        num_views: number of views to fit.
        num_held_out: number of held-out views, of another stream.
        radius: distance of the cameras from the centre, in units of the cube; above its corners.
        field_of_view: angle that a view spans, in degrees.
        hemisphere: draw cameras evenly over the upper half of the sphere, and not over all of it.
        up: the axis of the files that is up.
        colour: red, green and blue of the surfaces, 0 to 255.
        background: colour where there is no surface.
    """

    SOURCE = "mesh_views"
    NOUN = "meshes"
    LAYOUT = "[SPLIT/]CLASS/MESH or CLASS/SPLIT/MESH"
    SUFFIXES = MESH_SUFFIXES

    size: int = 64
    num_views: int = 25
    num_held_out: int = 6
    radius: float = 3.2
    field_of_view: float = 40.0
    hemisphere: bool = False
    up: Literal["y", "z"] = "y"
    colour: tuple[int, int, int] = (200, 200, 200)
    background: Background = "white"
    normalise: Literal["ball", "box"] = "ball"

    def __post_init__(self) -> None:
        counts = {"size": self.size, "num_views": self.num_views, "num_held_out": self.num_held_out}
        check_counts(self.SOURCE, 1, **counts)
        super().__post_init__()
        self.require("radius", MIN_RADIUS <= self.radius <= MAX_DISTANCE, f"from {MIN_RADIUS} to {MAX_DISTANCE:g}")
        self.require("field_of_view", 0.1 <= self.field_of_view <= 170, "from 0.1 to 170")
        self.require("colour", all(0 <= level <= 255 for level in self.colour), "three numbers from 0 to 255")

    def read(self, path: Path | None) -> Signals:
        """See `ShapeFiles.read`.

        Raises:
            InrzooError: as there, or embree is not installed.
        """
        if path is not None:
            require_embree(self.SOURCE)
        return super().read(path)

    def load(self, content: bytes, suffix: str) -> Shape:
        """See `ShapeFiles.load`."""
        shape = load_mesh(content, suffix, self.normalised)
        if self.up == "z":
            return shape
        import trimesh

        vertices = np.array(shape.geometry.vertices)[:, [0, 2, 1]] * [1, -1, 1]
        turned = trimesh.Trimesh(vertices, np.array(shape.geometry.faces), process=False)
        return dataclasses.replace(shape, geometry=turned)

    def table(self, shape: Shape, identifier: str) -> dict[str, NDArray[Any]]:
        """See `ShapeFiles.table`."""
        focal = self.size / (2 * math.tan(math.radians(self.field_of_view) / 2))
        intrinsics = np.array([focal, focal, self.size / 2, self.size / 2], dtype=np.float32)
        table: dict[str, NDArray[Any]] = {"intrinsics": intrinsics}
        for prefix, count in (("", self.num_views), ("held_out_", self.num_held_out)):
            stream = Stream(f"{prefix}views", self.SOURCE, self.seed, identifier)
            poses = cameras(stream, count, self.radius, self.hemisphere)
            views = render(shape.geometry, poses, intrinsics, self.size, self.colour, LEVELS[self.background])
            table[f"{prefix}poses"] = poses
            table[f"{prefix}signals"] = views if prefix == "" else views.reshape(-1, 3)
        return table

    @property
    def array_specs(self) -> tuple[tuple[int, ...], dict[str, ArraySpec]]:
        """See `ShapeFiles.array_specs`."""
        grid = (self.num_views, self.size, self.size)
        return grid, {"signals": ArraySpec((math.prod(grid), 3), "uint8"), **view_arrays(grid, self.num_held_out)}

    @property
    def value_type(self) -> ValueType:
        """See `ShapeFiles.value_type`."""
        return "uint8"
