"""Scenes in folders: which pictures show them, and by which cameras, in the layouts of NeRF and of SRN.

NeRF (Mildenhall et al. 2020, arXiv 2003.08934), its synthetic scenes: `transforms_train.json` and, held out,
`transforms_val.json` and `transforms_test.json`, with `camera_angle_x` and frames of `file_path` and
`transform_matrix`.

SRN (Sitzmann et al. 2019, arXiv 1906.01618), its renders of ShapeNet: `intrinsics.txt`, `rgb/NAME.png` and
`pose/NAME.txt`.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inrzoo.sources._unreadable import UnreadableError
from inrzoo.sources._views import OPENGL_FROM_OPENCV, check_pose, spread
from inrzoo.sources.image_folder import SUFFIXES

FITTED, HELD_OUT = "transforms_train.json", ("transforms_val.json", "transforms_test.json")
INTRINSICS = "intrinsics.txt"
MARKS = (FITTED, *HELD_OUT, INTRINSICS)
"""Names of files, each of which makes a folder a scene."""
ANGLE_TOLERANCE = 1e-6
"""Maximum relative difference between the angles of the three files of a scene."""


@dataclass(frozen=True)
class View:
    """A picture and its camera.

    Attributes:
        picture: name of the picture in the scene's folder.
        pose: camera to world, rows [R | t], (3, 4), OpenGL's axes, in units of the file.
    """

    picture: str
    pose: NDArray[np.float64]


@dataclass(frozen=True)
class Scene:
    """The views of a scene.

    Attributes:
        fitted: views that INRs are fitted to.
        held_out: views that no fit sees.
        lens: fx, fy, cx, cy in pixels of pictures of a number of rows and columns, those of the files.
        files: names of the files, in the scene's folder, that say all this.
    """

    fitted: tuple[View, ...]
    held_out: tuple[View, ...]
    lens: Callable[[int, int], NDArray[np.float64]]
    files: tuple[str, ...]


def read_scene(
    names: frozenset[str], read: Callable[[str], bytes], num_views: int | None, num_held_out: int | None
) -> Scene:
    """Read which views a scene has, and choose among them.

    Args:
        names: names of the files in the scene's folder.
        read: reads one of them.
        num_views, num_held_out: numbers of views to choose, evenly spread; None for all. Of SRN's views, which are not
            parted, the held-out ones are chosen first; if both are None every fifth one, and if only `num_held_out` is
            None those that are not fitted.

    Raises:
        UnreadableError: files are damaged or absent, or a camera is none.
    """
    if INTRINSICS in names and not {FITTED, *HELD_OUT} & names:
        return _read_srn(names, read, num_views, num_held_out)
    return _read_nerf(names, read, num_views, num_held_out)


def _read_nerf(
    names: frozenset[str], read: Callable[[str], bytes], num_views: int | None, num_held_out: int | None
) -> Scene:
    if FITTED not in names:
        raise UnreadableError(f"lacks {FITTED}")
    files = [name for name in (FITTED, *HELD_OUT) if name in names]
    if len(files) == 1:
        raise UnreadableError(f"has no held-out views: it lacks {' and '.join(HELD_OUT)}")
    tables = {name: _json(name, read(name)) for name in files}
    angles = {name: _angle(name, table) for name, table in tables.items()}
    for name, angle in angles.items():
        if abs(angle - angles[FITTED]) > ANGLE_TOLERANCE * angles[FITTED]:
            raise UnreadableError(
                f"has camera_angle_x = {angle:g} in {name} and {angles[FITTED]:g} in {FITTED}; all views of a scene "
                "have one camera"
            )
    parts = {name: _frames(name, table) for name, table in tables.items()}
    others = [view for name in files[1:] for view in parts[name]]
    fitted = [_located(view, names) for view in _chosen(parts[FITTED], num_views, "num_views", "to fit")]
    held_out = [_located(view, names) for view in _chosen(others, num_held_out, "num_held_out", "held out")]
    counts = Counter(view.picture for view in (*fitted, *held_out))
    if twice := [name for name, count in counts.items() if count > 1]:
        raise UnreadableError(f"names the picture {_short(repr(twice[0]))} twice; a view is either fitted or held out")
    tangent = math.tan(angles[FITTED] / 2)

    def lens(rows: int, columns: int) -> NDArray[np.float64]:
        focal = columns / (2 * tangent)
        return np.array([focal, focal, columns / 2, rows / 2])

    return Scene(tuple(fitted), tuple(held_out), lens, tuple(files))


def _json(name: str, content: bytes) -> dict[str, Any]:
    try:
        table = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"has a damaged {name} ({_short(str(error))})") from error
    if not isinstance(table, dict):
        raise UnreadableError(f"has no table in {name}")
    return table


def _angle(name: str, table: dict[str, Any]) -> float:
    """Return the horizontal field of view of the cameras in radians."""
    if "camera_angle_x" not in table:
        raise UnreadableError(f"has no camera_angle_x in {name}")
    angle = table["camera_angle_x"]
    if isinstance(angle, bool) or not isinstance(angle, int | float) or not 1e-4 <= angle <= math.pi - 1e-4:
        raise UnreadableError(
            f"has camera_angle_x = {_short(repr(angle))} in {name}; expected an angle between 0 and π, in radians"
        )
    return float(angle)


def _frames(name: str, table: dict[str, Any]) -> list[View]:
    """Return the views of a file; their names are as typed, less a leading `./`."""
    frames = table.get("frames")
    if not isinstance(frames, list) or not all(isinstance(frame, dict) for frame in frames):
        raise UnreadableError(f"has no list of frames in {name}")
    views = []
    for number, frame in enumerate(frames):
        path = frame.get("file_path")
        if not isinstance(path, str) or not path:
            raise UnreadableError(f"has no file_path in frame {number} of {name}")
        pure = PurePosixPath(path)
        if pure.is_absolute() or ".." in pure.parts or "\\" in path:
            raise UnreadableError(f"has the file_path {_short(repr(path))} in {name}, which leaves the scene's folder")
        views.append(View(str(pure), _pose(_short(repr(str(pure))), frame.get("transform_matrix"))))
    return views


def _pose(camera: str, rows: Any) -> NDArray[np.float64]:
    """Return the pose in rows of numbers; `camera` names the view in messages."""
    if rows is None:
        raise UnreadableError(f"has no camera (transform_matrix) for {camera}")
    whole = isinstance(rows, list) and all(isinstance(row, list) and len(row) == 4 for row in rows)
    if not whole or not all(type(entry) in (int, float) for row in rows for entry in row):
        raise UnreadableError(f"has a camera for {camera} that is no matrix of 4 x 4 numbers")
    try:
        return check_pose(np.array(rows, dtype=np.float64).reshape(len(rows), 4))
    except OverflowError as error:
        raise UnreadableError(f"has a camera for {camera} with entries that are not finite numbers") from error
    except UnreadableError as reason:
        raise UnreadableError(f"has a camera for {camera} that {reason}") from reason


def _located(view: View, names: frozenset[str]) -> View:
    """Return the view with the name of its file, which `file_path` may leave without its ending."""
    for name in (view.picture, f"{view.picture}.png"):
        if name in names and name.lower().endswith(SUFFIXES):
            return dataclasses.replace(view, picture=name)
    raise UnreadableError(f"lacks the picture {_short(repr(view.picture))}")


def _read_srn(
    names: frozenset[str], read: Callable[[str], bytes], num_views: int | None, num_held_out: int | None
) -> Scene:
    numbers = _numbers(INTRINSICS, read(INTRINSICS))
    lens, world_to_camera = _lens(numbers)
    pictures, poses = _by_stem(names, "rgb/", SUFFIXES), _by_stem(names, "pose/", (".txt",))
    if lost := sorted(pictures.keys() - poses.keys()):
        raise UnreadableError(f"has no camera for {pictures[lost[0]]}: it lacks pose/{lost[0]}.txt")
    if lost := sorted(poses.keys() - pictures.keys()):
        raise UnreadableError(f"lacks the picture of {poses[lost[0]]}")
    views = [View(pictures[name], _matrix(poses[name], read(poses[name]), world_to_camera)) for name in sorted(poses)]
    fitted, held_out = _parted(views, num_views, num_held_out)
    return Scene(fitted, held_out, lens, (INTRINSICS, *sorted(poses.values())))


def _by_stem(names: frozenset[str], folder: str, suffixes: tuple[str, ...]) -> dict[str, str]:
    """Return the files right in a folder with one of `suffixes`, by their names without it."""
    files = sorted(name for name in names if name.startswith(folder) and name.lower().endswith(suffixes))
    return {PurePosixPath(name).stem: name for name in files if "/" not in name.removeprefix(folder)}


def _numbers(name: str, content: bytes) -> list[list[float]]:
    """Return the numbers of each line that is not empty."""
    try:
        return [[float(word) for word in line.split()] for line in content.decode().splitlines() if line.strip()]
    except ValueError as error:
        raise UnreadableError(f"has something other than numbers in {name} ({_short(str(error))})") from error


def _lens(lines: Sequence[Sequence[float]]) -> tuple[Callable[[int, int], NDArray[np.float64]], bool]:
    """Return the lens of SRN's intrinsics, and whether poses are world to camera.

    The lines: f cx cy 0; the origin; the near plane, the scale, or both; height and width that f, cx and cy are pixels
    of; perhaps 1, if poses are world to camera. Origin, near plane and scale are for SRN's own grids, and not used.
    """
    lengths = [len(line) for line in lines]
    if not (lengths[:2] in ([3, 3], [4, 3]) and lengths[2:] in ([1, 2], [1, 1, 2], [1, 2, 1], [1, 1, 2, 1])):
        raise UnreadableError(f"has an {INTRINSICS} that is not SRN's: f cx cy 0; origin; near; scale; height width")
    focal, centre_x, centre_y = lines[0][:3]
    height, width = lines[lengths.index(2)]
    sizes_fit = 0 < focal < 1e6 * width and 1 <= height <= 1e6 and 1 <= width <= 1e6
    if not sizes_fit or not (0 <= centre_x <= width and 0 <= centre_y <= height) or any(lines[0][3:]):
        raise UnreadableError(
            f"has impossible numbers in {INTRINSICS}: f = {focal:g}, cx = {centre_x:g}, cy = {centre_y:g} in a "
            f"picture of {height:g} x {width:g}"
        )

    def lens(rows: int, columns: int) -> NDArray[np.float64]:
        across, down = columns / width, rows / height
        return np.array([focal * across, focal * down, centre_x * across, centre_y * down])

    return lens, lengths[-1] == 1 and lines[-1][0] == 1


def _matrix(name: str, content: bytes, world_to_camera: bool) -> NDArray[np.float64]:
    """Return the pose of a text file with 16 numbers, which has OpenCV's axes."""
    numbers = [number for line in _numbers(name, content) for number in line]
    if len(numbers) != 16:
        raise UnreadableError(f"has a camera in {name} of {len(numbers)} numbers; expected 4 x 4")
    try:
        pose = check_pose(np.array(numbers).reshape(4, 4))
    except UnreadableError as reason:
        raise UnreadableError(f"has a camera in {name} that {reason}") from reason
    rotation, position = pose[:, :3], pose[:, 3]
    if world_to_camera:
        rotation, position = rotation.T, -rotation.T @ position
    return np.column_stack([rotation @ OPENGL_FROM_OPENCV, position])


def _parted(
    views: list[View], num_views: int | None, num_held_out: int | None
) -> tuple[tuple[View, ...], tuple[View, ...]]:
    """Part views that are not parted yet into fitted and held-out ones; see `read_scene`."""
    if num_held_out is None and num_views is not None:
        num_held_out = len(views) - num_views
    elif num_held_out is None:
        num_held_out = max(1, len(views) // 5)
    if not 1 <= num_held_out < len(views):
        raise UnreadableError(
            f"has {len(views)} views, and {num_held_out} held out leave none to fit or none held out; "
            "num_views + num_held_out may be at most the number of views"
        )
    chosen = set(spread(len(views), num_held_out).tolist())
    rest = [view for number, view in enumerate(views) if number not in chosen]
    return _chosen(rest, num_views, "num_views", "to fit"), tuple(views[number] for number in sorted(chosen))


def _chosen(views: list[View], count: int | None, field: str, what: str) -> tuple[View, ...]:
    """Return `count` of the views, evenly spread."""
    if not views:
        raise UnreadableError(f"has no views {what}")
    if count is not None and count > len(views):
        raise UnreadableError(f"has {len(views)} views {what}, fewer than {field} = {count}")
    return tuple(views if count is None else [views[number] for number in spread(len(views), count)])


def _short(text: str) -> str:
    """Return the beginning of a text from a file."""
    return text if len(text) <= 80 else f"{text[:80]}…"
