"""Small meshes whose distances are known."""

from typing import Any

import numpy as np
import trimesh


def sphere(subdivisions: int = 2, radius: float = 1.0) -> Any:
    return trimesh.creation.icosphere(subdivisions=subdivisions, radius=radius)


def box(*extents: float) -> Any:
    return trimesh.creation.box(extents=extents or (1, 2, 4))


def open_box() -> Any:
    mesh = box()
    mesh.update_faces(np.arange(len(mesh.faces)) > 1)
    return mesh


def saved(mesh: Any, suffix: str = "off") -> bytes:
    content = mesh.export(file_type=suffix)
    return content.encode() if isinstance(content, str) else content


def box_distance(points: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Signed distance of a box with half extents `half` around 0, negative inside."""
    beyond = np.abs(points) - half
    return np.linalg.norm(np.maximum(beyond, 0), axis=1) + np.minimum(beyond.max(axis=1), 0)
