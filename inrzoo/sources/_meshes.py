"""Triangle meshes from files in memory: what is read, and distances and insides that do not depend on the machine.

Shape letters: V vertices, F faces, K points.
"""

from __future__ import annotations

import io
import json
import struct
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.seeding import Stream
from inrzoo.sources._shape_files import Shape
from inrzoo.sources._unreadable import UnreadableError

if TYPE_CHECKING:
    from trimesh import Trimesh

MESH_SUFFIXES = (".glb", ".obj", ".off", ".ply", ".stl")
MAX_FACES = 5_000_000
"""Maximum number of faces of a mesh; in a scene that shows one mesh many times, a small file holds more."""
MIN_FACES = 4
"""Minimum number of faces with an area: those of a tetrahedron."""
MIN_AREA = 1e-12
"""Area below which a face has none, in a mesh that fills [-1, 1]^3."""
PAIRS = 400_000
"""Number of pairs of a point and a face whose distances are computed at once, to bound memory."""
AXES = np.array([[0.9138, 0.2236, -0.3317], [-0.1732, 0.9381, 0.2449], [0.3162, -0.1414, 0.9274]])
"""Oblique axes, (3, 3): rays run along the third, which lies in no face of a model drawn along the usual axes."""


def read_arrays(content: bytes, suffix: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Read the vertices, (V, 3), and triangles, (F, 3), of a file, unchanged; all meshes of a scene become one.

    Files that the file refers to (materials, textures, buffers) are not read. A file of points has no triangles.

    Raises:
        UnreadableError: the file is damaged.
    """
    import trimesh

    # trimesh finds files beside this one by the name of the file object, which bytes in memory do not have.
    try:
        if suffix == ".glb":
            _check_accessors(content)
        # It raises whatever comes, and numpy warns on the way.
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            scene = trimesh.load_scene(io.BytesIO(content), file_type=suffix[1:], process=False, skip_materials=True)
            shown = [scene.geometry[scene.graph[node][1]] for node in scene.graph.nodes_geometry]
            if (count := sum(len(getattr(geometry, "faces", ())) for geometry in shown)) > MAX_FACES:
                raise UnreadableError(f"has {count} faces; the maximum is {MAX_FACES}")
            points = np.concatenate(
                [np.reshape(geometry.vertices, (-1, 3)) for geometry in shown] or [np.empty((0, 3))]
            )
            if not count:
                return points.astype(np.float64), np.empty((0, 3), np.int64)
            mesh = scene.to_mesh()
            return np.array(mesh.vertices, dtype=np.float64), np.array(mesh.faces, dtype=np.int64)
    except UnreadableError:
        raise
    except Exception as error:
        why = " ".join(f"{error}".split())[:100] or type(error).__name__
        raise UnreadableError(f"cannot be read as {suffix[1:].upper()} ({why})") from error


def _check_accessors(content: bytes) -> None:
    """Refuse a GLB file with numbers that it does not hold: trimesh fills them with zeros, however many."""
    (length,) = struct.unpack_from("<I", content, 12)
    for accessor in json.loads(content[20 : 20 + length]).get("accessors", []):
        if "bufferView" not in accessor and accessor["count"] > MAX_FACES:
            raise UnreadableError(f"declares {accessor['count']} vertices or faces without data")


def load_mesh(
    content: bytes,
    suffix: str,
    normalised: Callable[[NDArray[np.float64]], tuple[NDArray[np.float64], NDArray[np.float64], float]],
) -> Shape:
    """Read the mesh of a file; `normalised` is `ShapeFiles.normalised`.

    Raises:
        UnreadableError: there is none.
    """
    vertices_V3, faces_F3 = read_arrays(content, suffix)
    if not len(faces_F3):
        raise UnreadableError("has no faces")
    used, faces = np.unique(faces_F3, return_inverse=True)
    if used[0] < 0 or used[-1] >= len(vertices_V3):
        raise UnreadableError(f"has faces with vertex {used[-1] if used[0] >= 0 else used[0]} of {len(vertices_V3)}")
    vertices_V3, centre, scale = normalised(vertices_V3[used])
    mesh, watertight = triangle_mesh(vertices_V3, faces.reshape(-1, 3))
    return Shape(mesh, centre, scale, watertight)


def triangle_mesh(vertices_V3: NDArray[np.float64], faces_F3: NDArray[np.int64]) -> tuple[Trimesh, bool]:
    """Make a mesh of vertices in [-1, 1]^3, and say whether its surface is closed.

    Equal vertices are merged (STL files repeat them), and faces with one vertex twice are dropped. If the faces of a
    closed surface are turned in different directions, those of every body are turned outwards.

    Returns:
        The mesh, and whether every edge belongs to exactly two faces that are turned alike.

    Raises:
        UnreadableError: fewer than `MIN_FACES` faces have an area.
    """
    import trimesh

    mesh = trimesh.Trimesh(vertices_V3, faces_F3, process=False)
    mesh.merge_vertices()
    distinct = np.sort(mesh.faces, axis=1)
    mesh.update_faces((distinct[:, 0] < distinct[:, 1]) & (distinct[:, 1] < distinct[:, 2]))
    if (count := int((mesh.area_faces > MIN_AREA).sum())) < MIN_FACES:
        raise UnreadableError(f"has {count} faces with an area; a shape has at least {MIN_FACES}")
    closed = bool(mesh.is_watertight)
    if closed and not mesh.is_winding_consistent:
        trimesh.repair.fix_normals(mesh, multibody=True)
        closed = bool(mesh.is_winding_consistent)
    return mesh, closed


def on_surface(mesh: Trimesh, stream: Stream, count: int) -> NDArray[np.float64]:
    """Draw points evenly over the area of a mesh, (count, 3)."""
    area_F = np.cumsum(mesh.area_faces)
    # A draw near 1 may round up to the whole area, which lies behind the last face.
    face = np.minimum(np.searchsorted(area_F, stream.uniform(0, area_F[-1], count), "right"), len(area_F) - 1)
    u, v = stream.uniform(0, 1, 2 * count).reshape(2, count, 1)
    u, v = np.where(u + v > 1, 1 - u, u), np.where(u + v > 1, 1 - v, v)
    a, b, c = triangles(mesh)[face].transpose(1, 0, 2)
    surface: NDArray[np.float64] = a + u * (b - a) + v * (c - a)
    return surface


def distances(mesh: Trimesh, points_K3: NDArray[np.float64], clip: float) -> NDArray[np.float64]:
    """Return the distance of points to the nearest face of a mesh, at most `clip`, (K,).

    As in `trimesh.proximity.closest_point`, a face can be the nearest one only if its box reaches into the cube around
    the point that the nearest vertex bounds. Here `clip` bounds it, too, and faces go by `PAIRS`.
    """
    import trimesh
    from scipy.spatial import cKDTree

    corners_F33 = triangles(mesh)[mesh.area_faces > MIN_AREA]
    tree = trimesh.triangles.bounds_tree(corners_F33)
    reach_K1 = np.minimum(cKDTree(corners_F33.reshape(-1, 3)).query(points_K3)[0], clip)[:, None] + 1e-8
    distance_K = np.full(len(points_K3), float(clip))
    for point, face in pairs(tree, points_K3 - reach_K1, points_K3 + reach_K1):
        nearest = trimesh.triangles.closest_point(corners_F33[face], points_K3[point])
        np.minimum.at(distance_K, point, np.linalg.norm(nearest - points_K3[point], axis=1))
    if not np.isfinite(distance_K).all():
        raise InrzooError("the distance of a point to a mesh is not a number")
    return distance_K


def inside(mesh: Trimesh, points_K3: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return whether points lie inside a closed mesh, (K,): whether its surface winds around them.

    The winding number is the faces that a ray leaves through minus those that it enters through. So the overlap of two
    bodies is inside, and the hollow that a body turned inside out leaves in another one is outside. Parity, as in
    `trimesh.Trimesh.contains`, calls overlaps outside, and its rays in float32 step over thin boards.
    """
    import trimesh

    corners_F33 = triangles(mesh) @ AXES
    points_K3 = points_K3 @ AXES
    tree = trimesh.triangles.bounds_tree(corners_F33)
    ends_K3 = points_K3.copy()
    ends_K3[:, 2] = np.maximum(ends_K3[:, 2], corners_F33[:, :, 2].max())
    winding_K = np.zeros(len(points_K3), dtype=np.int64)
    for point, face in pairs(tree, points_K3, ends_K3):
        p, corners = points_K3[point], corners_F33[face]
        a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
        # Twice the projected areas of the triangles that the point makes with each edge.
        areas = np.stack([_cross(b - p, c - p), _cross(c - p, a - p), _cross(a - p, b - p)])
        turn = np.sign(areas[0])
        hit = np.flatnonzero((turn != 0) & (np.sign(areas) == turn).all(axis=0))
        heights = np.stack([a[hit, 2], b[hit, 2], c[hit, 2]])
        height = (areas[:, hit] * heights).sum(axis=0) / areas[:, hit].sum(axis=0)
        above = hit[height > p[hit, 2]]
        np.add.at(winding_K, point[above], turn[above].astype(np.int64))
    winds: NDArray[np.bool_] = winding_K != 0
    return winds


def _cross(u: NDArray[np.float64], v: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the third component of u × v."""
    cross: NDArray[np.float64] = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
    return cross


def pairs(
    tree: Any, low_K3: NDArray[np.float64], high_K3: NDArray[np.float64]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield pairs (point, face) of K boxes and the faces of a tree whose boxes meet them, at most `PAIRS` at once."""
    rows = max(1, 10 * PAIRS // len(tree))
    for start in range(0, len(low_K3), rows):
        face, counts = tree.intersection_v(low_K3[start : start + rows], high_K3[start : start + rows])
        point = start + np.repeat(np.arange(len(counts)), counts.astype(np.int64))
        for first in range(0, len(face), PAIRS):
            yield point[first : first + PAIRS], face[first : first + PAIRS]


def triangles(mesh: Trimesh) -> NDArray[np.float64]:
    """Return the corners of the faces, (F, 3, 3), as a plain array."""
    corners_F33: NDArray[np.float64] = np.array(mesh.vertices, dtype=np.float64)[np.array(mesh.faces)]
    return corners_F33
