"""Posed views: cameras, pixels over a background, and the arrays in which sources give them to the observation `rays`.

A pose is camera to world, rows [R | t], with OpenGL's axes: x to the right, y up, and the camera looks along -z.
Lengths are in units of the cube [-1, 1]^3 that bounds the scene. The ray of the pixel (row, column) goes through
((column + 0.5 - cx) / fx, -(row + 0.5 - cy) / fy, -1) of the camera's axes.

Shape letters: V fitted views, W held-out views, H rows, L columns, C channels.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.observations import ArraySpec
from inrzoo.sources._pixels import decode, open_image
from inrzoo.sources._unreadable import UnreadableError

Background = Literal["white", "black"]
Alpha = Literal["straight", "premultiplied"]

LEVELS = {"white": 255, "black": 0}
"""The value of a pixel of each background, 0 to 255."""
MAX_PIXELS = 2**24
"""Maximum number of pixels of a picture."""
MAX_DISTANCE = 1000.0
"""Maximum distance of a camera from the centre of the cube, in its units: float32 places points of its rays to 1e-4."""
ROTATION_TOLERANCE = 1e-3
"""Maximum deviation of an entry of R Rᵀ from the identity; files hold rotations to about six digits."""
OPENGL_FROM_OPENCV = np.diag([1.0, -1.0, -1.0])
"""Turns axes x right, y down, z forward into OpenGL's."""


def view_arrays(fitted: tuple[int, int, int], num_held_out: int) -> dict[str, ArraySpec]:
    """Return `Signals.arrays` of V views of H rows and L columns, `fitted` = (V, H, L), and W held-out ones."""
    num_views, rows, columns = fitted
    return {
        "poses": ArraySpec((num_views, 3, 4), "float32"),
        "intrinsics": ArraySpec((4,), "float32"),
        "held_out_poses": ArraySpec((num_held_out, 3, 4), "float32"),
        "held_out_signals": ArraySpec((num_held_out * rows * columns, 3), "uint8"),
    }


def spread(count: int, share: int) -> NDArray[np.int64]:
    """Return the numbers of `share` of `count` views, evenly spread.

    Example:
        >>> spread(10, 3).tolist()
        [1, 5, 8]
    """
    return ((np.arange(share) + 0.5) * count / share).astype(np.int64)


def check_pose(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rows [R | t], (3, 4), of a camera's matrix, (4, 4) or (3, 4).

    Raises:
        UnreadableError: it is no rigid motion; the message continues a sentence about the camera.
    """
    if matrix.shape not in ((3, 4), (4, 4)):
        raise UnreadableError(f"has a matrix of shape {matrix.shape}; expected (4, 4)")
    if not np.isfinite(matrix).all():
        raise UnreadableError("has a matrix with entries that are not finite numbers")
    if matrix.shape == (4, 4) and not np.allclose(matrix[3], [0, 0, 0, 1], rtol=0, atol=1e-6):
        raise UnreadableError(f"has the last row {matrix[3].tolist()}; that of a pose is [0, 0, 0, 1]")
    rotation = matrix[:3, :3]
    with np.errstate(over="ignore", invalid="ignore"):
        deviation = float(np.abs(rotation @ rotation.T - np.eye(3)).max())
        if not deviation <= ROTATION_TOLERANCE:
            raise UnreadableError(
                f"is no rigid motion: R Rᵀ differs from the identity by {deviation:.3g}; "
                f"the maximum is {ROTATION_TOLERANCE:g}"
            )
        if np.linalg.det(rotation) < 0:
            raise UnreadableError("is mirrored: its rotation has the determinant -1")
    return matrix[:3]


def place(poses_V34: NDArray[np.float64], centre: tuple[float, float, float], box: float) -> NDArray[np.float32]:
    """Return poses in units of the cube, (V, 3, 4): the centre becomes 0, and the length `box` becomes 1.

    Raises:
        UnreadableError: a camera is too far away, or all cameras look away from the centre.
    """
    placed = np.array(poses_V34, dtype=np.float64)
    placed[:, :, 3] = (placed[:, :, 3] - np.array(centre)) / box
    distance_V = np.linalg.norm(placed[:, :, 3], axis=1)
    if not (distance_V <= MAX_DISTANCE).all():
        raise UnreadableError(
            f"has a camera {distance_V.max():.3g} times box = {box:g} away from the centre; the maximum is "
            f"{MAX_DISTANCE:g}, and box is half the side of the cube that bounds the scene"
        )
    # The centre's third coordinate on the camera's axes, Rᵀ (0 - t), is negative in front of the camera.
    if (-(placed[:, :, 2] * placed[:, :, 3]).sum(axis=1) >= 0).all():
        raise UnreadableError(
            "has cameras that all look away from the centre of the box; their axes are not those of this format, or "
            "centre is wrong"
        )
    return placed.astype(np.float32)


def open_view(content: bytes, name: str) -> NDArray[np.uint8]:
    """Decode a picture, (H, L, 4), red, green, blue and alpha; alpha is 255 if the file has none.

    Raises:
        UnreadableError: it is damaged, in another format, deeper than 8 bits, or has more than `MAX_PIXELS` pixels.
    """
    # Pillow cuts colours of 16 bits to 8 without a word; the header of a PNG has the depth at byte 24.
    if content[:8] == b"\x89PNG\r\n\x1a\n" and content[24:25] == b"\x10":
        raise UnreadableError(f"has a picture of 16 bits: {name}; convert it to 8 bits per channel")
    try:
        columns, rows = open_image(content, name).size
        if rows * columns > MAX_PIXELS:
            raise UnreadableError(f"has a picture of {rows} x {columns}: {name}; the maximum is {MAX_PIXELS} pixels")
        return np.asarray(decode(content, name, "RGBA"), dtype=np.uint8)
    except InrzooError as error:
        raise UnreadableError(f"has a picture that cannot be read ({error})") from error


def composite(
    pixels_HL4: NDArray[np.uint8], background: Background, alpha: Alpha, grid: tuple[int, int]
) -> NDArray[np.uint8]:
    """Lay a picture over a background, and take the mean over the area of each new pixel.

    All sums are of whole numbers, and so exact; halves are rounded up.

    Args:
        pixels_HL4: red, green, blue and alpha.
        background: colour behind the picture.
        alpha: `"straight"`: colour = rgb · alpha + background · (1 - alpha); `"premultiplied"`: rgb is multiplied by
            alpha already.
        grid: new numbers of rows and columns, at most those of the picture.

    Returns:
        Shape (*grid, 3).

    Example:
        >>> half_red = np.array([[[255, 0, 0, 255], [0, 0, 0, 0]]], dtype=np.uint8)
        >>> composite(half_red, "white", "straight", (1, 1)).tolist()
        [[[255, 128, 128]]]
    """
    pixels_4HL = pixels_HL4.transpose(2, 0, 1).astype(np.float64)
    colour, opacity = pixels_4HL[:3], pixels_4HL[3]
    behind = LEVELS[background] * (255 - opacity)
    over_CHL = colour * opacity + behind if alpha == "straight" else np.minimum(255 * colour + behind, 255 * 255)
    rows, columns = opacity.shape
    # Products of whole numbers below 2^53, which float64 holds exactly whatever the order of the sums.
    sums_CHL = (_overlaps(rows, grid[0]) @ over_CHL @ _overlaps(columns, grid[1]).T).astype(np.int64)
    whole = 255 * rows * columns
    mean_CHL = (2 * sums_CHL + whole) // (2 * whole)
    mean_HLC: NDArray[np.uint8] = np.ascontiguousarray(mean_CHL.transpose(1, 2, 0), dtype=np.uint8)
    return mean_HLC


def _overlaps(size: int, new_size: int) -> NDArray[np.float64]:
    """Return how much of each of `size` pixels each of `new_size` pixels covers, (new_size, size), in 1/new_size."""
    starts, new_starts = np.arange(size) * new_size, np.arange(new_size)[:, None] * size
    overlaps: NDArray[np.float64] = np.clip(
        np.minimum(starts + new_size, new_starts + size) - np.maximum(starts, new_starts), 0, None
    ).astype(np.float64)
    return overlaps
