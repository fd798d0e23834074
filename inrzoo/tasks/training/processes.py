"""The further processes of a run on several devices: started, told their work, watched and ended by the first one.

The first process is the one that called `train`: it shows progress, validates, and alone touches the run folder. The
others are `python -m inrzoo.tasks.training.worker`, and read their orders, one line of JSON, from standard input. That
stays open as long as the first process lives; when it closes they end.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch

from inrzoo import registry
from inrzoo.errors import InrzooError
from inrzoo.manifest import Manifest
from inrzoo.tasks.contract import Data, Task, UnfittedDataset
from inrzoo.tasks.training.group import ALONE, Group, PeerLost, joined

FAREWELL_SECONDS = 10.0
"""Time that a process which lost another one waits to learn which one that was."""
LOST_PEER = 3
"""Exit code of a process that ended because another one did."""
WORKER = "inrzoo.tasks.training.worker"
"""Module that the further processes run."""


@contextmanager
def processes(task: Task, data: Data, device: torch.device) -> Iterator[Group]:
    """Start the processes that share the steps of a run, and end them with the block.

    Args:
        device: of this process, the first; the others take the GPUs after it, or are on the CPU as well.

    Raises:
        PeerLost: a process could not begin, or ended too early; the message says which one and why.
    """
    if task.devices == 1:
        yield ALONE
        return
    threads = torch.get_num_threads()
    share = threads if device.type == "cuda" else max(1, threads // task.devices)
    with tempfile.TemporaryDirectory(prefix="inrzoo-train-") as folder:
        others = _Others(task, data, device, Path(folder), share)
        torch.set_num_threads(share)
        try:
            others.wait_until_ready()
            with joined(0, task.devices, others.meeting, device) as group:
                try:
                    yield group
                except PeerLost:
                    raise
                except BaseException:  # they may wait in vain, and this process then for them
                    others.kill()
                    raise
            others.wait_until_ended()
        except PeerLost as error:
            raise PeerLost(others.cause() or f"the processes lost each other: {error}") from None
        finally:
            torch.set_num_threads(threads)
            others.kill()


def require_devices(task: Task, device: torch.device) -> None:
    """Refuse more processes than there are GPUs, and processes within processes.

    Raises:
        InrzooError: as said.
    """
    if task.devices == 1:
        return
    if torch.distributed.is_initialized():
        raise InrzooError(
            f"devices = {task.devices} is not allowed: this process is one of several of torch.distributed already; "
            "call train in a process of its own, which starts the others"
        )
    if device.type == "cuda":
        count = torch.cuda.device_count()
        if task.devices > count:
            raise InrzooError(
                f"devices = {task.devices} is more than the {count} GPU(s) here; --device cpu has no limit"
            )
        if device.index not in (None, 0):
            raise InrzooError(f"devices = {task.devices} is not allowed with device {device}; expected cuda")
    elif device.type != "cpu":
        raise InrzooError(f"devices = {task.devices} is not allowed on {device.type}; it is on cuda and cpu")


def orders(task: Task, data: Data, device: torch.device, folder: Path, threads: int) -> dict[str, Any]:
    """What a further process needs to know, but for its rank, as JSON types."""
    dataset = data if isinstance(data, UnfittedDataset) else None
    return {
        "task": task.to_json(),
        "trusted": [
            [kind, name] for kind, name in [("tasks", task.to_json()["name"]), *registry.trusted] if ":" in name
        ],
        "data": str(data) if dataset is None else None,
        "manifest": None if dataset is None else dataset.manifest.to_json(),
        "source": None if dataset is None or dataset.source is None else str(dataset.source),
        "device": device.type,
        "folder": str(folder),
        "threads": threads,
    }


def ordered_data(order: dict[str, Any]) -> Data:
    """The data of `orders`."""
    if order["manifest"] is None:
        return str(order["data"])
    source = None if order["source"] is None else Path(order["source"])
    return UnfittedDataset(Manifest.from_json(order["manifest"]), source)


def meeting_file(folder: Path) -> Path:
    """Return the file, in the folder of `orders`, by which the processes find each other."""
    return folder / "meeting"


def ready_file(folder: Path, rank: int) -> Path:
    """Return the file that is there as soon as a process waits for the others."""
    return folder / f"ready-{rank}"


def error_file(folder: Path, rank: int) -> Path:
    """Return the file in which a process says why it ended, where it knows."""
    return folder / f"error-{rank}"


class _Others:
    """The further processes, ranks 1 to devices - 1."""

    def __init__(self, task: Task, data: Data, device: torch.device, folder: Path, threads: int) -> None:
        self._folder, self._size = folder, task.devices
        self.meeting = meeting_file(folder)
        order = orders(task, data, device, folder, threads)
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)}
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        for rank in range(1, self._size):
            child = subprocess.Popen(
                [sys.executable, "-P", "-m", WORKER],  # -P: the folder it is in counts no more than in this process
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                env=environment,
                start_new_session=True,  # Ctrl-C on a terminal is for the first process
            )
            self._children[rank] = child
            assert child.stdin is not None
            with suppress(BrokenPipeError):  # it has ended already; who waits for it says so
                child.stdin.write(json.dumps({**order, "rank": rank}).encode() + b"\n")
                child.stdin.flush()

    def wait_until_ready(self) -> None:
        """Wait until all have opened their data.

        Raises:
            PeerLost: one of them ended.
        """
        while not all(ready_file(self._folder, rank).exists() for rank in self._children):
            if any(child.poll() is not None for child in self._children.values()):
                raise PeerLost("before the first step")
            time.sleep(0.02)

    def wait_until_ended(self) -> None:
        """Wait until all have ended after their last step, so that their processor time can be read."""
        for child in self._children.values():
            try:
                child.wait(FAREWELL_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()

    def cause(self) -> str | None:
        """Return which process ended, and why; None if all live on."""
        end = time.monotonic() + FAREWELL_SECONDS
        codes: dict[int, int] = {}
        while not codes and time.monotonic() < end:
            codes = {rank: code for rank, child in self._children.items() if (code := child.poll()) is not None}
            codes = {rank: code for rank, code in codes.items() if code != LOST_PEER}
            time.sleep(0.02)
        for rank, code in codes.items():
            file = error_file(self._folder, rank)
            how = f"by signal {-code}" if code < 0 else f"with code {code}"
            why = f": {file.read_text(encoding='utf-8')}" if file.exists() else f" {how}"
            return f"process {rank} of 0 to {self._size - 1} ended{why}"
        return None

    def kill(self) -> None:
        """End all that live."""
        for child in self._children.values():
            child.kill()
            child.wait()
            if child.stdin is not None:
                child.stdin.close()
