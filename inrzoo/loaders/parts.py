"""Which part of the work is this process's: its rank among processes, its number among a DataLoader's workers."""

from __future__ import annotations

import torch.distributed
from torch.utils.data import get_worker_info

from inrzoo.errors import InrzooError


def checked_rank(rank: int | None, world: int | None) -> tuple[int, int] | None:
    """(rank, world) as given, or None if neither is.

    Raises:
        InrzooError: one without the other, or a rank that the world does not have.
    """
    if rank is None and world is None:
        return None
    if rank is None or world is None or not 0 <= rank < world:
        raise InrzooError(f"rank = {rank}, world = {world}: give both, rank from 0 to world − 1, or neither")
    return rank, world


def rank_and_world(given: tuple[int, int] | None) -> tuple[int, int]:
    """What was given, else what `torch.distributed` says, else 0 of 1."""
    if given is not None:
        return given
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1


def worker_and_workers() -> tuple[int, int]:
    """The number of this worker of a DataLoader, and how many there are; 0 of 1 outside of one."""
    info = get_worker_info()
    return (0, 1) if info is None else (info.id, info.num_workers)
