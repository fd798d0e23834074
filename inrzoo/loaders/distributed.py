"""The rank of this process and its number among the workers of a DataLoader."""

from __future__ import annotations

import sys
from typing import Any

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


def rank_and_world(chosen: tuple[int, int] | None, dataset: object) -> tuple[int, int]:
    """Return `chosen`, else rank and world size of `torch.distributed`, else (0, 1).

    It is (0, 1) also while a loader that `accelerate` has prepared reads the dataset, as it divides what it reads.
    """
    if chosen is not None:
        return chosen
    if reader_of_accelerate(dataset) is not None:
        return 0, 1
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1


def reader_of_accelerate(dataset: object) -> Any:
    """Return the loader of `accelerate` that is reading this dataset, directly or in a shard of its own; None if none.

    `Accelerator.prepare` makes such loaders: one reads on rank 0 and sends every rank a slice, another reads everything
    on every rank and keeps a part. Either would keep a part of a part of a dataset that divides itself.
    """
    if "accelerate.state" not in sys.modules:
        return None
    loader = sys.modules["accelerate.state"].GradientState().active_dataloader
    read = getattr(loader, "dataset", None)
    return loader if read is not None and (read is dataset or getattr(read, "dataset", None) is dataset) else None


def worker_and_workers() -> tuple[int, int]:
    """Return the number of this worker of a DataLoader and their count; (0, 1) outside of one."""
    info = get_worker_info()
    return (0, 1) if info is None else (info.id, info.num_workers)
