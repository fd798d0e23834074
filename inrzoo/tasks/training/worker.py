"""A further process of a run on several devices: `python -m inrzoo.tasks.training.worker`; see `processes`."""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

import torch

from inrzoo import registry
from inrzoo.errors import InrzooError
from inrzoo.tasks.contract import Task
from inrzoo.tasks.training.batches import Share, sharing
from inrzoo.tasks.training.group import PeerLost, joined
from inrzoo.tasks.training.processes import LOST_PEER, error_file, meeting_file, ordered_data, ready_file
from inrzoo.tasks.training.run import Run
from inrzoo.trust import trust


def main() -> int:
    """Read orders from standard input and do them; return the exit code."""
    line = b""
    while not line.endswith(b"\n"):
        if not (byte := os.read(0, 1 << 16)):
            return 0  # the first process is gone
        line += byte
    order = json.loads(line)
    threading.Thread(target=_end_with_the_first, daemon=True).start()
    folder, rank = Path(order["folder"]), int(order["rank"])
    try:
        work(order, folder, rank)
    except PeerLost:
        return LOST_PEER
    except Exception as error:  # the first process says it, in one line
        text = str(error) if isinstance(error, InrzooError) else f"{type(error).__name__}: {error}"
        error_file(folder, rank).write_text(" ".join(text.split()), encoding="utf-8")
        return 1
    return 0


def work(order: dict[str, Any], folder: Path, rank: int) -> None:
    """Take part in a run until it ends.

    Raises:
        PeerLost: another process ended.
    """
    torch.set_num_threads(order["threads"])
    for kind, name in order["trusted"]:
        trust(kind, name)
    task: Task = registry.make("tasks", order["task"])
    data: Any = ordered_data(order)
    device = torch.device("cuda", rank) if order["device"] == "cuda" else torch.device(order["device"])
    if device.type == "cuda":
        torch.cuda.set_device(device)
    torch.manual_seed(task.seed)
    with sharing(Share(rank, task.devices, task.accumulate)):
        learner = task.begin(data, device)
    run = Run(task, learner, task.conventions(data), device)
    ready_file(folder, rank).touch()
    with joined(rank, task.devices, meeting_file(folder), device) as group:
        run.work(group)


def _end_with_the_first() -> None:
    while os.read(0, 1 << 16):
        pass
    os._exit(LOST_PEER)


if __name__ == "__main__":
    sys.exit(main())
