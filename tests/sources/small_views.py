"""Small scenes with cameras, in the layouts of NeRF and of SRN."""

import json
import math
from typing import Any

import numpy as np
from small_datasets import noise, png

ANGLE = 0.7
"""Horizontal field of view of the small NeRF scenes, in radians."""


def pose(number: int, radius: float = 4.0) -> np.ndarray:
    """Camera to world, (4, 4), OpenGL's axes: a camera that looks at 0 from a place that depends on `number`."""
    angle, height = 1 + 2.4 * number, 0.2 + 0.1 * (number % 5)
    backward = np.array([math.cos(angle), math.sin(angle), height]) / math.hypot(1, height)
    right = np.array([-math.sin(angle), math.cos(angle), 0])
    matrix = np.eye(4)
    matrix[:3] = np.column_stack([right, np.cross(backward, right), backward, radius * backward])
    return matrix


def rgba(seed: int, rows: int, columns: int) -> np.ndarray:
    return np.dstack([noise(seed, rows, columns), noise(seed + 1000, rows, columns, 1)])


def frames(part: str, numbers: range, ending: str = "") -> dict[str, Any]:
    return {
        "camera_angle_x": ANGLE,
        "frames": [
            {"file_path": f"./{part}/r_{place}{ending}", "rotation": 0.1, "transform_matrix": pose(number).tolist()}
            for place, number in enumerate(numbers)
        ],
    }


def nerf_files(
    scene: str = "chair", counts: tuple[int, int, int] = (4, 1, 2), rows: int = 8, columns: int = 8, seed: int = 0
) -> dict[str, bytes]:
    """The files of a scene in NeRF's layout, with RGBA noise; view n of all has the camera `pose(n)`."""
    files, first = {}, 0
    for part, count in zip(("train", "val", "test"), counts, strict=True):
        table = frames(part, range(first, first + count), ".png" if part == "val" else "")
        files[f"{scene}/transforms_{part}.json"] = json.dumps(table).encode()
        for place in range(count):
            files[f"{scene}/{part}/r_{place}.png"] = png(rgba(seed + first + place, rows, columns))
        first += count
    return files


SRN_INTRINSICS = b"150.0 64. 60. 0.\n0. 0. 0.\n1.\n128 128\n"


def srn_files(scene: str, count: int = 6, side: int = 8, seed: int = 0) -> dict[str, bytes]:
    """The files of an object in SRN's layout, with RGB noise; view n has the camera `pose(n)` on OpenCV's axes."""
    files = {f"{scene}/intrinsics.txt": SRN_INTRINSICS}
    for number in range(count):
        matrix = pose(number) @ np.diag([1, -1, -1, 1])
        files[f"{scene}/pose/{number:06d}.txt"] = " ".join(map(repr, matrix.ravel().tolist())).encode()
        files[f"{scene}/rgb/{number:06d}.png"] = png(noise(seed + number, side, side))
    return files
