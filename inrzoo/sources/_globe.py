"""Points of a grid of latitudes and longitudes on the unit sphere, where neither a pole nor a seam is an edge.

Shape letters: R latitudes (rows), M longitudes (meridians), K points.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError

Poles = Literal["same", "first", "drop"]

SAME_DEGREES = 1e-4
"""Distance in degrees below which two longitudes are the same, or a latitude is a pole; float32 holds 360 to 3e-5."""


class GlobePoints(NamedTuple):
    """The points of a grid that a fit sees and those that are held out.

    Attributes:
        fitted: their positions in the grid in row-major order, ascending, int64.
        held_out: likewise; disjoint from `fitted`.
        pole_rows: rows of the grid that are a pole, of which one point is taken.
    """

    fitted: NDArray[np.int64]
    held_out: NDArray[np.int64]
    pole_rows: tuple[int, ...]


def unit_vectors(latitudes_R: NDArray[np.float64], longitudes_M: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the points (x, y, z) of a grid on the unit sphere, (R·M, 3), in row-major order.

    The pole is on z, and x points at longitude 0.

    Args:
        latitudes_R, longitudes_M: in degrees, to the north and to the east.

    Example:
        >>> unit_vectors(np.array([0.0]), np.array([0.0, 90.0])).round(6).tolist()
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """
    latitudes, longitudes = np.meshgrid(np.radians(latitudes_R), np.radians(longitudes_M), indexing="ij")
    level = np.cos(latitudes)
    points = np.stack([level * np.cos(longitudes), level * np.sin(longitudes), np.sin(latitudes)], axis=-1)
    return points.reshape(-1, 3).astype(np.float32)


def globe_points(
    place: str,
    latitudes_R: NDArray[np.float64],
    longitudes_M: NDArray[np.float64],
    stride: int,
    num_held_out: int,
    poles: Poles,
    seed: int,
) -> GlobePoints:
    """Choose the points of a grid that a fit sees, and held-out ones between them.

    A fit sees every `stride`-th latitude and longitude. A row at a pole is one point, its first, or left out with
    `poles = "drop"`; a last longitude that is the first one again is left out.

    Args:
        place: name of the file, for messages.
        num_held_out: maximum number of held-out points; if there are more, they are drawn evenly over the area.
        seed: seed of that draw.

    Raises:
        InrzooError: latitudes or longitudes cannot be on a globe, a longitude occurs twice, or nothing is left.
    """
    if np.abs(latitudes_R).max() > 90 + SAME_DEGREES:
        worst = latitudes_R[np.abs(latitudes_R).argmax()]
        raise InrzooError(f"{place}: the latitude {worst:g} is beyond 90; source.coords names the latitude first")
    rows, meridians = np.arange(len(latitudes_R)), np.arange(len(longitudes_M))
    if _turn(longitudes_M[-1] - longitudes_M[0]) < SAME_DEGREES:
        meridians = meridians[:-1]
    for name, degrees in (("latitude", latitudes_R), ("longitude", longitudes_M[meridians] % 360)):
        ascending = np.sort(degrees)
        if name == "longitude":
            ascending = np.append(ascending, ascending[0] + 360)
        if len(twice := np.flatnonzero(np.diff(ascending) < SAME_DEGREES)):
            raise InrzooError(f"{place}: the {name} {ascending[twice[0]]:g} occurs twice; a globe needs each once")
    is_pole_R = np.abs(latitudes_R) > 90 - SAME_DEGREES
    pole_rows = tuple(int(row) for row in np.flatnonzero(is_pole_R))
    if poles == "drop":
        rows, pole_rows = rows[~is_pole_R], ()
    positions = rows[:, None] * len(longitudes_M) + meridians
    taken = np.ones(positions.shape, dtype=bool)
    taken[is_pole_R[rows], 1:] = False
    seen = np.zeros(positions.shape, dtype=bool)
    seen[::stride, ::stride] = True
    fitted, held_out = positions[taken & seen], positions[taken & ~seen]
    if len(fitted) < 2 or not len(held_out):
        raise InrzooError(
            f"{place}: source.stride = {stride} leaves {len(fitted)} of the points to fit, {len(held_out)} held out; "
            "a lower one leaves more to fit"
        )
    if len(held_out) > num_held_out:
        area = np.cos(np.radians(latitudes_R[held_out // len(longitudes_M)])).clip(1e-6)
        # Weighted draw without replacement: the smallest of exponential variables with these rates.
        uniform = (np.random.Philox(key=seed).random_raw(len(held_out)) + 0.5) / 2.0**64
        held_out = np.sort(held_out[np.argsort(-np.log(uniform) / area, kind="stable")[:num_held_out]])
    return GlobePoints(fitted.astype(np.int64), held_out.astype(np.int64), pole_rows)


def _turn(degrees: float) -> float:
    """Distance of an angle from the next whole turn, in degrees."""
    return float(abs((degrees + 180) % 360 - 180))
