"""Shapes as distances at points: all that meshes, clouds of points and voxels share.

Shape letters: K points that an INR is fitted to, M held-out points.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from inrzoo.choices import ValueType
from inrzoo.observations import ArraySpec
from inrzoo.seeding import Stream
from inrzoo.sources._shape_files import ScaledShapes, Shape
from inrzoo.sources._splits import check_counts

NEAR_WIDTHS = (0.01, 0.05)
"""Standard deviations of the distance of points near the surface, in turn, in units of the cube [-1, 1]^3."""


@dataclass(frozen=True, kw_only=True)
class SurfacePoints(ScaledShapes):
    """Base class of sources of shapes that are measured at seeded points.

    A shape is moved and scaled into [-1, 1]^3. Of its K points the first `round(share_near · K)` lie near the surface:
    points drawn evenly over it plus N(0, 0.01) and N(0, 0.05) in turn, cut off at the cube; the others are uniform in
    the cube. M held-out points are uniform in the cube, so that an intersection over union is one of volumes; they are
    of another stream. Coordinates are rounded to float16 before anything is measured at them.

    `ScaledShapes` has the other fields.

    Attributes:
        num_points: K, the number of points to fit.
        num_held_out: M, the number of points to measure the quality at.
        share_near: share of the points near the surface, from 0 to 1.
        clip: greatest distance, in units of the cube; greater ones become this.
        dtype: type of the distances.
    """

    num_points: int = 8192
    num_held_out: int = 4096
    share_near: float = 0.5
    clip: float = 0.1
    dtype: Literal["float16", "float32"] = "float16"

    def __post_init__(self) -> None:
        check_counts(self.SOURCE, 1, num_points=self.num_points, num_held_out=self.num_held_out)
        super().__post_init__()
        self.require("share_near", 0 <= self.share_near <= 1, "from 0 to 1")
        # float16 has no smaller normal number; 4 is more than the longest way in the cube.
        self.require("clip", 1e-4 <= self.clip <= 4, "from 0.0001 to 4")

    @abstractmethod
    def on_surface(self, shape: Shape, stream: Stream, count: int) -> NDArray[np.float64]:
        """Draw points of the shape, (count, 3)."""

    @abstractmethod
    def measure(self, shape: Shape, points_K3: NDArray[np.float64]) -> NDArray[Any]:
        """Measure the shape at points, (K,), of the type `value_type`."""

    @property
    def value_type(self) -> ValueType:
        """Type of the signals."""
        return self.dtype

    @property
    def array_specs(self) -> tuple[tuple[int, ...], dict[str, ArraySpec]]:
        """The grid of `Signals`, and shape and type of every array of a signal; the last axis of `signals` is C."""
        return (self.num_points,), {
            "signals": ArraySpec((self.num_points, 1), self.value_type),
            "points": ArraySpec((self.num_points, 3), "float16"),
            "held_out_points": ArraySpec((self.num_held_out, 3), "float16"),
            "held_out_signals": ArraySpec((self.num_held_out, 1), self.value_type),
        }

    def clipped(self, distance_K: NDArray[np.float64]) -> NDArray[Any]:
        """Round distances to the type of the signals, never beyond `clip` on either side."""
        bound = np.array(self.clip, dtype=self.dtype)
        if float(bound) > self.clip:
            bound = np.nextafter(bound, np.zeros_like(bound))
        clipped: NDArray[Any] = np.clip(distance_K.astype(self.dtype), -bound, bound)
        return clipped

    def table(self, shape: Shape, identifier: str) -> dict[str, NDArray[Any]]:
        """Make the arrays of one signal, as in `array_specs`."""
        table: dict[str, NDArray[Any]] = {}
        near = round(self.share_near * self.num_points)
        for prefix, count, num_near in (("", self.num_points, near), ("held_out_", self.num_held_out, 0)):
            points = self._draw(shape, Stream(f"{prefix}points", self.SOURCE, self.seed, identifier), count, num_near)
            table[f"{prefix}points"] = points
            table[f"{prefix}signals"] = self.measure(shape, points.astype(np.float64))[:, None]
        return table

    def _draw(self, shape: Shape, stream: Stream, count: int, num_near: int) -> NDArray[np.float16]:
        width = np.resize(NEAR_WIDTHS, num_near)[:, None]
        near = self.on_surface(shape, stream, num_near) + width * stream.normal(3 * num_near).reshape(-1, 3)
        uniform = stream.uniform(-1, 1, 3 * (count - num_near)).reshape(-1, 3)
        points: NDArray[np.float16] = np.clip(np.concatenate([near, uniform]), -1, 1).astype(np.float16)
        return points
