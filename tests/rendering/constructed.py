"""INRs whose values are known."""

import numpy as np
import torch

BLOCK = (slice(1, 4), slice(2, 5), slice(1, 6))
"""The occupied voxels of the first signal of the store `voxels`, of 6 × 7 × 8."""
EXTENT = 2.0
"""Extent of the coordinates of the store `solids`."""
CENTRE = np.array([0.1, -0.2, 0.3])


def sphere(signal: int, seed: int, step: int, coords: np.ndarray) -> torch.Tensor:
    """In place of `Store.render` for `solids`: the distance to a sphere of radius 0.5, whose limits ±0.5 become ±1."""
    distances = np.linalg.norm(coords.astype(np.float64) / EXTENT - CENTRE, axis=-1, keepdims=True) - 0.5
    return torch.from_numpy(np.clip(distances, -0.5, 0.5) / 0.5).float()
