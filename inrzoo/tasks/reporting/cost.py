"""The time that a run took and the processor it ran on: `run.json` in its folder. No result depends on it."""

from __future__ import annotations

import json
import platform
import re
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from inrzoo.errors import InrzooError
from inrzoo.store.files import write_atomically

COST = "run.json"
"""File name, in the folder of a run, of its cost."""


@dataclass(frozen=True)
class Cost:
    """Cost of a run, summed over all calls that worked on it.

    Attributes:
        seconds: wall-clock time of steps, validations and checkpoints; a power cut loses the time since the last call.
        cpu_seconds: processor time of the same, of all threads, which other programs on the machine do not stretch.
        device: name of the GPU, or of the processor with the number of threads.
    """

    seconds: float
    cpu_seconds: float
    device: str

    @property
    def minutes(self) -> str:
        """Wall-clock minutes, for a table."""
        return f"{self.seconds / 60:.1f}"


def read_cost(folder: Path) -> Cost:
    """Cost of the run in a folder; zero where none is recorded.

    Raises:
        InrzooError: the file is damaged.
    """
    path = folder / COST
    if not path.exists():
        return Cost(0.0, 0.0, "")
    try:
        cost = Cost(**json.loads(path.read_text()))
        return Cost(float(cost.seconds), float(cost.cpu_seconds), str(cost.device))
    except (ValueError, TypeError):
        raise InrzooError(f"{path} is damaged; remove it: it records only the time that training took") from None


def add_cost(folder: Path, seconds: float, cpu_seconds: float, device: torch.device) -> None:
    """Add the seconds of one call, and name its device."""
    before = read_cost(folder)
    cost = Cost(before.seconds + seconds, before.cpu_seconds + cpu_seconds, device_name(device))
    write_atomically(folder / COST, (json.dumps(asdict(cost)) + "\n").encode())


def device_name(device: torch.device) -> str:
    """`NVIDIA H100 80GB HBM3`, or `AMD EPYC, 1 thread(s)`."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    path = Path("/proc/cpuinfo")
    model = re.search(r"^model name\s*: (.*)$", path.read_text(), re.MULTILINE) if path.exists() else None
    name = model[1] if model else platform.processor() or platform.machine()
    return f"{name}, {torch.get_num_threads()} thread(s)"
