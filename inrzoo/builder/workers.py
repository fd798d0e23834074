"""What fits a build: the device, how many workers, and what each takes of a node."""

import os
from typing import Literal

from inrzoo import fit
from inrzoo.builder.progress import BuildProgress
from inrzoo.errors import InrzooError
from inrzoo.store import Block, Store

QUICK_SECONDS, OPERATIONS_PER_SECOND = 120, 100e9
"""A build shorter than this runs in this process; what a core does with the fused engine (`inrzoo bench`)."""


def device_of(device: str) -> str:
    """`cpu` or `cuda`; `auto` is a GPU if there is one.

    Raises:
        InrzooError: another name, or no GPU.
    """
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device not in ("cpu", "cuda") or (device == "cuda" and not torch.cuda.is_available()):
        there = "cpu, cuda" if torch.cuda.is_available() else "cpu (no CUDA device is available)"
        raise InrzooError(f"--device = {device!r} is not allowed; there is: {there}")
    return device


def num_workers(
    workers: int | Literal["auto"] | None, num_blocks: int, device: str, address: str | None, progress: BuildProgress
) -> int | None:
    """How many workers; None where they follow a cluster."""
    import torch

    if workers == "auto" or workers is None:
        if address is not None:
            return None
        workers = None
    here = torch.cuda.device_count() if device == "cuda" else len(os.sched_getaffinity(0))
    wanted = workers if workers is not None else here
    if workers is not None and workers > num_blocks > 0:
        progress.say(f"{workers} workers for {num_blocks} blocks: {num_blocks} will have work")
    if workers is not None and workers > here and address is None:
        progress.say(f"{workers} workers on {here} {'GPUs' if device == 'cuda' else 'cores'}: they will share")
    return max(1, min(wanted, num_blocks))


def one_worker(device: str) -> dict[str, float]:
    """What a worker takes of a node unless it is said: one core, or one GPU."""
    return {"gpu": 1.0} if device != "cpu" else {"cpu": 1.0}


def is_quick(store: Store, todo: list[Block]) -> bool:
    """Whether fitting here takes less than some times what it takes to start Ray, at a guess."""
    settings = store.settings.fit
    per_step = 6 * store.layout.num_params * len(store.coords())  # forward, and both products of the backward pass
    operations = per_step * settings.steps * sum(map(store.num_rows, todo))
    here = QUICK_SECONDS * OPERATIONS_PER_SECOND * len(os.sched_getaffinity(0))
    return fit.engine(settings.engine).THREADED and operations < here
