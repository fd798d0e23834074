"""The processes that share the steps of a run: sums, and what the first one tells the others.

Every process holds the whole network and does the same optimiser step, on the mean gradient of all of their batches.
"""

from __future__ import annotations

import time
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
SHORTEST_PAUSE, LONGEST_PAUSE = 2e-5, 1e-2
"""Seconds between two looks whether the others have answered: at first, and after a while."""


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
        _add(tensor)
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
            _add(flat)
            for parameter, part in zip(alike, flat.split([len(part) for part in parts]), strict=True):
                parameter.grad = part.view_as(parameter)

    def from_first(self, content: bytes) -> bytes:
        """Return what the first process passes, at least one byte; the others' argument is not looked at.

        Raises:
            PeerLost: a process has ended.
        """
        if self.size == 1:
            return content
        length = torch.tensor([len(content)])
        _take(length)
        held = bytearray(content) if self.is_first else bytearray(int(length))
        _take(torch.frombuffer(held, dtype=torch.uint8))
        return bytes(held)


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
            _wait(dist.all_gather(parts, features_NF.contiguous(), async_op=True))
        return torch.cat(parts)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].contiguous()
        _add(total)
        return total.chunk(dist.get_world_size())[dist.get_rank()]


def _add(tensor: Tensor) -> None:
    """Replace the numbers of a tensor by their sums over all processes."""
    with _peers():
        _wait(dist.all_reduce(tensor, async_op=True))


def _take(tensor: Tensor) -> None:
    """Replace the numbers of a tensor by those of the first process."""
    with _peers():
        _wait(dist.broadcast(tensor, src=0, async_op=True))


def _wait(work: Any) -> None:
    """Wait for an operation. Unlike its own `wait` this lets Python see signals, so that Ctrl-C ends a wait in vain."""
    pause = SHORTEST_PAUSE
    while not work.is_completed():
        time.sleep(pause)
        pause = min(1.5 * pause, LONGEST_PAUSE)
    work.wait()


@contextmanager
def _peers() -> Iterator[None]:
    """Raise PeerLost for what torch.distributed raises."""
    try:
        yield
    except RuntimeError as error:
        raise PeerLost(" ".join(str(error).split())[:300]) from error
