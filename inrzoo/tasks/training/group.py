"""The processes that share the steps of a run: sums, and what the first one tells the others.

Every process holds the whole network and does the same optimiser step, on the mean gradient of all of their batches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

TIMEOUT = timedelta(hours=1)
"""Maximum time that a process waits for another that is alive, and may be validating."""


class PeerLost(Exception):
    """Another process of the run has ended, or does not answer."""


@dataclass(frozen=True)
class Group:
    """The processes of a run, seen from one of them.

    Attributes:
        rank: number of this process, from 0; the first one validates and writes.
        size: number of processes.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process validates and writes."""
        return self.rank == 0

    def total(self, numbers: Sequence[float]) -> list[float]:
        """Return the sum of each number over all processes.

        Raises:
            PeerLost: a process has ended.
        """
        if self.size == 1:
            return list(numbers)
        tensor = torch.tensor(list(numbers), dtype=torch.float64)
        with _peers():
            dist.all_reduce(tensor)
        return [float(number) for number in tensor]

    def add_gradients(self, parameters: Sequence[Tensor]) -> None:
        """Replace the gradient of each parameter by the sum over all processes; a process without one adds 0.

        Raises:
            PeerLost: a process has ended.
        """
        for dtype in dict.fromkeys(parameter.dtype for parameter in parameters):
            alike = [parameter for parameter in parameters if parameter.dtype == dtype]
            parts = [each.new_zeros(each.numel()) if each.grad is None else each.grad.flatten() for each in alike]
            flat = torch.cat(parts)
            with _peers():
                dist.all_reduce(flat)
            for parameter, part in zip(alike, flat.split([len(part) for part in parts]), strict=True):
                parameter.grad = part.view_as(parameter)

    def from_first(self, content: Any) -> Any:
        """Return what the first process passes; the others' argument is not looked at.

        Raises:
            PeerLost: a process has ended.
        """
        if self.size == 1:
            return content
        held = [content if self.is_first else None]
        with _peers():
            dist.broadcast_object_list(held, src=0, device=torch.device("cpu"))
        return held[0]


ALONE = Group()
"""One process."""


@contextmanager
def joined(rank: int, size: int, meeting: Path, device: torch.device) -> Iterator[Group]:
    """Be one of the processes of a run inside of the block: over gloo, and over NCCL between GPUs.

    Args:
        meeting: a file where the processes find each other; the same for all, and absent before.
        device: of this process.

    Raises:
        PeerLost: a process has ended.
    """
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    with _peers():
        dist.init_process_group(
            backend, init_method=meeting.absolute().as_uri(), rank=rank, world_size=size, timeout=TIMEOUT
        )
    try:
        yield Group(rank, size)
    finally:
        dist.destroy_process_group()


def gathered(features_NF: Tensor) -> Tensor:
    """Return the rows of all processes, in the order of their ranks: (N, F) to (size · N, F).

    The gradient of a row is the sum of those of all processes, so that a loss that each computes of all rows has the
    gradient of one process with all rows once the processes' gradients are averaged.

    Raises:
        PeerLost: a process has ended.
    """
    rows: Tensor = _Gathered.apply(features_NF)  # type: ignore[no-untyped-call]
    return rows


class _Gathered(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, features_NF: Tensor) -> Tensor:
        parts = [torch.empty_like(features_NF) for _ in range(dist.get_world_size())]
        with _peers():
            dist.all_gather(parts, features_NF.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].contiguous()
        with _peers():
            dist.all_reduce(total)
        return total.chunk(dist.get_world_size())[dist.get_rank()]


@contextmanager
def _peers() -> Iterator[None]:
    """Raise PeerLost for what torch.distributed raises."""
    try:
        yield
    except RuntimeError as error:
        raise PeerLost(" ".join(str(error).split())[:300]) from error
