"""The rank of this process and its number among the workers of a DataLoader."""

from __future__ import annotations

import torch.distributed
from torch.utils.data import get_worker_info

from inrzoo.errors import InrzooError


def checked_rank(rank: int | None, world: int | None) -> tuple[int, int] | None:
    """Return (rank, world), or None if both are None.

    Raises:
        InrzooError: one of them is missing, or the rank is out of range.
    """
    if rank is None and world is None:
        return None
    if rank is None or world is None or not 0 <= rank < world:
        raise InrzooError(f"rank = {rank}, world = {world}: pass both, rank from 0 to world − 1, or neither")
    return rank, world


def rank_and_world(chosen: tuple[int, int] | None) -> tuple[int, int]:
    """Return `chosen`, else rank and world size of `torch.distributed`, else (0, 1)."""
    if chosen is not None:
        return chosen
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1


def worker_and_workers() -> tuple[int, int]:
    """Return the number of this worker of a DataLoader and their count; (0, 1) outside of one."""
    info = get_worker_info()
    return (0, 1) if info is None else (info.id, info.num_workers)
