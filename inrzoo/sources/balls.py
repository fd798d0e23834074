"""Coloured balls in posed views, made by a formula: an example of radiance fields that needs neither files nor tools.

Shape letters: V views, W held-out views, H rows and columns of a view.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from inrzoo.observations.rays import looking_at_0, rays_of
from inrzoo.seeding import Stream
from inrzoo.sources import Signals
from inrzoo.sources._formula import FormulaSource
from inrzoo.sources._splits import check_counts
from inrzoo.sources._views import view_arrays

COUNTS = {"one ball": 1, "two balls": 2, "three balls": 3}
"""Classes, and the number of balls of their signals."""
DISTANCE = 4.0
"""Distance of cameras from the centre, in units of the cube [-1, 1]^3."""
FIELD_OF_VIEW = math.radians(45)
"""Angle between the left and the right edge of a view."""
GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))


@dataclass(frozen=True, kw_only=True)
class Balls(FormulaSource):
    """One to three opaque balls of one colour each, without light or shade: twelve signals by default.

    Signal `n` has `1 + n mod 3` balls with radii from 0.2 to 0.45, whose centres, radii and colours are drawn from a
    stream of its own. Cameras stand on a spiral around the centre (its points fill the sphere evenly), all at one
    distance, and look at the centre; every fourth place of the spiral is of a held-out view while there are any left.
    A pixel is the colour that the ray through its middle meets.

    Attributes:
        size: H, rows and columns of a view.
        num_views: V, views that INRs are fitted to.
        num_held_out: W, views that quality is measured on.
        background: colour where a ray meets nothing.
    """

    SOURCE: ClassVar[str] = "balls"

    size: int = 24
    num_views: int = 9
    num_held_out: int = 3
    background: Literal["white", "black"] = "white"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts("balls", 1, size=self.size, num_views=self.num_views, num_held_out=self.num_held_out)

    def read(self, path: Path | None) -> Signals:
        """See `Source.read`; `path` must be None."""
        self.require_no_path(path)
        codes = np.arange(self.num_signals, dtype=np.int64) % len(COUNTS)
        focal = self.size / 2 / math.tan(FIELD_OF_VIEW / 2)
        intrinsics = np.array([focal, focal, self.size / 2, self.size / 2], dtype=np.float32)
        poses = _poses(self.num_views + self.num_held_out)
        places = np.arange(len(poses))
        held_out = np.sort(np.argsort((places % 4 != 3).astype(np.int64), kind="stable")[: self.num_held_out])
        groups = {"": np.delete(places, held_out), "held_out_": held_out}

        def values(indices: Sequence[int]) -> Iterator[tuple[int, dict[str, NDArray[Any]]]]:
            for index in indices:
                balls = _balls(index, 1 + index % len(COUNTS))
                table: dict[str, NDArray[Any]] = {"intrinsics": intrinsics}
                for prefix, chosen in groups.items():
                    rays = rays_of(poses[chosen][None], intrinsics[None], (self.size, self.size))[0]
                    table[f"{prefix}poses"] = poses[chosen]
                    table[f"{prefix}signals"] = _seen(rays.astype(np.float64), balls, self.background)
                yield index, table

        return Signals(
            grid=(self.num_views, self.size, self.size),
            channels=3,
            ids=[f"balls/{number:03d}" for number in range(self.num_signals)],
            labels={"count": codes},
            label_names={"count": list(COUNTS)},
            split=self.draw_split(codes),
            values=values,
            arrays=view_arrays((self.num_views, self.size, self.size), self.num_held_out),
        )


def _poses(count: int) -> NDArray[np.float32]:
    """Cameras on a spiral from above to below that look at the centre, (count, 3, 4)."""
    heights = 1 - (2 * np.arange(count) + 1) / count
    turns = GOLDEN_ANGLE * np.arange(count)
    rings = np.sqrt(1 - heights**2)
    backward = np.stack([rings * np.cos(turns), rings * np.sin(turns), heights], axis=1)
    return np.stack([looking_at_0(direction, DISTANCE) for direction in backward]).astype(np.float32)


def _balls(index: int, count: int) -> NDArray[np.float64]:
    """Centre, radius and colour of each ball, (count, 7); every ball lies in the cube."""
    stream = Stream("balls", "balls", 0, f"{index}")
    radii = stream.uniform(0.2, 0.45, count)[:, None]
    centres = (1 - radii) * stream.uniform(-0.8, 0.8, 3 * count).reshape(count, 3)
    return np.concatenate([centres, radii, stream.uniform(0, 0.9, 3 * count).reshape(count, 3)], axis=1)


def _seen(rays_K6: NDArray[np.float64], balls: NDArray[np.float64], background: str) -> NDArray[np.uint8]:
    """Colours of the first ball that each ray meets, (K, 3)."""
    origins, directions = rays_K6[:, :3], rays_K6[:, 3:]
    nearest = np.full(len(rays_K6), np.inf)
    colours = np.full((len(rays_K6), 3), 1.0 if background == "white" else 0.0)
    for ball in balls:
        towards = ball[:3] - origins
        middle = (towards * directions).sum(axis=1)
        inside = ball[3] ** 2 - (np.square(towards).sum(axis=1) - middle**2)
        distance = np.where(inside > 0, middle - np.sqrt(np.maximum(inside, 0)), np.inf)
        closer = distance < nearest
        nearest[closer], colours[closer] = distance[closer], ball[4:]
    seen: NDArray[np.uint8] = np.rint(255 * colours).astype(np.uint8)
    return seen
