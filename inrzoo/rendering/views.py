"""Views of radiance fields: what a camera sees of an INR.

Shape letters: H rows, W columns, C channels.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.lazy import lazy
from inrzoo.observations.rays import looking_at_0, rays_of
from inrzoo.rendering.values import MAX_POINTS
from inrzoo.store import Store
from inrzoo.store.signal_reader import Evaluate

if TYPE_CHECKING:
    import torch
else:
    torch = lazy("torch", globals())

AZIMUTH, ELEVATION = math.radians(35.0), math.radians(25.0)
"""Direction of the standard camera, around the third axis and above the plane of the others."""
DISTANCE, FIELD_OF_VIEW = 4.0, math.radians(40.0)
"""Distance of the standard camera from the centre of [-1, 1]^3, and the angle between its left and right edge."""


def standard_pose() -> NDArray[np.float64]:
    """A camera from above that looks at the centre, with the third axis up, (3, 4)."""
    ring, height = math.cos(ELEVATION), math.sin(ELEVATION)
    return looking_at_0(np.array([ring * math.cos(AZIMUTH), ring * math.sin(AZIMUTH), height]), DISTANCE)


def camera_of(store: Store, signal: int, camera: int | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pose, (3, 4), and intrinsics, (4,), of a held-out view of a signal, or of the standard camera.

    Args:
        camera: number of the held-out view; None for the standard camera.

    Raises:
        InrzooError: there is no such view, or the store does not hold its signals.
    """
    if camera is None:
        return standard_camera(store.info.grid[1:])
    arrays = store.signal_table(np.array([signal])).arrays
    poses = arrays["held_out_poses"][0]
    if not 0 <= camera < len(poses):
        raise InrzooError(f"--camera {camera} is not allowed; expected 0 to {len(poses) - 1}, a held-out view")
    return poses[camera].astype(np.float64), arrays["intrinsics"][0].astype(np.float64)


def standard_camera(sizes: tuple[int, ...]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pose, (3, 4), and intrinsics, (4,), of the standard camera for a view of so many rows and columns."""
    rows, columns = sizes
    focal = max(rows, columns) / 2 / math.tan(FIELD_OF_VIEW / 2)
    return standard_pose(), np.array([focal, focal, columns / 2, rows / 2])


def view_of(
    store: Store, signal: int, seed: int, step: int, camera: int | None = None, finer: int = 1
) -> NDArray[np.float32]:
    """What a camera sees of an INR, on the value scale, (H, W, C).

    Args:
        camera: see `camera_of`.
        finer: factor of the rows and columns, with the same edges of the view.

    Raises:
        InrzooError: as `camera_of`, or the view would have more than `MAX_POINTS` pixels.
    """
    rows, columns = (finer * size for size in store.info.grid[1:])
    if finer < 1 or rows * columns > MAX_POINTS:
        most = math.isqrt(MAX_POINTS // math.prod(store.info.grid[1:]))
        raise InrzooError(f"--finer {finer} is not allowed; expected 1 to {most}")
    pose, intrinsics = camera_of(store, signal, camera)
    return _seen(store, store.weights[signal, seed, step], pose, finer * intrinsics, (rows, columns))


def seen_of(
    store: Store, weights_P: NDArray[np.float32], sizes: tuple[int, int], evaluate: Evaluate | None = None
) -> NDArray[np.float32]:
    """What the standard camera sees of an INR in so many rows and columns, on the value scale, (H, W, C).

    Args:
        evaluate: see `Store.predict`.
    """
    return _seen(store, weights_P, *standard_camera(sizes), sizes, evaluate)


def _seen(
    store: Store,
    weights_P: NDArray[np.float32],
    pose: NDArray[np.float64],
    intrinsics: NDArray[np.float64],
    sizes: tuple[int, int],
    evaluate: Evaluate | None = None,
) -> NDArray[np.float32]:
    rays = rays_of(pose[None, None], intrinsics[None], sizes)
    with torch.inference_mode():
        values = store.predict(torch.from_numpy(weights_P[None].copy()), torch.from_numpy(rays), evaluate)
    return values.reshape(*sizes, -1).numpy()
