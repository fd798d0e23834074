"""Colours along the rays of posed views: radiance fields, whose INRs give a colour and a density at each point.
Formulas: docs/derivations/volume_rendering.md#where-a-ray-is-sampled.

Shape letters: B INRs, T snapshots, K rays, S samples of a ray, V views, C channels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.lazy import lazy
from inrzoo.observations import ArraySpec, Comparison, Observation
from inrzoo.volume_rendering import Density, Observer, VolumeRenderer

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy("torch", globals())

ROUNDING = 1e-6
"""Relative error by which an INR must be better than the background alone, so that rounding does not decide."""
MAX_SAMPLES = 2**14
"""Maximum number of samples of a ray, far beyond what a pixel needs."""


@dataclass(frozen=True, kw_only=True)
class Rays(Observation):
    """Compares the volume rendering of an INR with the pixels of posed views of one object or scene.

    The INR maps a position in the cube [-extent, extent]^3 of the manifest to C + 1 outputs: C channels of colour
    through a sigmoid, and a density. Nothing outside the cube is seen. A ray is cut into `samples` intervals of equal
    length between the points where it enters and leaves the cube; lengths are in units of [-1, 1]^3. With
    `fit.num_coords` a step draws so many pixels, and for each ray a place in all of its intervals; otherwise it takes
    all pixels at the middles. Quality is always of the middles.

    Signals have the grid (V, rows, columns). Beside them: `poses`, (V, 3, 4), camera to world with OpenGL's axes (x
    right, y up, the camera looks along −z); `intrinsics`, (4,): focal lengths and centre in pixels, fx, fy, cx, cy;
    `held_out_poses` and `held_out_signals` of views that no fit sees.

    Attributes:
        background: colour behind the cube, which the views were laid on: the upper or the lower end of the range.
        samples: S.
        density: the density of an output x is density_scale · softplus(x + density_shift), or with `relu`
            density_scale · max(0, x + density_shift). An INR with `relu` whose x is below 0 everywhere shows the
            background for ever, as it has no gradient.
        density_scale, density_shift: see `density`; the scale is above 0.

    Example:
        >>> Rays(samples=64).measure_names
        ('held_out_psnr',)
    """

    arrays: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "poses": ("view", "row", "column"),
        "intrinsics": ("intrinsic",),
        "held_out_poses": ("held_out_view", "row", "column"),
        "held_out_signals": ("held_out_coord", "channel"),
    }
    extra_outputs: ClassVar[int] = 1

    background: Literal["white", "black"] = "white"
    samples: int = 32
    density: Density = "softplus"
    density_scale: float = 1.0
    density_shift: float = 0.0

    def __post_init__(self) -> None:
        """Reject impossible numbers."""
        for field, value, possible, allowed in (
            ("samples", self.samples, 1 <= self.samples <= MAX_SAMPLES, f"from 1 to {MAX_SAMPLES}"),
            ("density_scale", self.density_scale, 0 < self.density_scale < math.inf, "above 0"),
            ("density_shift", self.density_shift, math.isfinite(self.density_shift), "finite"),
        ):
            if not possible:
                raise InrzooError(f"rays.{field} = {value} is impossible; it must be {allowed}")

    @property
    def evaluations(self) -> int:
        """See `Observation.evaluations`."""
        return self.samples

    @property
    def measure_names(self) -> tuple[str, ...]:
        """See `Observation.measure_names`."""
        return ("held_out_psnr",)

    def picture_sizes(self, grid: Sequence[int]) -> tuple[int, ...]:
        """See `Observation.picture_sizes`."""
        return tuple(grid[1:])

    def num_axes(self, grid: Sequence[int], declared: Mapping[str, ArraySpec]) -> int:
        """See `Observation.num_axes`."""
        return 3

    def expected(
        self, grid: Sequence[int], declared: Mapping[str, ArraySpec], channels: int
    ) -> dict[str, tuple[int, ...]]:
        """See `Observation.expected`."""
        held_out = declared["held_out_poses"].shape[0]
        return {
            "poses": (grid[0], 3, 4),
            "intrinsics": (4,),
            "held_out_poses": (held_out, 3, 4),
            "held_out_signals": (held_out * math.prod(grid[1:]), channels),
        }

    def where(
        self, arrays: Mapping[str, NDArray[Any]], grid: Sequence[int], extent: float
    ) -> NDArray[np.float32] | None:
        """Rays of the fitted views: origins and unit directions in the units of [-1, 1]^3, (B, K, 6)."""
        return rays_of(arrays["poses"], arrays["intrinsics"], grid[1:])

    def held_out(
        self, arrays: Mapping[str, NDArray[Any]], grid: Sequence[int], extent: float
    ) -> tuple[NDArray[np.float32], NDArray[Any]] | None:
        """See `Observation.held_out`."""
        return rays_of(arrays["held_out_poses"], arrays["intrinsics"], grid[1:]), arrays["held_out_signals"]

    def observer(self, *, extent: float, value_range: tuple[float, float]) -> Observer | None:
        """See `Observation.observer`."""
        return VolumeRenderer(
            samples=self.samples,
            density=self.density,
            density_scale=self.density_scale,
            density_shift=self.density_shift,
            background=self.background_value(value_range),
            value_range=value_range,
            extent=extent,
        )

    def measure(self, fitted: Comparison, held_out: Comparison | None) -> dict[str, Tensor]:
        """PSNR of each held-out view, and the mean over the views; see `Observation.measure`."""
        assert held_out is not None, "signals of this observation have held-out views"
        low, high = held_out.value_range
        errors = (held_out.values_BTKC.double() - held_out.targets_BKC[:, None].double()).square().mean(dim=-1)
        views_BTV = errors.unflatten(-1, (-1, math.prod(held_out.grid[1:]))).mean(dim=-1)
        return {"held_out_psnr": (10.0 * ((high - low) ** 2 / views_BTV).log10()).mean(dim=-1).float()}

    def failed(self, fitted: Comparison, measures: dict[str, Tensor]) -> Tensor | None:
        """See `Observation.failed`: a fit fails that is no better than the background alone."""
        nothing_B = (fitted.targets_BKC.double() - self.background_value(fitted.value_range)).square().sum(dim=(1, 2))
        return ~(fitted.squared_errors[:, -1] < (1 - ROUNDING) * nothing_B)

    def background_value(self, value_range: tuple[float, float]) -> float:
        """The value of the background in every channel."""
        return value_range[1 if self.background == "white" else 0]


def rays_of(poses_BV34: NDArray[Any], intrinsics_B4: NDArray[Any], size: Sequence[int]) -> NDArray[np.float32]:
    """Rays through the middles of the pixels of views, view by view and row by row.

    Args:
        poses_BV34: camera to world.
        intrinsics_B4: fx, fy, cx, cy in pixels.
        size: rows and columns.

    Returns:
        Origins and unit directions, (B, V · rows · columns, 6).

    Example:
        >>> pose = np.concatenate([np.eye(3), [[0], [0], [4]]], axis=1)
        >>> rays_of(pose[None, None], np.array([[1.0, 1.0, 0.5, 0.5]]), (1, 1)).tolist()
        [[[0.0, 0.0, 4.0, 0.0, 0.0, -1.0]]]
    """
    poses = poses_BV34.astype(np.float64)
    directions = np.einsum("bvij,bhwj->bvhwi", poses[..., :3], camera_directions(intrinsics_B4, size))
    origins = np.broadcast_to(poses[:, :, None, None, :, 3], directions.shape)
    rays = np.concatenate([origins, directions], axis=-1)
    return rays.reshape(len(rays), -1, 6).astype(np.float32)


def camera_directions(intrinsics_B4: NDArray[Any], size: Sequence[int]) -> NDArray[np.float64]:
    """Directions through the middles of the pixels on the axes of the camera, of length 1, (B, rows, columns, 3).

    Args:
        intrinsics_B4: fx, fy, cx, cy in pixels.
        size: rows and columns.

    Example:
        >>> camera_directions(np.array([[1.0, 1.0, 0.5, 0.5]]), (1, 1)).tolist()
        [[[[0.0, 0.0, -1.0]]]]
    """
    rows, columns = np.meshgrid(np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5, indexing="ij")
    fx, fy, cx, cy = intrinsics_B4.astype(np.float64).T[:, :, None, None]
    seen_BHW3 = np.stack([(columns - cx) / fx, (cy - rows) / fy, np.broadcast_to(-1.0, (len(fx), *rows.shape))], -1)
    seen_BHW3 /= np.linalg.norm(seen_BHW3, axis=-1, keepdims=True)
    return seen_BHW3


def looking_at_0(direction: NDArray[np.float64], distance: float) -> NDArray[np.float64]:
    """Return the pose, (3, 4), of a camera at `distance` times a direction of length 1; the third axis is up.

    Example:
        >>> looking_at_0(np.array([0.0, 0.0, 1.0]), 4.0)[:, 3].tolist()
        [0.0, 0.0, 4.0]
    """
    level = math.sqrt(direction[0] ** 2 + direction[1] ** 2)
    # Straight above 0, where no direction is up in the picture, x is to the right.
    right = np.array([-direction[1], direction[0], 0]) / level if level > 1e-9 else np.array([1.0, 0, 0])
    return np.column_stack([right, np.cross(direction, right), direction, distance * direction])
