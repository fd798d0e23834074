"""Chooses the device, the number of workers and their resources."""

import math
import os
from typing import Literal

from inrzoo import fit
from inrzoo.builder.progress import BuildProgress
from inrzoo.errors import InrzooError
from inrzoo.store import Block, Store

QUICK_SECONDS, OPERATIONS_PER_SECOND = 120, 100e9
"""Duration in seconds below which a build runs in this process; speed of a core with the fused engine."""


def device_of(device: str) -> str:
    """Return `cpu` or `cuda`; `auto` takes a GPU if there is one.

    Raises:
        InrzooError: the name is unknown, or there is no GPU.
    """
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device not in ("cpu", "cuda") or (device == "cuda" and not torch.cuda.is_available()):
        devices = "cpu, cuda" if torch.cuda.is_available() else "cpu (no CUDA device is available)"
        raise InrzooError(f"--device {device} is not allowed; there is: {devices}")
    return device


def num_workers(
    workers: int | Literal["auto"] | None, num_blocks: int, device: str, address: str | None, progress: BuildProgress
) -> int | None:
    """Return the number of workers; None if they follow a cluster."""
    import torch

    if workers == "auto" or workers is None:
        if address is not None:
            return None
        workers = None
    cores = torch.cuda.device_count() if device == "cuda" else len(os.sched_getaffinity(0))
    if workers is not None and workers > num_blocks > 0:
        progress.say(f"{workers} workers for {num_blocks} blocks: {num_blocks} will have work")
    if workers is not None and workers > cores and address is None:
        progress.say(f"{workers} workers on {cores} {'GPUs' if device == 'cuda' else 'cores'}: they will share")
    return max(1, min(cores if workers is None else workers, num_blocks))


def one_worker(device: str) -> dict[str, float]:
    """Return the default resources of a worker: one core, or one GPU."""
    return {"gpu": 1.0} if device != "cpu" else {"cpu": 1.0}


def is_quick(store: Store, todo: list[Block]) -> bool:
    """Estimate whether a build in this process takes less than `QUICK_SECONDS`, as starting Ray takes time."""
    settings = store.settings.fit
    per_step = 6 * store.layout.num_params * math.prod(store.info.grid)  # two thirds of it backward
    operations = per_step * settings.steps * sum(map(store.num_rows, todo))
    limit = QUICK_SECONDS * OPERATIONS_PER_SECOND * len(os.sched_getaffinity(0))
    return fit.engine(settings.engine).THREADED and operations < limit
