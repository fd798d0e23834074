"""Random subsets of the coordinates of signals.

Shape letters: B batch of signals, K coordinates, D in_features, C channels, J coordinates taken.
"""

import torch
from torch import Tensor


def random_subsets(batch: int, num_coords: int, count: int, like: Tensor) -> Tensor:
    """Draw `count` coordinates of each signal without replacement. Shape (B, J), int64, on the device of `like`.

    Raises:
        ValueError: the count is below 1 or above K.
    """
    _check(num_coords, count)
    return torch.rand(batch, num_coords, device=like.device).topk(count, dim=-1, sorted=False).indices


def fixed_subsets(batch: int, num_coords: int, count: int, number: int, like: Tensor) -> Tensor:
    """The same `count` random coordinates for all signals, a function of `number`. Shape (B, J), int64."""
    _check(num_coords, count)
    order = torch.randperm(num_coords, generator=torch.Generator().manual_seed(number))[:count]
    return order.to(like.device).expand(batch, count)


def take(coords: Tensor, values: Tensor, subsets_BJ: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates (B, J, D) and values (B, J, C) of subsets; `coords` (K, D) or (B, K, D), `values` (B, K, C)."""
    index_BJ1 = subsets_BJ[..., None]
    coords_BJD = coords[subsets_BJ] if coords.ndim == 2 else coords.take_along_dim(index_BJ1, dim=1)
    return coords_BJD, values.take_along_dim(index_BJ1, dim=1)


def _check(num_coords: int, count: int) -> None:
    if not 1 <= count <= num_coords:
        raise ValueError(f"cannot take {count} of {num_coords} coordinates")
